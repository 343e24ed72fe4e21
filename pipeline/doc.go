// Package pipeline turns announcements into archived pages and documents. Start with Start.
//
//	FAX_IN  in.page ─────────► worker.announced ─ fetch ─ archive original ─ decode ─ archive PNG ─► FAX_PAGES page.archived
//	FAX_TIMERS due.retry ────► worker.retryDue ─┘        └─ no page: schedule a retry ────────────► FAX_PAGES page.failed
//	FAX_IN  in.whole ────────► worker.ordered ─ fetch the whole file ─ archive ─ cut pages ───────► FAX_PAGES page.archived,
//	                             or compare streamed pages with theirs                              FAX_DOCS  doc.verified, then
//	                                                                                                          doc.whole_cut or whole_failed
//	FAX_IN, FAX_PAGES, FAX_DOCS, FAX_TIMERS ─► collector: folds facts into the session's ledger, performs what it owes:
//	                                           a timer, an order for the whole file, doc.ready
//	FAX_TIMERS due.whole ────► worker.retryDue, as ordered
//	FAX_DOCS doc.ready ──────► assembler ─ plan ─ TIFF and PDF ─ index ─ manifest ────────────────► FAX_DOCS doc.assembled or doc.failed
//
// # What a crash leaves
//
// Every handler may be run again from the start, and is: its message is acknowledged only after its last write.
//
//	after                        the next run finds
//	sidecar, before its object   a sidecar without object, which is no page
//	original                     the page in the archive (lookup): it is not fetched again
//	PNG                          the same PNG under the same key
//	page.archived                the fact on its subject: nothing is published twice
//	schedule, before page.failed the same schedule: its due time follows from the message, not from a clock
//	ledger swapped               the effects in the saved ledger, performed first
//	plan                         the plan, which wins over a new one
//	TIFF or PDF                  the same bytes under the same key
//	manifest                     the manifest: only the event is published, from it
//
// # Where this differs from the design on paper
//
//   - Every retry is a schedule, also the short ones: one mechanism, and the attempt's number travels in the message.
//   - The whole-file worker ends every order with doc.whole_cut or doc.whole_failed. One that compares streamed pages with the whole
//     file publishes doc.verified before it; the particulars of each page are in an archived report, which the next revision reads
//     where a page is repaired. A verdict counts for the pages of its order, not for object hashes: a page's fact never changes.
//   - Keys of the archive are made here (archive.go): this package may not import storage, whose interface it restates in standard types.
//   - page.archived carries the hash of a strip that the decoder found clean. The assembler copies that strip without decoding it again.
//   - A page or file that fails by 5xx, timeout, 401 or 403 past its deadline is given up only if a probe of the account's list
//     succeeds; otherwise it is an outage, and everything waits. There is no stage that stops as a whole yet.
//   - A revision whose originals are gone or altered ends as doc.failed, which names the pages; the next revision goes without them.
package pipeline
