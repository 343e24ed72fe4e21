package session

import (
	"fmt"
	"strconv"
	"time"
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
	VerificationDiffers     = "differs"     // some page has other pixels: a person should look, and choose one image
	VerificationChosen      = "chosen"      // some page has other pixels, and a person has chosen for each
	VerificationUnavailable = "unavailable" // the fetch of the file failed, or some page of it is unreadable
)

// Verifications are all results of a comparison.
func Verifications() []string {
	return []string{
		VerificationNone, VerificationPending, VerificationVerified, VerificationDiffers, VerificationChosen, VerificationUnavailable,
	}
}

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

	Differences map[string]Ranges `json:"differences,omitempty"` // Differing by name: inverted, blank_against_ink, different
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
	Chosen  bool   `json:"chosen,omitempty"`  // true: a person has chosen it
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
	Reason    string      `json:"reason,omitempty"` // of a partial document, or RecoveredBeyond
	Pages     Ranges      `json:"pages"`            // usable
	Missing   PageReasons `json:"missing,omitempty"`
	Close     *Closed     `json:"close,omitempty"`    // accepted; nil: none came
	Seq       uint64      `json:"seq"`                // highest FAX_PAGES sequence to read
	Previous  int         `json:"previous,omitempty"` // newest revision that has a manifest; 0: none

	Verification string    `json:"verification"` // at the time of the order
	Repairs      []Repairs `json:"repairs,omitempty"`
	Choices      []Choice  `json:"choices,omitempty"` // by page
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
