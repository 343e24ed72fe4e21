package api

import (
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Fax is one line of the list of GET /faxes.
type Fax struct {
	Session   string    `json:"session"`
	Direction string    `json:"direction"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	FromName  string    `json:"from_name,omitempty"` // names of the numbers, as the server is configured
	ToName    string    `json:"to_name,omitempty"`
	Status    string    `json:"status"`
	Reason    string    `json:"reason,omitempty"` // of a partial fax, or of a recovered one with more pages than the provider counts
	Revision  int       `json:"revision"`         // 0 until a document is assembled
	Verified  bool      `json:"verified"`         // every page has the pixels of the whole file
	Verdict   string    `json:"verification"`     // one of session.Verifications
	Expected  int       `json:"pages_expected"`   // as far as is known
	Archived  int       `json:"pages_archived"`
	Opened    time.Time `json:"opened"`                 // when the first webhook was stored
	Held      bool      `json:"held"`                   // under legal hold
	Older     bool      `json:"archive_only,omitempty"` // it has no ledger (any more): the data is from the archive

	Assignee string   `json:"assignee,omitempty"` // who has it; empty: nobody
	Labels   []string `json:"labels,omitempty"`
	Read     bool     `json:"read,omitempty"`
	Done     bool     `json:"done,omitempty"`
	Noted    bool     `json:"noted,omitempty"` // it has a note

	FirstPage bool `json:"-"` // page 1 is archived; for the list of the dashboard

	// Differing are the pages that differ from the whole file, and of which nobody has chosen an image yet.
	Differing session.Ranges `json:"pages_differing,omitempty"`
}

// StatusText says in words what state a fax is in, and what to do.
func (f Fax) StatusText() string {
	missing := f.Expected - f.Archived
	switch {
	case f.Status == session.StatusReceiving && f.Expected == 0:
		return "receiving"
	case f.Status == session.StatusReceiving && missing == 0:
		return "receiving: " + Count(f.Archived, "page") + " so far"
	case f.Status == session.StatusReceiving:
		return "receiving: " + strconv.Itoa(f.Archived) + " of " + Count(f.Expected, "page")
	case f.Status == session.StatusPartial && missing > 0:
		return "partial: " + Count(missing, "page") + " missing; open the fax to see why"
	case f.Status == session.StatusRecovered:
		return "complete: pages came from the whole file"
	default:
		return f.Status
	}
}

// ReasonText is the reason as people see it: that of a recovered fax is a sentence. Empty: there is none.
func (f Fax) ReasonText() string {
	if f.Reason == session.RecoveredBeyond {
		return "the whole file has more pages than the provider counts"
	}
	return f.Reason
}

// Count is a number with a noun: 1 page, 2 pages.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// DifferText says in words which pages wait for a choice: "page 2 differs"; empty: none.
func (f Fax) DifferText() string { return DifferText(f.Differing) }

// DifferText says in words that pages differ: "pages 2, 4-6 differ"; empty: no pages do.
func DifferText(pages session.Ranges) string {
	switch pages.Len() {
	case 0:
		return ""
	case 1:
		return pages.Text() + " differs"
	default:
		return pages.Text() + " differ"
	}
}

// FaxList is a page of faxes, newest first. Next, where it is not empty, is the cursor of the following page, which may be empty.
type FaxList struct {
	Faxes      []Fax  `json:"faxes"`
	Next       string `json:"next,omitempty"`
	Incomplete string `json:"incomplete,omitempty"` // a sentence: why faxes that are only in the archive are missing

	// Seen is in a list by text. A reader that sends it with the next such list, as seen=, has no fax recorded again that Seen names.
	Seen string `json:"seen,omitempty"`
}

// FaxDetail is one fax with its pages: GET /faxes/{session}.
type FaxDetail struct {
	Fax
	Choices []session.Choice `json:"choices,omitempty"` // by page: which image of a page that differs counts
	Work    session.Work     `json:"work,omitzero"`     // what people say about it
	Pages   []Page           `json:"pages"`

	Searchable bool `json:"searchable,omitempty"` // the revision has a PDF with the text of OCR engines
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
	Bad    int            `json:"bad_rows"` // by our decoder

	*session.Received      // nil: the receiving fax machine says nothing of its rows
	ReceivedBad       bool `json:"received_bad,omitempty"` // it calls the page bad, repaired or not

	Orientation       int    `json:"orientation,omitempty"`        // of the pixels as stored, as in TIFF 6.0; absent: upright
	ResolutionAssumed string `json:"resolution_assumed,omitempty"` // why the resolution is not that of the page's tags; absent: it is

	Difference string `json:"difference,omitempty"` // from the page of the whole file: inverted, blank_against_ink or different
	Chosen     string `json:"chosen,omitempty"`     // streamed or file: the image that counts by the choice of a person

	Quality *session.Quality `json:"quality,omitempty"`
}
