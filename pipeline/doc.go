// Package pipeline makes archived pages and documents from announcements. Begin with Start, which wires the rooms below.
//
// # The way of a page
//
// Facts, their subjects and the rules of the ledger are words of session; bus carries them, stage names what is measured.
//
//	fetch     takes in.page from FAX_IN, fetches the file of the page, and passes its bytes to intake
//	intake    has archive store the original with its sidecar; tiff, ccitt and jbig decode it, raster measures it and writes the
//	          PNG; page.archived is published (FAX_PAGES)
//	collect   folds the facts into the ledger of the session; when the fax is closed it orders doc.ready (FAX_DOCS)
//	document  makes plan, TIFF and pdf, and commits them with a manifest, which sign signs; doc.assembled is published
//
// Beside the way: hold guards every write and carries out holds and purges; desk has what people say about a fax; letters writes dead
// letters, and has replay decode originals again; recovery restores ledgers from the archive, and removes those of old faxes; seal chains
// the days of the audit; spool has webhooks while NATS servers elsewhere are away; verify proves the archive. subscribers gives the events
// that events describes to OCR services over HTTP, ocr takes their texts, which text reads, and indexing fills search from the archive.
// The doc comment of each room says what it promises and what a crash leaves. Every handler may run again from its start, and does: its
// message is acknowledged only after its last write.
//
// # Where a change belongs
//
// A room imports only rooms of lower floors, and session. cmd/faxstream/imports_test.go has the floors as a table.
//
//	floor 0  session  ccitt  jbig  raster  pdf  sign  text  trace
//	floor 1  bus  tiff  stage  archive  events  search
//	floor 2  intake  hold  desk  seal  letters  ocr  subscribers  spool
//	floor 3  fetch  document  recovery  indexing
//	floor 4  collect  verify  replay
//
//	a new figure of a page's quality           raster/quality.go and session/page.go (the same field in both: a pointer with omitempty),
//	                                           events/events.json, archive/schema
//	a new field in the manifest                archive/manifest.go, with omitempty, and its schemas; verify compares it by itself
//	another reason why a page is missing       session/reason.go (also its words), fetch/retry.go (what follows), api.md,
//	                                           cmd/faxstream/words/german.txt
//	another answer of the provider             ingest/faxplus/fetch.go (status to reason), fetch/retry.go (reason to what follows)
//	another delay or deadline of retries       fetch/retry.go; one Retry serves all reasons
//	a new fact or timer                        session/fact.go (type, form) and its file (subject), Next, bus/streams.go (stream),
//	                                           bus/forget.go (purge: if the session is elsewhere in the subject), bus/streams.go (mask: if a
//	                                           number is in it), the room that publishes it and the room that handles it,
//	                                           cmd/faxstream/dashboard/events.go (its words in the timeline)
//	other settings of a stream or consumer     bus/streams.go, bus/durable.go or the room, and bus/version.go (settingsRevision)
//	another event for subscribers              session, bus, and events/events.json with its samples
//	another format of OCR engines              text (Parse and a file of its own)
//	a new field of the ledger                  session/state.go; session/restore.go (Restore, and traits: is it the same fax without it?)
//	another kind of fault in an archive        verify/fault.go and the check that finds it
//	another thing that is searched for         search (tables, query, version), indexing (where it comes from)
//	another thing that people may order        session (action), letters or hold
//	another thing that people say about a fax  session/desk.go, desk, cmd/faxstream/dashboard/desk.go
//	another thing that is done to pages        session/derived.go, archive/derived.go and its schema, document/derived.go
//	another role of a process                  pipeline.go (Part), cmd/faxstream/app/roles.go, deploy/docs/operations.md
//	a new command                              cmd/faxstream/run.go (cli) and a file of its own; then api, client, dashboard/routes.go
//	another scope, or a path for a scope       cmd/faxstream/access/tokens.go, cmd/faxstream/dashboard/routes.go
//	another store                              storage, cmd/faxstream/app/archive.go and retention.go, the flags in cmd/faxstream/archive.go
//	another TIFF compression or tag            tiff/image.go (constants), tiff/decode.go and expand.go, deploy/docs/tiff.md
//	another column of the list                 cmd/faxstream/api/faxes.go, dashboard/board.go and index.html, ls.go, words/german.txt
//	another metric or alert                    cmd/faxstream/app/metrics.go, deploy/alerts.yaml with its tests, grafana.json, operations.md
//	another limit of the spool                 bus/streams.go (inSpool), spool, the flags in cmd/faxstream/serve.go
//	another span, or what it says              trace; who begins it: bus, cmd/faxstream/app (metrics.go, archivewatch.go)
//	another provider                           ingest (some files use types of faxplus directly), fetch.Provider; cmd/faxstream/app/app.go
//	                                           and config.go, the flags in cmd/faxstream/serve.go, cmd/faxstream/hooks.go
//
// Schemas are archive/schema/manifest.json, plan.json and report.json. A new field must be absent in what was written before: verify
// compares old manifests byte for byte, and a field without omitempty makes every fax in an old archive faulty.
// TestAnArchiveWrittenBeforeIsProvenAndRebuilt in cmd/faxstream/app shows it. A reason that fetch/retry.go does not have falls back to
// the whole file at once.
//
// # What can go wrong, and what follows
//
// Each entry says what happens, what the user sees, what is stored, and which tests show it.
//
//   - A webhook comes twice, late, or in any order: the user sees nothing; there is one fact.
//     TestEveryOrderGivesTheSameDocument, TestChaos
//   - The webhook of a page is lost: the page comes from the whole file; both files are archived. TestFallbacks, TestChaos
//   - The close is lost: the provider's record counts as the close. TestIdle, TestChaos
//   - All webhooks are lost: the fax comes within --list-every, from the whole file. TestAFaxWithoutAnyWebhookIsFoundAndComplete
//   - A page is not ready, refused, incomplete, or of no known type: it comes later, else from the whole file; rejected bytes are
//     archived. TestRemedies, TestFallbacks
//   - A page is nowhere: the document is partial, with a slip sheet; there is a dead letter with every attempt. TestFallbacks
//   - A page is damaged: its bad rows are listed; if the page of the whole file is better, it is used. TestStreamedPagesAreCompared…
//   - The whole file has other pixels: list, API, metrics and a dead letter name the page and how it differs; the streamed page is used
//     until a person chooses the other image, which makes a revision. Both images and a report are archived.
//     TestStreamedPagesAreCompared…, TestAPersonSeesADifferenceAndChooses
//   - The whole file has more pages than the close counts: they are pages of the document, which says so; there is an alert.
//     TestThePagesBeyondTheCountAreInTheDocument
//   - Two closes differ: the better one counts; both are stored. TestNext, TestChaos
//   - One fax has two sessions: there is one document, and the other session is folded; the pages of both are archived.
//     TestLateWebhooksOfAFaxThatWasFound…
//   - The token is invalid: everything waits, and /readyz says why; nothing is lost. TestGate, TestADeadTokenIsWaitedFor
//   - The provider, the archive or NATS is down: answers are 503 or work waits; it goes on afterwards; everything that was answered with
//     200 is there. Pages come as soon as the provider is back. TestOutages, TestEveryFailingWriteHeals, TestSimulation,
//     TestPagesComeWhenTheProviderIsBack
//   - External NATS servers are away, also at the start, and there is a spool: webhooks are stored in it and answered 200; their faxes
//     go on when the servers are back. TestNoWebhookIsRefusedWhileNATSIsKilled, TestAStartWithoutNATSTakesWebhooks,
//     TestAFullSpoolAnswers503
//   - The archive or the provider is away when a fax is closed: the grace begins again when it is back, so the document is complete and its
//     pages are streamed, also where only the processes that fetch pages meet the outage. TestAnOutageAtTheCloseCostsNoStreamedPage,
//     TestACollectorHearsOfAnOutageThatOnlyWorkersMeet
//   - The archive or the provider is away: a load balancer that asks the webhook listener goes on to send webhooks, and they are stored.
//     TestOutages
//   - The disk of the embedded server is full: answers are 503 until there is room; everything that was answered with 200 is there.
//     TestAFullDiskIsOutlived
//   - The process or its servers are killed: the user sees nothing; everything that was answered with 200 is there.
//     TestKillLosesNothing, TestNo200BeforeTheEventIsOnDisk
//   - A process or server of a cluster is killed, stopped for a while, or cut off, or S3 is slow or refuses: the other ones go on; what was
//     answered with 200 is there, and each revision has one event. TestCluster
//   - Several processes start at the same time on a new cluster: all start. TestFourProcessesStartOnANewCluster
//   - Another process writes the same at this moment: the write waits for it and is no error. TestTwoProcessesWriteTheSameAtOnce
//   - A process is started without the number of copies that the streams of a cluster have: they stay. TestCopiesAreLoweredOnlyByName
//   - Two versions share a cluster: the older one leaves alone what the newer one has set, and both work.
//     TestAnOlderVersionLeavesTheSettingsOfANewerAlone
//   - The NATS servers are weaker than what is promised: the log and doctor name it, and with --strict nothing starts.
//     TestWeakServersAreNamedAndRefused, TestStrictRefusesAWeakServer
//   - An installation moves to a cluster and S3, or back, or changes the copies of its streams while it runs: no fax is lost, and none is
//     there twice. TestOneMachineToManyAndBack, TestCopiesAreChangedWhileItRuns
//   - The embedded server gets the directory of a server that was one of a cluster: it refuses, and changes nothing there.
//     TestTheStoreOfAClusterIsRefused
//   - Somebody deletes a consumer: it is made again where it was, and loses nothing. Somebody pauses one, or it does not move: /readyz
//     is red and names it. TestOtherHandsAtTheConsumers, TestSimulationOfOtherHands
//   - Somebody deletes or overwrites a ledger, or the number of a session, with other tools: the log names it, that fax waits for a
//     person, and all others go on. TestAnUnreadableLedgerHidesNoOther, TestABindingThatSomebodyDeletedIsNotWaitedForForEver
//   - The archive refuses writes: /readyz is red within a minute; work waits, nothing is lost. TestARefusingArchiveIsFoundWithinAMinute
//   - Streams that existed are gone: the start ends and names faxstream rebuild; nothing is created over what may be left.
//     TestALostStreamIsCreatedAgainOnlyOnAPersonsWord
//   - The provider's clock has another zone: its offset is learned from webhooks, or is given by --faxplus-zone; windows and dates use it.
//     TestSimulationClocksOff
//   - A timer is lost with its stream: the document comes an hour later. TestSimulation
//   - Many pages come at once, or wait after an outage: pages that come then do not wait for all of them.
//     TestFreshPagesOvertakeABacklog, TestNewMessagesOvertakeABacklog,
//     TestLittleOfABacklogGoesBeforeFreshPagesAfterAHang
//   - The path of single pages is wrong: the pages come when the fax is over, and there is a warning. TestAWrongPagePathIsDoubted
//   - JetStream is lost: after a rebuild the user sees nothing; the archive has everything. TestRebuild, TestASessionThatIsOnlyInTheArchive
//   - A fax ended long ago: its ledger leaves JetStream if the archive gives the same fax back; the user sees no difference, and what comes
//     late brings the ledger back. TestOldLedgersLeaveAndComeBack, TestARemovedLedgerLeavesNoMarkAndASaveWins
//   - JetStream is lost after a fax was folded: it stays folded. TestAFoldedSessionStaysFolded
//   - Somebody wants to purge a held fax: the refusal says who holds it and why; nothing is deleted. TestHoldReleasePurge
//   - A webhook comes for a purged fax: the user sees nothing; only the log of the purge is stored.
//     TestHoldReleasePurge, TestKeepingOutlivesJetStream
//   - One number has a burst, or a subscriber is rewound: the events of other numbers, and new ones, do not wait for it.
//     TestABurstOfOneNumberKeepsNobodyWaiting, TestNewEventsComeBeforeThoseOfARewind, TestNoEventIsLostByShares
//   - Two people change the same thing of a fax at once: both changes are stored, the first one counts, and the second person is told.
//     TestTheLaterOfTwoPeopleSeesIt, TestTheDashboardInABrowser
//   - A better text of a page comes later: the searchable document is made again when texts rest; the newest counts.
//     TestBetterTextsMakeItAgain
//   - The order of a derived document is for pages that are not there: it becomes a dead letter, which says why; nothing is written.
//     TestWhatCannotBeDerivedIsADeadLetter
//   - The search index is lost, damaged or behind: faxes are not found until it is filled again; nothing that is shown comes from it alone.
//     TestTheIndexIsMadeAgain, TestADamagedIndexSaysWhatToDo, TestSearch
//   - An older verify meets what a newer version wrote: it says so, and does not call it damaged.
//     TestWhatANewerVersionWroteIsNotCalledDamaged
//   - The receiver of traces fails, hangs or is slow: work does not wait for it; spans are lost and counted.
//     TestAReceiverThatHangsHoldsNothing, TestTracesThatNobodyTakesHoldNoFax
//   - An archived original is missing or altered: that page is missing with reason lost, and there is a dead letter.
//     TestALostOriginalCostsItsPage
//
// # Where this differs from the design on paper
//
//   - New pages overtake a backlog: a second consumer delivers copies of their announcements (bus/lane.go). The design has one order.
//   - Every retry is a schedule, also a short one: there is one mechanism, and the message has the number of the attempt. It has the
//     deadline too. The deadline moves if the retry comes much later than it was due: then we were down, and the page is not the problem.
//   - The whole-file worker ends every order with doc.whole_cut or doc.whole_failed. If the order compares streamed pages with the whole
//     file, it publishes doc.verified before. The details of each page are in an archived report. If a page is repaired, the next revision
//     reads that report. A verdict counts for the pages of its order, not for object hashes: the fact of a page never changes.
//   - Keys of the archive are made in archive: the rooms may not import storage. They restate its interfaces in standard types.
//   - page.archived has the hash of a strip that the decoder found clean, or that we wrote for a page that was cut. document copies that
//     strip and does not decode it again.
//   - The documents of a new plan are made in private files while the plan is archived (document/planned.go). None is archived before it.
//   - A streamed page that the whole file has in the same bytes and coding is not decoded for the comparison (fetch/same.go).
//   - A probe of the account's list (fetch/gate.go) shows if a refused token, or a provider that fails, is a problem of one page or of all.
//     If it is of all, the stages that use the provider wait, and nothing counts as an attempt. One table says what follows each reason
//     (fetch/retry.go).
//   - If nobody closes a fax, in.ask asks for its record and in.record answers (fetch/ask.go); the ledger has the open question.
//   - A page that is missing for good gets a dead letter when its own fetch is over and a document was ordered without it (letters).
//     Actions of people go into FAX_AUDIT first and are carried out from there.
//   - A fax whose start is before 1990, or two days after its order, is listed under the day of the order: its clock was wrong.
//   - Whether a page differs from the whole file is a state of the fax and waits for a person's choice (session/choice.go). The design
//     has an alert only. A choice is an order in FAX_AUDIT and a fact in FAX_IN, so a rebuild restores it from the archive.
//   - The newest whole file counts upwards: pages that it has and the close does not count are expected pages (session/state.go).
//   - The audit has hourly parts beside the daily seals (seal/part.go), in a chain of their own: older versions still read the daily
//     seals.
//   - Subscribers of the embedded server that share a login have an account without JetStream, and a gate (bus/gate.go) checks what they
//     ask: permissions in the same account do not keep a consumer's reply subject from writing into streams. A subscriber with a login of
//     its own has an account of its own, and no gate: it may use one durable.
//   - Holds and purges are in a log of their own in the archive (hold/log.go). It survives the loss of JetStream and, after a purge, of the
//     fax. Every write of a fax checks it (hold/guard.go): of a purged fax nothing is archived any more, and its work ends.
//   - What people say about a fax is a log in the archive too (desk/log.go). FAX_AUDIT has who changed what, and of a note only its hash:
//     it is kept after a purge, and a note may name a patient.
//   - A revision whose originals are missing or altered ends as doc.failed, which names the pages; the next revision leaves them out.
//   - hold and recovery meet by a function (Custodian.Traces), letters and replay by another one (Worker.Replay): so neither pair imports
//     the other. collect restores a ledger through recovery, which is on a lower floor.
//   - The simulation starts the way of a page without the orders of people (startPages): its seeds have no holds and letters.
//   - jbig (T.82) is a room of its own, and matrix has the tests with writers and readers of other people; the design has neither.
//   - The client of the HTTP API (cmd/faxstream/client) sends each request once: who retries an order is a person or a script.
//   - The embedded server has unfinished batches in memory (bus/embedded.go): the design counts on a batch that costs one sync, and in
//     nats-server 2.15.2 it costs four.
//   - Bytes in flight are one budget (intake.Memory), which rooms and thumbnails share. Long files are on disk (intake.Body), not in it.
//   - An OCR worker inside serve, and texts that come as NATS requests, use the handler of the API as its other callers do
//     (cmd/faxstream/app/inside.go): one place decides what may be sent.
//   - The subject of text.recognised ends in a hash: a page may have several results, and each has an event.
//   - The searchable document copies the strips of document.pdf and is made from manifest and texts alone. Texts that come later wait for a
//     timer, so that an engine that reads all pages again does not make as many documents.
//   - The search index is a file of each process. Lists of faxes ask it only for what the archive alone has: the board in memory has every
//     ledger, and knows of a change at once.
//   - Who only reads ledgers reads them through recovery.Ledgers, which finds faxes whose ledger has left JetStream (recovery/clean.go).
//     The ledger leaves by a purge of its subject up to the revision that was judged: a limit of age for the stream would not compare
//     anything, and a marker would end the watch of an older version.
//   - Derived documents stand beside their revision (rN/derived.<h>.*). Their orders are in FAX_AUDIT, and the ledger knows nothing of
//     them: pages list them from the archive. The same pages of a revision, turned in the same way, are one document, whoever orders it.
//   - The grace after a close is armed again while archive or provider are away as this process knows, or as another one that works on
//     pages has noted in FAX_ALIASES (cmd/faxstream/app/reconcile.go). No process asks another one.
//   - A fax is one trace: its id is made from the session (trace/doc.go). The webhook listener has a /readyz of its own (ingest/ready.go),
//     which is about FAX_IN alone.
//   - A spool is a JetStream with FAX_IN and FAX_DLQ alone. What is in it is sent by Record and Bury, not by a source of a stream, which
//     would lose the expected sequence.
//   - Helpers that tests of several rooms share are in pipelinetest, which the product does not import.
package pipeline
