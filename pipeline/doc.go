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
//	FAX_IN  in.ask ──────────► worker.ask ─ the provider's record of a silent fax ────────────────► FAX_IN in.closed, in.record
//	FAX_AUDIT ───────────────► actions: retry, drop and replay by people ─────────────────────────► FAX_IN in.again, timers
//	FAX_AUDIT ───────────────► Sealer: each day's entries, chained by hash ────────────────────────► the archive, audit/
//	FAX_AUDIT audit.keep ────► custodian: holds, releases, purges, in their order ─────────────────► the archive, keep/; FAX_IN in.kept
//	FAX_IN  in.kept ─────────► custodian: the store holds, releases or deletes as the log in keep/ says
//	FAX_DOCS doc.ready ──────► assembler ─ plan ─ TIFF, PDF and index ─ manifest ─────────────────► FAX_DOCS doc.assembled or doc.failed
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
// # What goes wrong, and what comes of it
//
//	fault                                       what the user sees                      what is kept                       shown by
//	a webhook twice, late, in any order         nothing                                 one fact                           TestEveryOrderGivesTheSameDocument, TestChaos
//	a page's webhook lost                       the page, from the whole file           both files                         TestFallbacks, TestChaos
//	the close lost                              the provider's record counts            the record as a close              TestIdle, TestChaos
//	all webhooks lost                           the fax, within --list-every            the whole file                     TestAFaxWithoutAnyWebhookIsFoundAndComplete
//	a page not ready, refused, cut, of no type  the page, later; else whole file        the bytes as rejected              TestRemedies, TestFallbacks
//	a page that nobody has                      partial, a slip sheet, a dead letter    every attempt                      TestFallbacks
//	a damaged page                              the page with bad rows listed           the bytes; the file's if better    TestStreamedPagesAreCompared…
//	a whole file that differs                   an alert; the streamed page             both images, the report            TestStreamedPagesAreCompared…
//	two closes that differ                      the better one                          both                               TestNext, TestChaos
//	one fax under two sessions                  one document; the other is folded       the pages of both                  TestLateWebhooksOfAFaxThatWasFound…
//	a dead token                                everything waits, /readyz says why      everything                         TestGate, TestADeadTokenIsWaitedFor
//	provider, archive or NATS away              503 or waiting, red; then it drains     everything that was answered 200   TestOutages, TestEveryFailingWriteHeals, TestSimulation
//	a full disk under the embedded server       503, red; then it goes on by itself     everything that was answered 200   TestAFullDiskIsOutlived
//	the process or its servers killed           nothing                                 everything that was answered 200   TestKillLosesNothing, TestNo200BeforeTheEventIsOnDisk
//	a timer lost with its stream                the document, an hour later            everything                         TestSimulation
//	a path of single pages that is wrong        the pages at the end, a warning        everything                         TestAWrongPagePathIsDoubted
//	JetStream lost                              nothing, once it is rebuilt            the archive                        TestRebuild, TestASessionThatIsOnlyInTheArchive
//	JetStream lost after a fax was folded       it stays folded                         the pages of both                  TestAFoldedSessionStaysFolded
//	held, and somebody wants to purge it        a refusal that says by whom and why     everything                         TestHoldReleasePurge
//	purged, and a webhook comes late            nothing                                 the log of its purge               TestHoldReleasePurge, TestKeepingOutlivesJetStream
//	an archived original gone or altered        that page missing (lost), a letter      the rest                           TestALostOriginalCostsItsPage
//
// # Where this differs from the design on paper
//
//   - Every retry is a schedule, also the short ones: one mechanism, and the attempt's number travels in the message. So does its
//     deadline, which moves when the retry comes much later than it was due: then we were away, and not the page.
//   - The whole-file worker ends every order with doc.whole_cut or doc.whole_failed. One that compares streamed pages with the whole
//     file publishes doc.verified before it; the particulars of each page are in an archived report, which the next revision reads
//     where a page is repaired. A verdict counts for the pages of its order, not for object hashes: a page's fact never changes.
//   - Keys of the archive are made here (archive.go): this package may not import storage, whose interface it restates in standard types.
//   - page.archived carries the hash of a strip that the decoder found clean. The assembler copies that strip without decoding it again.
//   - A token that is refused, and at a page's deadline a provider that fails, are told from one page's trouble by a probe of the
//     account's list (gate.go): the stages that ask the provider then stand still, and nothing counts as an attempt. What is done
//     about each reason stands in one table (retry.go).
//   - A fax that nobody has closed is asked for by in.ask, answered by in.record (ask.go); the in-flight question is in the ledger.
//   - A page that is missing for good leaves a dead letter when both its own fetch is over and a document was ordered without it
//     (letters.go). Actions of people go into FAX_AUDIT first and are done from there (actions.go).
//   - A fax whose start lies before 1990 or two days ahead of its order is listed under the day of the order: that clock was wrong.
//   - What is held or purged stands in a log of its own in the archive (keeplog.go), which outlives JetStream and, for a purge, the fax.
//     Every write of a fax looks at it (keep.go): of a purged one nothing is archived any more, and work for it ends.
//   - A revision whose originals are gone or altered ends as doc.failed, which names the pages; the next revision goes without them.
package pipeline
