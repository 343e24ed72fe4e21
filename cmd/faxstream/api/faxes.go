package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Fax is one line of the list of GET /faxes.
type Fax struct {
	Session   string    `json:"session"`
	Direction string    `json:"direction"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Status    string    `json:"status"`
	Reason    string    `json:"reason,omitempty"` // of a partial fax
	Revision  int       `json:"revision"`         // 0 until a document is assembled
	Verified  bool      `json:"verified"`         // every page has the pixels of the whole file
	Verdict   string    `json:"verification"`     // none, pending, verified, differs or unavailable
	Expected  int       `json:"pages_expected"`   // as far as is known
	Archived  int       `json:"pages_archived"`
	Opened    time.Time `json:"opened"`                 // when the first webhook was stored
	Held      bool      `json:"held"`                   // under legal hold
	Older     bool      `json:"archive_only,omitempty"` // it has no ledger (any more): the data is from the archive
}

// FaxList is a page of faxes, newest first. Next, where it is not empty, is the cursor of the following page, which may be empty.
type FaxList struct {
	Faxes      []Fax  `json:"faxes"`
	Next       string `json:"next,omitempty"`
	Incomplete string `json:"incomplete,omitempty"` // a sentence: why faxes that are only in the archive are missing
}

// FaxDetail is one fax with its pages: GET /faxes/{session}.
type FaxDetail struct {
	Fax
	Pages []Page `json:"pages"`
}

// Page is one page of a fax.
type Page struct {
	Page   int            `json:"page"`   // from 1
	Status string         `json:"status"` // announced, then archived or missing
	Source string         `json:"source"` // fetch or whole_file; empty until archived
	Reason session.Reason `json:"reason"` // of the last failure; empty once archived
	SHA256 string         `json:"sha256"` // of the bytes as fetched
	Width  int            `json:"width"`  // pixels
	Height int            `json:"height"`
	Bad    int            `json:"bad_rows"`

	Quality *session.Quality `json:"quality,omitempty"`
}
