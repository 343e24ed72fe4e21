// Package recovery restores from the archive what JetStream has lost: the ledger of one fax (Restore), all of them (Rebuild), and the
// list of faxes (Catalog). Begin with Rebuild. Cleaner removes the ledgers of faxes that ended long ago from JetStream, and Ledgers reads
// them then.
//
// Promise: everything that it restores is create-only. Rebuild may run again, and on a JetStream that has everything it changes nothing. A
// ledger leaves only if Restore gives the same fax back, and only as it was when that was found.
//
// # What a crash leaves
//
//	after                  the next run
//	a part of a Rebuild    does the rest
//	a part of a Clean      does the rest: a ledger is there or has left
package recovery
