// Package desk has what people say about a fax: who has it, whether it is read and done, its labels and a note. It is a log in the
// archive (desk/<session>/) and a part of the ledger. Begin with Clerk.Consumptions; Logs.StoreNote comes before the order, Read after it.
//
// Promise: no change is lost that was answered as done, also if JetStream is lost. If two people change the same thing at once, both
// entries are in the log, the first one counts, and the second person is told. A purge of the fax removes the log with its notes: FAX_AUDIT
// has who changed what and when, and the hash of a note, and never its text.
//
// # What a crash leaves
//
//	after                          the next delivery
//	the note, before its order     nothing: no entry names the note, and a purge removes it
//	the order in FAX_AUDIT         writes the entry
//	the entry, before its fact     finds the entry and records the fact
package desk
