package session

import (
	"fmt"
	"time"
)

// Images that an OCR engine can read.
const (
	ReadPNG      = "png"      // the PNG of the page
	ReadOriginal = "original" // the page file as fetched, or as cut
)

// MaxOCRResult bounds what an engine recognised on one page, as it wrote it, bytes.
const MaxOCRResult = 8 << 20

// OCRResult is what an OCR engine recognised on a page, as it sent it.
type OCRResult struct {
	Engine    string    // a small letter, and then small letters, digits, '-' and '_', at most 32
	Version   string    // of the engine; may be empty
	Languages []string  // that it was told to read, as it names them; may be empty
	Format    string    // of Data, see package text
	Read      string    // the image that it read: ReadPNG or ReadOriginal
	By        string    // who sent it; may be empty
	Data      []byte    // at most MaxOCRResult
	At        time.Time // when it came

	Orientation *TextOrientation // what the engine says of the page; nil: nothing
}

// TextOrientation is how an engine thinks that the text of a page is turned. It is reported and never acted on: on noisy pages engines are
// wrong and sure of it.
type TextOrientation struct {
	Degrees    int     `json:"degrees"`    // clockwise, by which the page is to be turned: 0, 90, 180 or 270
	Confidence float64 `json:"confidence"` // as the engine counts, 0 or more
}

// BadResult is the error of a result that cannot be taken because of what is in it. Its text says why, for the sender.
type BadResult struct{ Err error }

func (e *BadResult) Error() string { return e.Err.Error() }
func (e *BadResult) Unwrap() error { return e.Err }

// TextRecognised means: what an OCR engine recognised on a page is in the archive.
type TextRecognised struct {
	Session      string    `json:"session"`
	Page         int       `json:"page"` // from 1
	ToToken      string    `json:"to_token"`
	Engine       string    `json:"engine"`
	Version      string    `json:"version,omitempty"`    // of the engine
	Languages    []string  `json:"languages,omitempty"`  // that it was told to read, as it names them
	Format       string    `json:"format"`               // of Result, see package text
	RasterSHA256 string    `json:"raster_sha256"`        // of the image of the page that it read
	Result       Object    `json:"result"`               // as the engine wrote it
	Words        Object    `json:"words"`                // the same in one form
	Count        int       `json:"count"`                // words
	Confidence   *float64  `json:"confidence,omitempty"` // the mean of the words' confidences, 0 to 1; nil: the engine does not say
	At           time.Time `json:"at"`                   // when it came, UTC

	Orientation *TextOrientation `json:"orientation,omitempty"` // what the engine says of the page; nil: nothing
}

func (f TextRecognised) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypeTextRecognised, f.ToToken, f.Session, f.Page, f.Words.SHA256)
}

func (f TextRecognised) ID() string {
	return fmt.Sprintf("text.recognised/%s/%d/%.16s", f.Session, f.Page, f.Words.SHA256)
}
func (f TextRecognised) Type() string      { return TypeTextRecognised }
func (f TextRecognised) SessionID() string { return f.Session }
func (f TextRecognised) Time() time.Time   { return f.At }

// Same is always true: the hash of the words is in the subject.
func (f TextRecognised) Same([]byte) bool { return true }

// DocSearchable means: a PDF with the images of a revision and the text of its pages is in the archive. There is no new revision.
type DocSearchable struct {
	Session  string    `json:"session"`
	ToToken  string    `json:"to_token"`
	Revision int       `json:"revision"`
	Pages    int       `json:"pages"`          // with text: the usable ones
	PDF      Object    `json:"searchable_pdf"` // the document
	Record   Object    `json:"record"`         // which texts it has
	At       time.Time `json:"at"`             // when the newest of them came, UTC
}

func (f DocSearchable) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypeDocSearchable, f.ToToken, f.Session, f.Revision, f.Record.SHA256)
}

func (f DocSearchable) ID() string {
	return fmt.Sprintf("doc.searchable/%s/%d/%.16s", f.Session, f.Revision, f.Record.SHA256)
}
func (f DocSearchable) Type() string      { return TypeDocSearchable }
func (f DocSearchable) SessionID() string { return f.Session }
func (f DocSearchable) Time() time.Time   { return f.At }

// Same is always true: the hash of the record is in the subject.
func (f DocSearchable) Same([]byte) bool { return true }
