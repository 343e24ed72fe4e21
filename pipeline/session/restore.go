package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Restore makes the ledger of a session that is only in the archive. ready is the order of its newest revision, doc that
// revision, pages the pages in it, opened the time of the first fact. Later events are folded as if the ledger was never lost.
func Restore(ready DocReady, doc DocAssembled, pages []PageArchived, opened time.Time) State {
	s := State{
		Session: ready.Session, Direction: ready.Direction, ToToken: ready.ToToken, From: ready.From, To: ready.To,
		PageFrom: ready.From, PageTo: ready.To, NumbersPage: 1,
		Opened: opened, LastSeen: opened, Close: ready.Close, GivenUp: ready.Close == nil,
		Ordered: doc.Revision, Document: &doc,
	}
	for _, f := range pages {
		s.Usable = s.Usable.Add(f.Page)
		if f.BodySHA256 != "" {
			s.Announced = s.Announced.Add(f.Page)
		} else if f.cut() {
			s.Cut = s.Cut.Add(f.Page)
		}
	}
	if ready.Status == StatusRecovered { // one of the cut pages was announced; which one makes no difference
		s.Announced = s.Announced.Union(s.Cut)
	}
	s.NewestPages = s.Cut.Max() // its pages beyond the count were in the file
	s.Choices = ready.Choices
	var missing Ranges
	for page, reason := range ready.Missing {
		missing = missing.Add(page)
		s.failed(Span(page, page), reason)
		if ready.Close == nil || page > ready.Close.Pages {
			s.Announced = s.Announced.Add(page) // only an announcement made it expected
		}
	}
	s.WholeTried, s.AllTried = missing, true // the whole file was tried for them before the document was made without them
	if ready.Close != nil && ready.Close.Pages <= 0 {
		s.FilePages = s.Usable.Union(missing).Max()
	}
	s.Planned = planned(ready, missing)
	return s
}

// RestoreOrdered is Restore for a session whose newest revision was planned but not committed. ready is the order of that revision,
// which is still due; doc is the newest committed revision, nil if there is none; pages has the pages in the plan.
func RestoreOrdered(ready DocReady, doc *DocAssembled, pages []PageArchived, opened time.Time) State {
	s := Restore(ready, DocAssembled{Revision: ready.Revision}, pages, opened)
	s.Document = doc
	s.Effects = []Effect{{Ready: &ready}}
	return s
}

// Finished reports whether nothing about a fax is open: it has a document, no order, question, timer or choice of a person waits, and it is
// neither purged nor folded. Only something new changes its ledger.
func (s *State) Finished() bool {
	return s.Document != nil && s.Ordered == s.Document.Revision && (s.Close != nil || s.GivenUp) && s.FoldedInto == "" &&
		!s.WholeOpen && !s.Asking && len(s.Unbound) == 0 && len(s.Disputed()) == 0 && len(s.Effects) == 0 && len(s.Timers()) == 0
}

// traits are what a restored ledger must have as the lost one had it.
var traits = []struct {
	name string
	of   func(s *State, p Policy) any
}{
	{"direction and numbers", func(s *State, _ Policy) any { return []string{s.Direction, s.From, s.To, s.ToToken} }},
	{"document", func(s *State, _ Policy) any { return s.Document }},
	{"close", func(s *State, _ Policy) any { return s.Close }},
	{"other closes", func(s *State, _ Policy) any { return len(s.OtherCloses) }},
	{"order of the document", func(s *State, _ Policy) any { return []any{s.Ordered, s.Planned, repairsText(s.Repairs)} }},
	{"pages", func(s *State, _ Policy) any {
		return []string{rangesText(s.Usable), rangesText(s.Cut), rangesText(s.Lost), rangesText(s.Expected())}
	}},
	{"announced pages", func(s *State, _ Policy) any {
		return []any{rangesText(s.missing().Intersect(s.Announced)), len(s.Cut.Intersect(s.Announced)) > 0}
	}},
	{"reasons of missing pages", func(s *State, _ Policy) any {
		reasons := PageReasons{}
		for page := range s.missing().All() {
			reasons[page] = s.missingReason(page)
		}
		return reasons
	}},
	{"comparison with the whole file", func(s *State, _ Policy) any {
		names := map[int]string{}
		for page := range s.Differing.All() {
			names[page] = s.Difference(page)
		}
		return []any{s.Verification(), names, choicesText(s.Choices)}
	}},
	{"hold", func(s *State, _ Policy) any { return []any{s.Held, s.Purged, s.FoldedInto, s.KeptAt.UnixNano()} }},
	{"work", func(s *State, _ Policy) any { return s.Work }},
	{"open work", (*State).wants},
}

// Unlike names the first thing that a ledger restored from the archive does not have as s has it; empty: it is the same fax for everybody
// who looks at it, and what comes later changes both in the same way. Not compared is what only a fax needs that is not finished.
func (s *State) Unlike(restored State, p Policy) (string, error) {
	for _, t := range traits {
		mine, err := json.Marshal(t.of(s, p))
		if err != nil {
			return "", fmt.Errorf("compare %s of session %s: %w", t.name, s.Session, err)
		}
		other, err := json.Marshal(t.of(&restored, p))
		if err != nil {
			return "", fmt.Errorf("compare %s of session %s: %w", t.name, s.Session, err)
		}
		if !bytes.Equal(mine, other) {
			return t.name, nil
		}
	}
	return "", nil
}

// wants are the kinds of effects that the ledger has or makes due when anything is folded into it.
func (s *State) wants(p Policy) any {
	next := s.clone()
	next.settle(p, s.LastSeen)
	kinds := []string{}
	for _, e := range next.Effects {
		switch {
		case e.Timer != nil:
			kinds = append(kinds, "timer")
		case e.Whole != nil:
			kinds = append(kinds, "whole")
		case e.Ask != nil:
			kinds = append(kinds, "ask")
		case e.Ready != nil:
			kinds = append(kinds, "ready")
		default:
			kinds = append(kinds, "rebind")
		}
	}
	return kinds
}
