// Package collect folds facts into the ledgers of sessions and performs what they owe: a timer, an order for the whole file, doc.ready.
// Begin with Collector.Consumptions. Sweeper sets the timers of open sessions again.
//
// Promise: one compare-and-swap per session and batch; the same facts in any order and number give the same documents.
//
// # What a crash leaves
//
//	after               the next delivery finds
//	ledger swapped      the effects in the saved ledger, and performs them first
//	a part of them      the rest; each may be repeated
package collect
