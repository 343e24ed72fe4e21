package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// State is what is known of one session. Its JSON is the KV document. A new session's is State{Session: id}.
//
// Page sets are ranges, so that a fax of any length stays small; what a page looks like stands in its own fact.
type State struct {
	Session     string            `json:"session"`
	Direction   string            `json:"direction"`
	ToToken     string            `json:"to_token,omitempty"`
	From        string            `json:"from,omitempty"` // those of the accepted close, else those of the pages
	To          string            `json:"to,omitempty"`
	PageFrom    string            `json:"page_from,omitempty"` // of the lowest page that has any
	PageTo      string            `json:"page_to,omitempty"`
	NumbersPage int               `json:"numbers_page,omitempty"` // the page that PageFrom and PageTo came from; 0: none
	Opened      time.Time         `json:"opened"`                 // first fact stored
	LastSeen    time.Time         `json:"last_seen"`              // last fact of the provider stored
	Announced   Ranges            `json:"announced,omitempty"`
	Usable      Ranges            `json:"usable,omitempty"`
	Cut         Ranges            `json:"cut,omitempty"`     // of Usable, those from the whole file
	Unbound     Ranges            `json:"unbound,omitempty"` // published under UnknownToken only
	Final       Ranges            `json:"final,omitempty"`   // own fetch is over, without success
	Failed      map[Reason]Ranges `json:"failed,omitempty"`  // the last reason of each page
	Seq         uint64            `json:"seq,omitempty"`     // highest of FAX_PAGES seen
	Close       *Closed           `json:"close,omitempty"`   // the best one
	OtherCloses []Closed          `json:"other_closes,omitempty"`
	GraceAt     time.Time         `json:"grace_at,omitzero"`   // when its schedule is due; zero: not set
	GraceFor    Ranges            `json:"grace_for,omitempty"` // pages that were expected when the last grace began
	GraceAll    bool              `json:"grace_all,omitempty"` // one was for pages that nobody had counted
	IdleAt      time.Time         `json:"idle_at,omitzero"`
	FoldedInto  string            `json:"folded_into,omitempty"` // the session that had this fax's file before; it has the document
	AskedN      int               `json:"asked_n,omitempty"`     // how often the provider's record was asked for
	Asking      bool              `json:"asking,omitempty"`      // the last one is not answered yet
	GivenUp     bool              `json:"given_up,omitempty"`    // no close came
	WholeN      int               `json:"whole_n,omitempty"`     // orders so far
	WholeOpen   bool              `json:"whole_open,omitempty"`
	WholeWanted Ranges            `json:"whole_wanted,omitempty"` // of the newest order
	WholeAll    bool              `json:"whole_all,omitempty"`    // the newest order wants all that the file has
	WholeTried  Ranges            `json:"whole_tried,omitempty"`  // pages asked of the whole file under this close
	AllTried    bool              `json:"all_tried,omitempty"`    // all that it has was asked for under this close
	FilePages   int               `json:"file_pages,omitempty"`   // pages in the whole file, once known
	Comparing   Ranges            `json:"comparing,omitempty"`    // what the newest order compares
	Compared    Ranges            `json:"compared,omitempty"`     // streamed pages whose comparison was asked for under this close
	VerdictN    int               `json:"verdict_n,omitempty"`    // the newest order that gave a verdict
	Agreed      Ranges            `json:"agreed,omitempty"`       // verdicts
	Differing   Ranges            `json:"differing,omitempty"`
	Repairs     []Repairs         `json:"repairs,omitempty"`
	VerifyTries int               `json:"verify_tries,omitempty"` // comparisons under this close for which the file could not be had
	VerifyAt    time.Time         `json:"verify_at,omitzero"`     // when the next one is due
	Ordered     int               `json:"ordered,omitempty"`      // last revision asked for
	Planned     string            `json:"planned,omitempty"`      // digest of what was asked for
	Void        int               `json:"void,omitempty"`         // last revision that will never have a manifest
	Lost        Ranges            `json:"lost,omitempty"`         // archived once, never usable again
	Document    *DocAssembled     `json:"document,omitempty"`     // last revision that is in the archive
	Held        bool              `json:"held,omitempty"`         // under legal hold
	Purged      bool              `json:"purged,omitempty"`       // removed for good: whatever comes, there is no document any more
	KeptAt      time.Time         `json:"kept_at,omitzero"`       // when the newest of hold, release and purge was asked for
	Effects     []Effect          `json:"effects,omitempty"`      // not yet known to be done
}

func (s State) clone() State {
	s.Failed = maps.Clone(s.Failed)
	s.OtherCloses = slices.Clone(s.OtherCloses)
	s.Repairs = slices.Clone(s.Repairs)
	s.Effects = slices.Clone(s.Effects)
	return s
}

// Expected is the pages that the fax has as far as we know: those of the close, those announced and those that we had.
func (s *State) Expected() Ranges {
	n := s.Announced.Max()
	counted := 0
	if s.Close != nil {
		counted = s.Close.Pages
		if counted <= 0 {
			counted = s.FilePages
		}
	} else {
		counted = n
	}
	return Span(1, min(counted, MaxPages)).Union(s.Announced).Union(s.Lost)
}

// uncounted: the fax is over, and nobody says how many pages it has.
func (s *State) uncounted() bool { return s.Close != nil && s.Close.Pages <= 0 && s.FilePages == 0 }

// inFlight: the last revision asked for is neither in the archive nor given up.
func (s *State) inFlight() bool { return s.Ordered > max(s.Revision(), s.Void) }

// void: the last revision asked for was given up.
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

// Revision is the newest one in the archive, 0 while there is none.
func (s *State) Revision() int {
	if s.Document == nil {
		return 0
	}
	return s.Document.Revision
}

// Status is the fax's status as people see it: that of its newest document, unless a newer one could not be made.
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

// PageStatus is a page's status as people see it, with the reason of a failure where there was one.
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

// Marshal gives the KV document.
func (s State) Marshal() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("ledger of session %s: %w", s.Session, err)
	}
	return b, nil
}

// ParseState reads a KV document.
func ParseState(b []byte) (State, error) {
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("ledger document: %w", err)
	}
	return s, nil
}
