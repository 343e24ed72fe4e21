package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// WholeOrdered orders the whole-file worker to fetch the whole file, to cut the wanted pages from it, and to compare the
// streamed pages with those of the file.
type WholeOrdered struct {
	Session  string `json:"session"`
	N        int    `json:"n"` // allocated in the ledger, from 1
	From     string `json:"from"`
	To       string `json:"to"`
	Wanted   Ranges `json:"wanted"`             // pages that are missing
	All      bool   `json:"all,omitempty"`      // all pages of the file are wanted, because their number is unknown; at least Wanted
	Compare  Ranges `json:"compare,omitempty"`  // pages that were streamed
	Revision int    `json:"revision,omitempty"` // of the document that Compare is about
	Counted  int    `json:"counted,omitempty"`  // pages that the close counts; 0: unknown. Pages of the file beyond are wanted too

	// TryFor is how long the fetch is retried, in nanoseconds from the time when the order is stored.
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

// WholeDone ends a WholeOrdered: the file is archived and the pages cut from it are published, or the fetch failed for good.
type WholeDone struct {
	Session string      `json:"session"`
	ToToken string      `json:"to_token"`
	N       int         `json:"n"`
	Object  *Object     `json:"object,omitempty"` // nil: failed
	Pages   int         `json:"pages"`            // in the file
	Beyond  Ranges      `json:"beyond,omitempty"` // pages of the file that the close does not count; wanted too
	Lost    PageReasons `json:"lost,omitempty"`   // wanted pages that could not be cut
	Reason  Reason      `json:"reason,omitempty"` // why it failed
	Detail  string      `json:"detail,omitempty"`
	At      time.Time   `json:"at"`

	Attempts []Attempt `json:"attempts,omitempty"` // the failed attempts; if the order failed, with the last one
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

func (s *State) wholeDone(f WholeDone, at time.Time) {
	s.FilePages = max(s.FilePages, min(f.Pages, MaxPages))
	if f.Object != nil && f.N > s.FileN {
		s.FileN, s.NewestPages = f.N, min(f.Pages, MaxPages)
	}
	current := f.N > 0 && f.N == s.WholeN
	if current {
		s.WholeOpen = false
		s.cut(f)
		if f.Object == nil {
			s.compareLater(at)
		}
	}
	lost := f.Lost.byReason()
	for reason, pages := range lost {
		if reason != ReasonNotInFile {
			s.failed(pages, reason)
		}
	}
	// A reason from the page's own file says more than that the whole file has no such page.
	beyond := lost[ReasonNotInFile]
	if current && s.WholeAll && f.Pages > 0 { // the order was for all pages of the file: f does not list pages that the file lacks
		beyond = beyond.Union(s.missing().Intersect(s.WholeTried).Minus(inFile(f)))
	}
	s.failed(beyond.Minus(s.explained()), ReasonNotInFile)
	if f.Object == nil {
		s.failed(s.missing().Minus(s.explained()), f.Reason)
	}
}

func inFile(f WholeDone) Ranges { return Span(1, min(f.Pages, MaxPages)) }

// cut adds the pages that the newest order cut from the file. Their own facts are stored before this one, but in another
// stream, and may be folded later. Without this a partial document could be ordered in between.
func (s *State) cut(f WholeDone) {
	if f.Object == nil {
		return
	}
	s.WholeTried = s.WholeTried.Union(f.Beyond)
	got := inFile(f)
	if !s.WholeAll {
		got = got.Intersect(s.WholeWanted.Union(f.Beyond))
	} else if s.AllTried { // no better close came after the order
		s.WholeTried = s.WholeTried.Union(got)
	}
	got = got.Minus(s.Usable).Minus(s.Lost)
	for _, lost := range f.Lost.byReason() {
		got = got.Minus(lost)
	}
	s.Usable, s.Cut = s.Usable.Union(got), s.Cut.Union(got)
	if f.ToToken == UnknownToken {
		s.Unbound = s.Unbound.Union(got)
	}
}
