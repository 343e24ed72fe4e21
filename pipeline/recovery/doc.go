// Package recovery brings back what JetStream has lost from the archive: the ledger of one fax (Restore), all of them (Rebuild), and the
// list of faxes (Catalog). Begin with Rebuild.
//
// Promise: everything is create-only. Rebuild may run again, or beside a JetStream that has everything: then it changes nothing. A crash
// leaves a part, which the next Rebuild completes.
package recovery
