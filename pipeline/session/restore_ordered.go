package session

import "time"

// RestoreOrdered is Restore for a session whose newest revision was planned but not committed. ready is the order of that revision,
// which is still due; doc is the newest committed revision, nil if there is none; pages has the pages in the plan.
func RestoreOrdered(ready DocReady, doc *DocAssembled, pages []PageArchived, opened time.Time) State {
	s := Restore(ready, DocAssembled{Revision: ready.Revision}, pages, opened)
	s.Document = doc
	s.Effects = []Effect{{Ready: &ready}}
	return s
}
