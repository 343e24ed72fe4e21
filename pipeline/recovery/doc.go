// Package recovery restores from the archive what JetStream has lost: the ledger of one fax (Restore), all of them (Rebuild), and the
// list of faxes (Catalog). Begin with Rebuild.
//
// Promise: everything is create-only. Rebuild may run again, and on a JetStream that has everything it changes nothing.
//
// # What a crash leaves
//
//	after                  the next run
//	a part of a Rebuild    does the rest
package recovery
