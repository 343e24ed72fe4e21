// Package session is the vocabulary of facts and the ledger of one fax session.
//
// Facts (PageAnnounced, Closed, PageArchived, ...) are what the parts of faxstream tell each other through
// JetStream: each knows its subject, its stable id and whether another payload on that subject says the same.
// Start with Fact. The ledger is the pure function Next: it folds facts and timer firings into a State and
// says which effects are due. It has no clock, no I/O and no goroutine; times arrive inside events.
//
// The package imports nothing of ours and may be imported by ingest, pipeline and cmd alike.
package session
