package archive

import (
	"context"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Derived is the manifest of a derived document: chosen pages of a revision, some of them turned, as TIFF and PDF. The revision stays as it
// is. It is written after its documents.
type Derived struct {
	Session  string             `json:"session"`
	ToToken  string             `json:"to_token"`
	Revision int                `json:"revision"`
	Manifest session.Object     `json:"manifest"` // of the revision
	Order    session.Derivation `json:"order"`
	By       string             `json:"by"`
	Asked    string             `json:"asked"` // the name of the order; a token
	At       time.Time          `json:"at"`    // when it was ordered, UTC
	Pages    []DerivedPage      `json:"pages"` // of the order, ascending
	TIFF     session.Object     `json:"derived_tiff"`
	PDF      session.Object     `json:"derived_pdf"` // PDF/A-2b
	Software string             `json:"software"`
}

// DerivedPage is a page of the document. A page that is missing in the revision has a slip sheet in the PDF, and is not in the TIFF.
type DerivedPage struct {
	Page         int            `json:"page"`                          // of the fax, from 1
	Reason       session.Reason `json:"reason,omitempty"`              // of a missing page; all below is absent then
	Source       string         `json:"source_strip_sha256,omitempty"` // its strip in the documents of the revision
	Turned       int            `json:"turned,omitempty"`              // clockwise, degrees; absent: the strip is that of the revision
	RasterSHA256 string         `json:"raster_sha256,omitempty"`       // of the pixels as stored; of a turned page: upright and then turned
	Width        int            `json:"width,omitempty"`               // pixels, as stored
	Height       int            `json:"height,omitempty"`
	StripSHA256  string         `json:"strip_sha256,omitempty"` // the same in both documents
	StripSize    int            `json:"strip_size,omitempty"`
	TIFFOffset   int64          `json:"tiff_offset,omitempty"`
	PDFOffset    int64          `json:"pdf_offset,omitempty"`
}

const derivedMark = "derived."

// DerivedKey is the key of a derived document, or of its record; h is the hash of the object, kind is tiff, pdf or json.
func DerivedKey(id string, revision int, h, kind string) string {
	return RevisionKey(id, revision, derivedMark+h+"."+kind)
}

// IsDerived reports whether a key of a fax is that of a Derived, the record. It has the hash of the record.
func IsDerived(key string) bool { return isRecord(key, derivedMark) }

// Encode returns the record as it is archived, and the object that it is.
func (d Derived) Encode() ([]byte, session.Object, error) {
	return encodeRecord(d, d.Session, d.Revision, derivedMark)
}

// Event is the fact of a record that is archived as self.
func (d Derived) Event(self session.Object) session.DocDerived {
	return session.DocDerived{
		Session: d.Session, ToToken: d.ToToken, TIFF: d.TIFF, PDF: d.PDF, Record: self, At: d.At, Derivation: d.Order,
	}
}

// LoadDerived reads the record under a key, and returns the object that it is. The error for bytes that are no record, or the record of
// another fax, matches ErrUnreadable; for bytes with another hash than in the key, ErrAltered.
func LoadDerived(ctx context.Context, a Reader, key string) (Derived, session.Object, error) {
	return loadRecord[Derived](ctx, a, key)
}

// ParseDerived reads the bytes of a record under a key.
func ParseDerived(data []byte, key string) (Derived, error) { return parseRecord[Derived](data, key) }
