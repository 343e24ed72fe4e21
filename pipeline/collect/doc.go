// Package collect folds facts into the ledgers of sessions and performs the effects: a timer, an order for the whole file, doc.ready. Begin
// with Collector.Consumptions. Sweeper sets the timers of open sessions again.
//
// Promise: it makes one compare-and-swap per session and batch. The same facts, in any order and any number, give the same documents.
//
// # What a crash leaves
//
//	after               the next delivery finds
//	the swap            the effects in the saved ledger, and performs them first
//	some effects        the same, and performs all again: each may be repeated
package collect
