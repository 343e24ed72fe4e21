package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// MaxDocuments is how many documents one DeriveOrder may make.
const MaxDocuments = 50

// DeriveOrder makes documents of chosen pages of the newest revision: POST /faxes/{session}/derived. Pages are written as "1-3, 5" or "7-",
// which goes on to the last page.
type DeriveOrder struct {
	Order
	Documents []string `json:"documents,omitempty"`  // the pages of each document; absent: one of all pages
	Right     string   `json:"turn_90,omitempty"`    // pages to turn right, in whichever document they are
	Over      string   `json:"turn_180,omitempty"`   // to turn over
	Left      string   `json:"turn_270,omitempty"`   // to turn left
	SkipBlank bool     `json:"skip_blank,omitempty"` // pages without ink are left out
}

// DeriveAnswer is the answer to a DeriveOrder, which is stored.
type DeriveAnswer struct {
	Session   string    `json:"session"`
	Documents []Derived `json:"documents"` // those that are made
	Done      bool      `json:"done"`      // all are made; false: they will be
}

// DerivedList are the derived documents of a fax, oldest first: GET /faxes/{session}/derived.
type DerivedList struct {
	Session   string    `json:"session"`
	Documents []Derived `json:"documents"`
}

// Derived is a derived document. GET /faxes/{session}/derived/ID.pdf, ID.tiff and ID.json are its files and its record.
type Derived struct {
	ID   string         `json:"id"`   // the first 16 hex digits of the record's hash
	Text string         `json:"text"` // which pages it has, in words
	By   string         `json:"by"`
	At   time.Time      `json:"at"` // when it was ordered, UTC
	TIFF session.Object `json:"derived_tiff"`
	PDF  session.Object `json:"derived_pdf"`
	session.Derivation
}
