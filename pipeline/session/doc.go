// Package session has the facts and the ledger of one fax session. Start with Fact and Next.
//
// The parts of faxstream send each other facts (PageAnnounced, Closed, PageArchived, ...) through JetStream. A fact has
// its subject, its stable id, and a check whether another payload on that subject is the same fact.
//
// The ledger is the pure function Next: it folds facts and timers that have fired into a State, and adds the effects that
// are due. It has no clock, no I/O and no goroutine; times come with events.
//
// Promise: the same events, in any order and number between two timers, give the same document order (DocReady). A crash
// leaves nothing of this package. The effects that are due are a part of the State: after a crash the stored State still
// has those that are not known to be done, and doing one twice changes nothing.
//
// The package imports no other package of faxstream. All of them may import it.
package session
