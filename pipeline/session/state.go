package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// State is the ledger of one session. Its JSON is the KV document. The state of a new session is State{Session: id}. All times
// are UTC.
//
// Page sets are ranges, so that a State is small for a fax of any length; the details of a page are in its own fact.
type State struct {
	Session     string            `json:"session"`
	Direction   string            `json:"direction"`
	ToToken     string            `json:"to_token,omitempty"`
	From        string            `json:"from,omitempty"` // From and To: of the accepted close, else of the pages
	To          string            `json:"to,omitempty"`
	PageFrom    string            `json:"page_from,omitempty"` // PageFrom and PageTo: of the lowest page that has any
	PageTo      string            `json:"page_to,omitempty"`
	NumbersPage int               `json:"numbers_page,omitempty"` // the page that PageFrom and PageTo came from; 0: none
	Opened      time.Time         `json:"opened"`                 // when the first fact was stored
	LastSeen    time.Time         `json:"last_seen"`              // when the last fact of the provider was stored
	Announced   Ranges            `json:"announced,omitempty"`
	Usable      Ranges            `json:"usable,omitempty"`
	Cut         Ranges            `json:"cut,omitempty"`     // the pages of Usable that come from the whole file
	Unbound     Ranges            `json:"unbound,omitempty"` // published under UnknownToken only
	Final       Ranges            `json:"final,omitempty"`   // their own fetch has failed for good
	Failed      map[Reason]Ranges `json:"failed,omitempty"`  // the last reason of each page
	Seq         uint64            `json:"seq,omitempty"`     // highest sequence of FAX_PAGES that was folded
	Close       *Closed           `json:"close,omitempty"`   // the best one
	OtherCloses []Closed          `json:"other_closes,omitempty"`
	GraceAt     time.Time         `json:"grace_at,omitzero"`   // when its schedule is due; zero: not set
	GraceFor    Ranges            `json:"grace_for,omitempty"` // pages that were expected when the last grace time began
	GraceAll    bool              `json:"grace_all,omitempty"` // a grace time was for pages of unknown number
	IdleAt      time.Time         `json:"idle_at,omitzero"`
	FoldedInto  string            `json:"folded_into,omitempty"`  // the session that claimed this fax's file before; it has the document
	AskedN      int               `json:"asked_n,omitempty"`      // how often the provider's record was asked for
	Asking      bool              `json:"asking,omitempty"`       // the last question is not answered yet
	GivenUp     bool              `json:"given_up,omitempty"`     // no close came
	WholeN      int               `json:"whole_n,omitempty"`      // number of orders for the whole file
	WholeOpen   bool              `json:"whole_open,omitempty"`   // the newest order is not done
	WholeWanted Ranges            `json:"whole_wanted,omitempty"` // pages of the newest order
	WholeAll    bool              `json:"whole_all,omitempty"`    // the newest order is for all pages of the file
	WholeTried  Ranges            `json:"whole_tried,omitempty"`  // pages that were ordered from the whole file under this close
	AllTried    bool              `json:"all_tried,omitempty"`    // all pages of the file were ordered under this close
	FilePages   int               `json:"file_pages,omitempty"`   // pages in the whole file; 0: unknown
	FileN       int               `json:"file_n,omitempty"`       // the newest order that fetched the whole file
	NewestPages int               `json:"newest_pages,omitempty"` // pages in that file
	Comparing   Ranges            `json:"comparing,omitempty"`    // pages that the newest order compares
	Compared    Ranges            `json:"compared,omitempty"`     // streamed pages whose comparison was ordered under this close
	VerdictN    int               `json:"verdict_n,omitempty"`    // the newest order with a verdict
	Agreed      Ranges            `json:"agreed,omitempty"`       // Agreed, Differing and Repairs: verdicts of comparisons
	Differing   Ranges            `json:"differing,omitempty"`
	Repairs     []Repairs         `json:"repairs,omitempty"`
	Disputes    []Repairs         `json:"disputes,omitempty"`     // the reports that found Differing
	Differences map[string]Ranges `json:"differences,omitempty"`  // Differing by the name of the difference
	Choices     []Choice          `json:"choices,omitempty"`      // which image of a differing page counts; by page
	VerifyTries int               `json:"verify_tries,omitempty"` // comparisons under this close for which the fetch of the file failed
	VerifyAt    time.Time         `json:"verify_at,omitzero"`     // when the next comparison is due
	Ordered     int               `json:"ordered,omitempty"`      // last ordered revision
	Planned     string            `json:"planned,omitempty"`      // digest of the last order
	Void        int               `json:"void,omitempty"`         // last revision that will never have a manifest
	Lost        Ranges            `json:"lost,omitempty"`         // were archived, but are never usable again
	Document    *DocAssembled     `json:"document,omitempty"`     // last revision that is in the archive
	Held        bool              `json:"held,omitempty"`         // under legal hold
	Purged      bool              `json:"purged,omitempty"`       // removed for good: later events make no document
	KeptAt      time.Time         `json:"kept_at,omitzero"`       // when the newest hold, release or purge was ordered
	Work        Work              `json:"work,omitzero"`          // what people say about it
	Effects     []Effect          `json:"effects,omitempty"`      // not yet known to be done
}

