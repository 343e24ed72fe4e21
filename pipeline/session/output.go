package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Sources of a page.
const (
	SourceFetch     = "fetch"      // the page file, fetched while the fax was on the line
	SourceWholeFile = "whole_file" // cut from the whole file
)

// Statuses of a document. Until its first revision is assembled a fax is StatusReceiving.
const (
	StatusReceiving = "receiving"
	StatusComplete  = "complete"  // the provider says success and every expected page is there
	StatusRecovered = "recovered" // complete, but a streamed page had to be cut from the whole file
	StatusPartial   = "partial"   // anything else; its reason says why
	StatusPurged    = "purged"    // removed for good, by the order of a person
	StatusFolded    = "folded"    // the same fax as another session, which has the document
)

// The result of the comparison of a fax's streamed pages with the whole file.
const (
	VerificationNone        = "none"        // no comparison was ordered
	VerificationPending     = "pending"     // the comparison still runs
	VerificationVerified    = "verified"    // every page has the same pixels as in the file
	VerificationDiffers     = "differs"     // some page has other pixels: a person should look
	VerificationUnavailable = "unavailable" // the fetch of the file failed, or some page of it is unreadable
)

// Statuses of a page.
const (
	PageStatusAnnounced = "announced"
	PageStatusArchived  = "archived"
	PageStatusMissing   = "missing"
)

// Object is one archived object.
type Object struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}

