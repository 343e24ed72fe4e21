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
	StatusPurged    = "purged"    // removed for good, on somebody's order
	StatusFolded    = "folded"    // the same fax as another session's, which has the document
)

// What comparing a fax's streamed pages with the whole file has come to.
const (
	VerificationNone        = "none"        // not asked for
	VerificationPending     = "pending"     // not over
	VerificationVerified    = "verified"    // every page has the file's pixels
	VerificationDiffers     = "differs"     // some page has other pixels: a person should look
	VerificationUnavailable = "unavailable" // the file, or some page of it, cannot be had or read
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

// Quality is what the rows of a page are like; of a gray or colour page, those of its 1-bit image.
type Quality struct {
	Blank     bool `json:"blank"`        // nothing to read: only specks, dust streaks and border
	Ink       int  `json:"ink_ppm"`      // black pixels per million
	Skew      int  `json:"skew_mdeg"`    // how far the lines lean on the sheet, thousandths of a degree, clockwise, -5000 to 5000; 0 where not known
	SkewKnown bool `json:"skew_known"`   // Skew was measured, to 0.1 degrees
	Border    int  `json:"border_ppm"`   // black from the edges inwards, per million of the page
	Isolated  int  `json:"isolated_ppm"` // black pixels without a black neighbour, per million black pixels
}

// PageArchived: a usable page is in the archive. It is what OCR services subscribe to.
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
	LongestBad   int       `json:"longest_bad_run"`
	Quality      *Quality  `json:"quality,omitempty"`     // nil: archived by a version that did not measure it
	CleanStrip   *Strip    `json:"clean_strip,omitempty"` // nil: the page's strip is not fit to be copied
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

// Same is always true: the first image stands, and whoever brings a later one compares RasterSHA256 and publishes
// what differs as PageAmended.
func (f PageArchived) Same([]byte) bool { return true }

// PageAmended: a later image of an archived page differs from the one that was published.
type PageAmended struct{ PageArchived }

func (f PageAmended) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypePageAmended, f.ToToken, f.Session, f.Page, f.RasterSHA256)
}

func (f PageAmended) ID() string {
	return fmt.Sprintf("page.amended/%s/%d/%.16s", f.Session, f.Page, f.RasterSHA256)
}
func (f PageAmended) Type() string { return TypePageAmended }

// PageFailed: one attempt to get a page failed. It is an event on the way: the page may still arrive.
type PageFailed struct {
	Session string    `json:"session"`
	Page    int       `json:"page"`
	ToToken string    `json:"to_token"`
	Attempt int       `json:"attempt"` // from 1
	Stage   string    `json:"stage"`   // fetch, decode, whole
	Reason  Reason    `json:"reason"`
	Detail  string    `json:"detail"`
	Final   bool      `json:"final"` // no further attempt by this way
	Kept    *Object   `json:"kept,omitempty"`
	At      time.Time `json:"at"` // of the attempt
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

// WholeOrdered asks the whole-file worker to fetch the whole file, to cut the wanted pages from it and to compare the
// streamed ones with theirs.
type WholeOrdered struct {
	Session  string `json:"session"`
	N        int    `json:"n"` // allocated in the ledger, from 1
	From     string `json:"from"`
	To       string `json:"to"`
	Wanted   Ranges `json:"wanted"`             // pages that are missing
	All      bool   `json:"all,omitempty"`      // all that the file has are wanted, for nobody knows how many there are; Wanted at least
	Compare  Ranges `json:"compare,omitempty"`  // pages that were streamed
	Revision int    `json:"revision,omitempty"` // of the document that Compare is about

	// TryFor is how long the file is tried, from when the order is stored.
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

// WholeDone ends a WholeOrdered: the file is archived and what could be cut is published as pages, or it could not be had.
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

	Attempts []Attempt `json:"attempts,omitempty"` // that gave nothing, this one included where it failed
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

// DocVerified: streamed pages were compared, pixel by pixel, with the same pages of the whole file. Pages in none of the
// ranges could not be compared. Report has the particulars of every page.
type DocVerified struct {
	Session   string    `json:"session"`
	ToToken   string    `json:"to_token"`
	Revision  int       `json:"revision"`
	N         int       `json:"n"`                   // of the WholeOrdered
	File      Object    `json:"file"`                // the whole file
	Report    Object    `json:"report"`              // verified.<h>.json
	Compared  Ranges    `json:"compared"`            // as ordered
	Agreed    Ranges    `json:"agreed,omitempty"`    // the same pixels
	Repaired  Ranges    `json:"repaired,omitempty"`  // the streamed page has bad rows and the file's has fewer: that is used
	Differing Ranges    `json:"differing,omitempty"` // other pixels: the streamed page is used, the file's is kept, a person should look
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

// Repairs is the pages of a document whose image is another one than that of their fact, as a report says.
type Repairs struct {
	Report  Object `json:"report"`
	Pages   Ranges `json:"pages"`
	Decoded bool   `json:"decoded,omitempty"` // the same bytes, decoded anew; else the whole file's
}

// DocReady orders one revision of a document. What it says is all that the plan depends on beside the page facts.
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

	Verification string    `json:"verification"` // as it was when the order was made
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

// DocAssembled: a revision is in the archive; its manifest is the commit point.
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

// DocFailed: an ordered revision will never have a manifest. Pages are those of the order that cannot be read or built
// any more; the ledger orders the next revision without them. Where none is named a person must look.
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

// Same is always true: whoever tries a revision again may fail at other pages; the first failure stands.
func (f DocFailed) Same([]byte) bool { return true }

// Timer kinds.
const (
	TimerGrace = "grace" // after the close: missing pages are cut from the whole file
	TimerIdle  = "idle"  // nothing was heard for long
	TimerRetry = "retry" // of one page
	TimerWhole = "whole" // retry of the whole file
	// TimerVerify tries again to compare with the whole file, which could not be had.
	TimerVerify = "verify"
)

// Timer is one firing of a JetStream schedule. The due time stands in the subject, so that no schedule replaces another.
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

// SetSubject is where the schedule is stored.
func (t Timer) SetSubject() string { return TypeTimerSet + "." + t.tail() }

// DueSubject is where it fires.
func (t Timer) DueSubject() string { return TypeTimerDue + "." + t.tail() }

// ParseTimer reads a subject on which a timer fired.
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
