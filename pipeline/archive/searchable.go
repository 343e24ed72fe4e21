package archive

import (
	"context"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Searchable is the record of a PDF that has the images of a revision and the text of its pages. It is written after the PDF: one without
// a record does not count. A revision may have several, because better texts may come: the one with the newest text counts.
type Searchable struct {
	Session  string           `json:"session"`
	ToToken  string           `json:"to_token"`
	Revision int              `json:"revision"`
	Manifest session.Object   `json:"manifest"`       // of the revision
	PDF      session.Object   `json:"searchable_pdf"` // PDF/A-2u
	Pages    []SearchablePage `json:"pages"`          // the usable ones, ascending
	At       time.Time        `json:"at"`             // when the newest text came, UTC
	Software string           `json:"software"`
}

// SearchablePage is a page of the document.
type SearchablePage struct {
	Page      int            `json:"page"`       // from 1
	Words     session.Object `json:"words"`      // its text, a PageText
	PDFOffset int64          `json:"pdf_offset"` // of its strip, which is that of the manifest
}

const searchableMark = "searchable."

// SearchableKey is the key of a PDF with text, or of its record; h is the hash of the object, kind is pdf or json.
func SearchableKey(id string, revision int, h, kind string) string {
	return RevisionKey(id, revision, searchableMark+h+"."+kind)
}

// IsSearchable reports whether a key of a fax is that of a Searchable, the record. It has the hash of the record.
func IsSearchable(key string) bool { return isRecord(key, searchableMark) }

// Encode returns the record as it is archived, and the object that it is.
func (s Searchable) Encode() ([]byte, session.Object, error) {
	return encodeRecord(s, s.Session, s.Revision, searchableMark)
}

// Event is the fact of a record that is archived as self.
func (s Searchable) Event(self session.Object) session.DocSearchable {
	return session.DocSearchable{
		Session: s.Session, ToToken: s.ToToken, Revision: s.Revision, Pages: len(s.Pages), PDF: s.PDF, Record: self, At: s.At,
	}
}

// LoadSearchable reads the record under a key, and returns the object that it is. The error for bytes that are no record, or the record of
// another fax, matches ErrUnreadable; for bytes with another hash than in the key, ErrAltered.
func LoadSearchable(ctx context.Context, a Reader, key string) (Searchable, session.Object, error) {
	return loadRecord[Searchable](ctx, a, key)
}

// ParseSearchable reads the bytes of a record under a key.
func ParseSearchable(data []byte, key string) (Searchable, error) {
	return parseRecord[Searchable](data, key)
}

// NewestSearchable finds the record that counts of a revision, from 1: the one with the newest text, and of those the last key. keys are
// those of the fax's revisions. ok is false if there is none. A record that is damaged, or that was purged meanwhile, does not count.
func NewestSearchable(ctx context.Context, a Reader, id string, revision int, keys []string,
) (s Searchable, self session.Object, ok bool, err error) {
	dir := RevisionKey(id, revision, "")
	for _, key := range keys {
		if !IsSearchable(key) || !strings.HasPrefix(key, dir) {
			continue
		}
		other, object, err := LoadSearchable(ctx, a, key)
		if Lost(err) || Broken(err) {
			continue // verify names it
		}
		if err != nil {
			return s, self, false, err
		}
		if !ok || !other.At.Before(s.At) {
			s, self, ok = other, object, true
		}
	}
	return s, self, ok, nil
}
