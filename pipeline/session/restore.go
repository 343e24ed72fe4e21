package session

import "time"

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
