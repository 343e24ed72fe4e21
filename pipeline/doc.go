// Package pipeline turns announcements into archived pages and documents. Start with Start, which wires the rooms below.
//
// # The way of a page
//
// Facts, their subjects and the ledger's rules are words of session; bus carries them, stage names what is measured.
//
//	fetch     takes in.page from FAX_IN, gets the page's file, and hands its bytes on
//	intake    gives them to archive, which keeps the original with its sidecar; tiff and ccitt decode it, raster measures
//	          it and writes the PNG; page.archived is published (FAX_PAGES)
//	collect   folds the facts into the session's ledger; when the fax is closed it orders doc.ready (FAX_DOCS)
//	document  makes plan, TIFF and pdf, and commits them with a manifest, which sign signs; doc.assembled is published
//
// Beside the way: hold guards every write and carries out holds and purges; letters keeps dead letters, and has replay decode
// originals again; recovery brings ledgers back from the archive; seal chains the audit's days; verify proves the archive.
// Each room says in its doc comment what it promises and what a crash leaves. Every handler may run again from its start, and does:
// its message is acknowledged only after its last write.
//
// # Where a change belongs
//
// A room imports only rooms of lower floors, and session. cmd/faxstream/imports_test.go has the floors as a table.
//
//	floor 0  session  ccitt  raster  pdf  sign
//	floor 1  bus  tiff  stage  archive
//	floor 2  intake  hold  seal  letters
//	floor 3  fetch  document  recovery
//	floor 4  collect  verify  replay
//
//	a new figure of a page's quality           raster (measure), session (fact), archive (manifest, schema)
//	another reason why a page is missing       session (reason), fetch/retry.go (what is done), document/slip.go (words)
//	a new field in the manifest                archive/manifest.go and archive/schema; verify compares it by itself
//	a new fact or timer                        session (type, subject, Next), bus (stream), the room that handles it
//	another kind of fault in an archive        verify/fault.go and the check that finds it
//	another thing that people may order        session (action), letters or hold
//	another store                              storage, and cmd/faxstream/app
//	another provider                           ingest, and fetch.Provider
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
//   - Keys of the archive are made in archive: these rooms may not import storage, whose interfaces they restate in standard types.
//   - page.archived carries the hash of a strip that the decoder found clean. document copies that strip without decoding it again.
//   - A token that is refused, and at a page's deadline a provider that fails, are told from one page's trouble by a probe of the
//     account's list (fetch/gate.go): the stages that ask the provider then stand still, and nothing counts as an attempt. What is done
//     about each reason stands in one table (fetch/retry.go).
//   - A fax that nobody has closed is asked for by in.ask, answered by in.record (fetch/ask.go); the question in flight is in the ledger.
//   - A page that is missing for good leaves a dead letter when both its own fetch is over and a document was ordered without it
//     (letters). Actions of people go into FAX_AUDIT first and are done from there.
//   - A fax whose start lies before 1990 or two days ahead of its order is listed under the day of the order: that clock was wrong.
//   - What is held or purged stands in a log of its own in the archive (hold/log.go), which outlives JetStream and, for a purge, the fax.
//     Every write of a fax looks at it (hold/guard.go): of a purged one nothing is archived any more, and work for it ends.
//   - A revision whose originals are gone or altered ends as doc.failed, which names the pages; the next revision goes without them.
//   - hold and recovery meet by a function (Custodian.Traces), letters and replay by another one (Letters.Replay): so neither pair
//     imports the other. collect restores a ledger through recovery, which stands below it.
//   - The simulation starts the way of a page without what people order (startPages): its seeds know nothing of holds and letters.
//   - Helpers that tests of several rooms share are in pipelinetest, which the product does not import.
package pipeline