func (s State) clone() State {
	s.Failed = maps.Clone(s.Failed)
	s.OtherCloses = slices.Clone(s.OtherCloses)
	s.Repairs = slices.Clone(s.Repairs)
	s.Effects = slices.Clone(s.Effects)
	s.Disputes, s.Choices = slices.Clone(s.Disputes), slices.Clone(s.Choices)
	s.Differences = maps.Clone(s.Differences)
	return s
}

// Expected returns the pages that the fax has as far as we know: those of the close, the announced ones, those that only the whole
// file has, and the lost ones.
func (s *State) Expected() Ranges {
	n := s.Announced.Max()
	counted := 0
	if s.Close != nil {
		counted = s.Close.Pages
		if counted <= 0 {
			counted = s.FilePages
		}
		counted = max(counted, s.beyond().Max())
	} else {
		counted = n
	}
	return Span(1, min(counted, MaxPages)).Union(s.Announced).Union(s.Lost)
}

// beyond returns the pages of the newest whole file that the close does not count. A page that is in the file was sent, whatever the
// provider counts.
func (s *State) beyond() Ranges {
	if s.Close == nil || s.Close.Pages <= 0 || s.NewestPages <= s.Close.Pages {
		return nil
	}
	return Span(s.Close.Pages+1, s.NewestPages)
}

// uncounted reports whether the fax is over and its number of pages is unknown.
func (s *State) uncounted() bool { return s.Close != nil && s.Close.Pages <= 0 && s.FilePages == 0 }

// inFlight reports whether the last ordered revision is neither in the archive nor given up.
func (s *State) inFlight() bool { return s.Ordered > max(s.Revision(), s.Void) }

// void reports whether the last ordered revision was given up.
func (s *State) void() bool { return s.Ordered > s.Revision() && s.Ordered == s.Void }

func (s *State) missing() Ranges { return s.Expected().Minus(s.Usable) }

func (s *State) reason(page int) (Reason, bool) {
	if s.Lost.Has(page) {
		return ReasonLost, true
	}
	for reason, pages := range s.Failed {
		if pages.Has(page) {
			return reason, true
		}
	}
	return "", false
}

func (s *State) missingReason(page int) Reason {
	if r, ok := s.reason(page); ok {
		return r
	}
	if s.Announced.Has(page) {
		return ReasonNotYet
	}
	return ReasonNotAnnounced
}

// Revision returns the newest revision in the archive, 0 while there is none.
func (s *State) Revision() int {
	if s.Document == nil {
		return 0
	}
	return s.Document.Revision
}

// Status returns the fax's status for people: that of its newest document, or StatusPartial if a newer one failed.
func (s *State) Status() string {
	switch {
	case s.Purged:
		return StatusPurged
	case s.FoldedInto != "":
		return StatusFolded
	case s.void():
		return StatusPartial
	case s.Document == nil:
		return StatusReceiving
	default:
		return s.Document.Status
	}
}

// PageStatus returns a page's status and source for people, with the reason of a failure if there was one.
func (s *State) PageStatus(page int) (status, source string, reason Reason) {
	switch r, _ := s.reason(page); {
	case s.Usable.Has(page) && s.Cut.Has(page):
		return PageStatusArchived, SourceWholeFile, ""
	case s.Usable.Has(page):
		return PageStatusArchived, SourceFetch, ""
	case s.Document != nil || s.GivenUp || s.void() || s.Lost.Has(page):
		return PageStatusMissing, "", s.missingReason(page)
	default:
		return PageStatusAnnounced, "", r
	}
}

// Marshal returns the KV document.
func (s State) Marshal() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the ledger of session %s as JSON: %w", s.Session, err)
	}
	return b, nil
}

// ParseState reads a KV document. It returns an error for anything but the JSON of a State.
func ParseState(b []byte) (State, error) {
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("malformed ledger: %w", err)
	}
	return s, nil
}
