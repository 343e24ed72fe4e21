package session

import "time"

// RestoreOrdered is Restore for a session whose newest revision was planned and not committed: ready is that revision's order, which is
// still owed, doc the newest revision that was committed, nil if none was, pages what is in the plan.
func RestoreOrdered(ready DocReady, doc *DocAssembled, pages []PageArchived, opened time.Time) State {
	s := Restore(ready, DocAssembled{Revision: ready.Revision}, pages, opened)
	s.Document = doc
	s.Effects = []Effect{{Ready: &ready}}
	return s
}