// Strip is one Group 4 strip, most significant bit first, from the first row to EOFB.
type Strip struct {
	Size   int    `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}

// Quality has measurements of a page's rows; for a gray or colour page, of the rows of its 1-bit image.
type Quality struct {
	Blank     bool `json:"blank"`        // nothing to read: only specks, dust streaks and border
	Ink       int  `json:"ink_ppm"`      // black pixels per million
	Skew      int  `json:"skew_mdeg"`    // rotation of the lines, thousandths of a degree, clockwise, -5000 to 5000; 0 if unknown
	SkewKnown bool `json:"skew_known"`   // Skew was measured, to 0.1 degrees
	Border    int  `json:"border_ppm"`   // black from the edges inwards, per million of the page
	Isolated  int  `json:"isolated_ppm"` // black pixels without a black neighbour, per million black pixels
}

// PageArchived means: a usable page is in the archive. OCR services subscribe to it.
type PageArchived struct {
	Session      string    `json:"session"`
	Page         int       `json:"page"` // from 1
	From         string    `json:"from"`
	To           string    `json:"to"`
	ToToken      string    `json:"to_token"`      // as in the subject
	Source       string    `json:"source"`        // SourceFetch or SourceWholeFile
	Original     Object    `json:"original"`      // the page file as fetched, or as cut
	PNG          Object    `json:"png"`           // for OCR
	RasterSHA256 string    `json:"raster_sha256"` // of the packed 1-bit rows, 1 is black; of gray and colour, of the 8-bit samples
	Width        int       `json:"width"`         // pixels
	Height       int       `json:"height"`        // pixels
	XResolution  float64   `json:"x_resolution"`  // pixels per inch
	YResolution  float64   `json:"y_resolution"`
	Samples      int       `json:"samples,omitempty"` // of 8 bits a pixel: 1 gray, 3 colour; absent: bilevel
	Coding       string    `json:"coding"`            // mh, mr, mmr, jpeg, …
	BadRows      int       `json:"bad_rows"`
	LongestBad   int       `json:"longest_bad_run"`       // rows in the longest run of bad rows
	Quality      *Quality  `json:"quality,omitempty"`     // nil: archived by a version that did not measure it
	CleanStrip   *Strip    `json:"clean_strip,omitempty"` // nil: the page's strip cannot be copied into a document
	EventTime    time.Time `json:"event_time,omitzero"`
	BodySHA256   string    `json:"body_sha256,omitempty"` // of the webhook that announced it; empty for SourceWholeFile
}

func (f PageArchived) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", TypePageArchived, f.ToToken, f.Session, f.Page)
}

func (f PageArchived) ID() string        { return "page.archived/" + f.Session + "/" + strconv.Itoa(f.Page) }
func (f PageArchived) Type() string      { return TypePageArchived }
func (f PageArchived) SessionID() string { return f.Session }
func (f PageArchived) Time() time.Time   { return f.EventTime }

// Same is always true: the first image counts. The stage that has a later image compares RasterSHA256 and publishes a
// PageAmended if it differs.
func (f PageArchived) Same([]byte) bool { return true }

// PageAmended means: a later image of an archived page differs from the published one.
type PageAmended struct{ PageArchived }

func (f PageAmended) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypePageAmended, f.ToToken, f.Session, f.Page, f.RasterSHA256)
}

func (f PageAmended) ID() string {
	return fmt.Sprintf("page.amended/%s/%d/%.16s", f.Session, f.Page, f.RasterSHA256)
}
func (f PageAmended) Type() string { return TypePageAmended }

// PageFailed means: one attempt to get a page failed. It is not a final status: the page may still arrive.
type PageFailed struct {
	Session string    `json:"session"`
	Page    int       `json:"page"`
	ToToken string    `json:"to_token"`
	Attempt int       `json:"attempt"` // from 1
	Stage   string    `json:"stage"`   // fetch, decode, whole
	Reason  Reason    `json:"reason"`
	Detail  string    `json:"detail"`
	Final   bool      `json:"final"`          // there are no more attempts by this stage
	Kept    *Object   `json:"kept,omitempty"` // the refused bytes in the archive; nil: none
	At      time.Time `json:"at"`             // time of the attempt, UTC
}

func (f PageFailed) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%s-%d", TypePageFailed, f.ToToken, f.Session, f.Page, f.Stage, f.Attempt)
}

func (f PageFailed) ID() string {
	return fmt.Sprintf("page.failed/%s/%d/%s-%d", f.Session, f.Page, f.Stage, f.Attempt)
}
func (f PageFailed) Type() string      { return TypePageFailed }
func (f PageFailed) SessionID() string { return f.Session }
func (f PageFailed) Time() time.Time   { return f.At }

// Same is true for the same attempt: a redelivered attempt may fail for another reason.
func (f PageFailed) Same([]byte) bool { return true }

// WholeOrdered orders the whole-file worker to fetch the whole file, to cut the wanted pages from it, and to compare the
// streamed pages with those of the file.
type WholeOrdered struct {
	Session  string `json:"session"`
	N        int    `json:"n"` // allocated in the ledger, from 1
	From     string `json:"from"`
	To       string `json:"to"`
	Wanted   Ranges `json:"wanted"`             // pages that are missing
	All      bool   `json:"all,omitempty"`      // all pages of the file are wanted, because their number is unknown; at least Wanted
	Compare  Ranges `json:"compare,omitempty"`  // pages that were streamed
	Revision int    `json:"revision,omitempty"` // of the document that Compare is about

	// TryFor is how long the fetch is retried, in nanoseconds from the time when the order is stored.
	TryFor time.Duration `json:"try_for_ns"`
}

func (f WholeOrdered) Subject() string {
	return fmt.Sprintf("%s.%s.%d", TypeWholeOrdered, f.Session, f.N)
}

func (f WholeOrdered) ID() string              { return "in.whole/" + f.Session + "/" + strconv.Itoa(f.N) }
func (f WholeOrdered) Type() string            { return TypeWholeOrdered }
func (f WholeOrdered) SessionID() string       { return f.Session }
func (f WholeOrdered) Time() time.Time         { return time.Time{} }
func (f WholeOrdered) Same(stored []byte) bool { return sameJSON(f, stored, func(*WholeOrdered) {}) }

// WholeDone ends a WholeOrdered: the file is archived and the pages cut from it are published, or the fetch failed for good.
type WholeDone struct {
	Session string      `json:"session"`
	ToToken string      `json:"to_token"`
	N       int         `json:"n"`
	Object  *Object     `json:"object,omitempty"` // nil: failed
	Pages   int         `json:"pages"`            // in the file
	Lost    PageReasons `json:"lost,omitempty"`   // wanted pages that could not be cut
	Reason  Reason      `json:"reason,omitempty"` // why it failed
	Detail  string      `json:"detail,omitempty"`
	At      time.Time   `json:"at"`

	Attempts []Attempt `json:"attempts,omitempty"` // the failed attempts; if the order failed, with the last one
}

func (f WholeDone) Type() string {
	if f.Object == nil {
		return TypeWholeFailed
	}
	return TypeWholeCut
}

func (f WholeDone) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", f.Type(), f.ToToken, f.Session, f.N)
}

func (f WholeDone) ID() string {
	return fmt.Sprintf("%s/%s/%d", strings.TrimPrefix(f.Type(), "fax.v1."), f.Session, f.N)
}
func (f WholeDone) SessionID() string { return f.Session }
func (f WholeDone) Time() time.Time   { return f.At }
func (f WholeDone) Same([]byte) bool  { return true }

// DocVerified means: streamed pages were compared, pixel by pixel, with the same pages of the whole file. A page in none of
// Agreed, Repaired and Differing could not be compared. Report has the details of every page.
type DocVerified struct {
	Session   string    `json:"session"`
	ToToken   string    `json:"to_token"`
	Revision  int       `json:"revision"`
	N         int       `json:"n"`                   // of the WholeOrdered
	File      Object    `json:"file"`                // the whole file
	Report    Object    `json:"report"`              // verified.<h>.json
	Compared  Ranges    `json:"compared"`            // as ordered
	Agreed    Ranges    `json:"agreed,omitempty"`    // the same pixels
	Repaired  Ranges    `json:"repaired,omitempty"`  // the streamed page has bad rows, the page of the file has fewer and is used
	Differing Ranges    `json:"differing,omitempty"` // other pixels: the streamed page is used, both are archived, a person should look
	At        time.Time `json:"at"`
}

func (f DocVerified) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypeDocVerified, f.ToToken, f.Session, f.Revision, f.Report.SHA256)
}

func (f DocVerified) ID() string {
	return fmt.Sprintf("doc.verified/%s/%d/%.16s", f.Session, f.Revision, f.Report.SHA256)
}
func (f DocVerified) Type() string      { return TypeDocVerified }
func (f DocVerified) SessionID() string { return f.Session }
func (f DocVerified) Time() time.Time   { return f.At }

// Same is always true: the report's hash is in the subject.
func (f DocVerified) Same([]byte) bool { return true }

// Repairs has pages of a document whose image is not that of their fact; the report has the image.
type Repairs struct {
	Report  Object `json:"report"`
	Pages   Ranges `json:"pages"`
	Decoded bool   `json:"decoded,omitempty"` // true: the same bytes, decoded again; false: the page of the whole file
}

// DocReady orders one revision of a document. The plan depends only on this order and the page facts.
type DocReady struct {
	Session   string      `json:"session"`
	Direction string      `json:"direction"`
	ToToken   string      `json:"to_token"`
	Revision  int         `json:"revision"` // from 1
	From      string      `json:"from"`
	To        string      `json:"to"`
	Status    string      `json:"status"`
	Reason    string      `json:"reason,omitempty"` // of a partial document
	Pages     Ranges      `json:"pages"`            // usable
	Missing   PageReasons `json:"missing,omitempty"`
	Close     *Closed     `json:"close,omitempty"`    // accepted; nil: none came
	Seq       uint64      `json:"seq"`                // highest FAX_PAGES sequence to read
	Previous  int         `json:"previous,omitempty"` // newest revision that has a manifest; 0: none

	Verification string    `json:"verification"` // at the time of the order
	Repairs      []Repairs `json:"repairs,omitempty"`
}

func (f DocReady) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", TypeDocReady, f.ToToken, f.Session, f.Revision)
}

func (f DocReady) ID() string              { return "doc.ready/" + f.Session + "/" + strconv.Itoa(f.Revision) }
func (f DocReady) Type() string            { return TypeDocReady }
func (f DocReady) SessionID() string       { return f.Session }
func (f DocReady) Time() time.Time         { return time.Time{} }
func (f DocReady) Same(stored []byte) bool { return sameJSON(f, stored, func(*DocReady) {}) }

// DocAssembled means: a revision is in the archive; its manifest is the commit point.
type DocAssembled struct {
	Session   string  `json:"session"`
	Direction string  `json:"direction"`
	ToToken   string  `json:"to_token"`
	Revision  int     `json:"revision"`
	From      string  `json:"from"`
	To        string  `json:"to"`
	Status    string  `json:"status"`
	Reason    string  `json:"reason,omitempty"`
	Pages     int     `json:"pages"`                   // expected
	Missing   int     `json:"missing"`                 // of them
	TIFF      *Object `json:"document_tiff,omitempty"` // nil: no usable page
	PDF       Object  `json:"document_pdf"`
	Manifest  Object  `json:"manifest"`
}

func (f DocAssembled) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", TypeDocAssembled, f.ToToken, f.Session, f.Revision)
}

func (f DocAssembled) ID() string {
	return "doc.assembled/" + f.Session + "/" + strconv.Itoa(f.Revision)
}
func (f DocAssembled) Type() string            { return TypeDocAssembled }
func (f DocAssembled) SessionID() string       { return f.Session }
func (f DocAssembled) Time() time.Time         { return time.Time{} }
func (f DocAssembled) Same(stored []byte) bool { return sameJSON(f, stored, func(*DocAssembled) {}) }

// DocFailed means: an ordered revision will never have a manifest. Pages has the pages of the order that cannot be read or
// built any more; the ledger orders the next revision without them. If Pages is empty, a person must look.
type DocFailed struct {
	Session  string    `json:"session"`
	ToToken  string    `json:"to_token"`
	Revision int       `json:"revision"` // as ordered
	Pages    Ranges    `json:"pages,omitempty"`
	Reason   Reason    `json:"reason"`
	Detail   string    `json:"detail"` // what, where, what to do
	At       time.Time `json:"at"`
}

func (f DocFailed) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", TypeDocFailed, f.ToToken, f.Session, f.Revision)
}

func (f DocFailed) ID() string        { return "doc.failed/" + f.Session + "/" + strconv.Itoa(f.Revision) }
func (f DocFailed) Type() string      { return TypeDocFailed }
func (f DocFailed) SessionID() string { return f.Session }
func (f DocFailed) Time() time.Time   { return f.At }

// Same is always true: a repeated revision may fail at other pages; the first failure counts.
func (f DocFailed) Same([]byte) bool { return true }

// Timer kinds.
const (
	TimerGrace = "grace" // after the close: missing pages are cut from the whole file
	TimerIdle  = "idle"  // no event of the session came for long
	TimerRetry = "retry" // of one page
	TimerWhole = "whole" // retry of the whole file
	// TimerVerify: the comparison with the whole file is tried again, because the fetch of the file failed.
	TimerVerify = "verify"
)

// Timer is one JetStream schedule. The due time is in the subject, in milliseconds, so that no schedule replaces another.
type Timer struct {
	Kind    string
	Session string
	Page    int // TimerRetry only, from 1
	Due     time.Time
}

func (t Timer) tail() string {
	s := t.Kind + "." + t.Session
	if t.Kind == TimerRetry {
		s += "." + strconv.Itoa(t.Page)
	}
	return s + "." + strconv.FormatInt(t.Due.UnixMilli(), 10)
}

// SetSubject returns the subject under which the schedule is stored.
func (t Timer) SetSubject() string { return TypeTimerSet + "." + t.tail() }

// DueSubject returns the subject on which it fires.
func (t Timer) DueSubject() string { return TypeTimerDue + "." + t.tail() }

// ParseTimer reads a subject on which a timer fired. It returns an error for any other subject.
func ParseTimer(subject string) (Timer, error) {
	rest, ok := strings.CutPrefix(subject, TypeTimerDue+".")
	parts := strings.Split(rest, ".")
	t := Timer{}
	if ok && (len(parts) == 3 || len(parts) == 4) {
		t.Kind, t.Session = parts[0], parts[1]
		ms, err := strconv.ParseInt(parts[len(parts)-1], 10, 64)
		if err == nil && len(parts) == 4 {
			t.Page, err = strconv.Atoi(parts[2])
		}
		t.Due = time.UnixMilli(ms).UTC()
		if t.Kind == TimerRetry && t.Page < 1 {
			err = strconv.ErrRange
		}
		if err == nil && ValidToken(t.Kind) && ValidToken(t.Session) && t.DueSubject() == subject {
			return t, nil
		}
	}
	return Timer{}, fmt.Errorf("timer subject %q: want %s.<kind>.<session>[.<page>].<due in ms>", subject, TypeTimerDue)
}
