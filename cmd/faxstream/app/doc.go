// Package app is one running faxstream: ingest, pipeline, stores, dashboard and metrics, plugged together. Begin with Run, which serves
// until its context ends. Start gives the running App, for demo and tests. A Config says what to run; it needs no command line.
//
//	webhooks -> ingest -> bus (JetStream) -> pipeline -> archive (files or S3)
//	                       |                              |
//	                       +--------- dashboard ----------+
//	                       +-- reconciler (provider's lists), sealer (the audit's days)
//
// Promise: what Start returns is ready. The archive and JetStream are open, every ledger is read, and the listener of webhooks comes
// last, so work on a webhook begins as soon as it is stored. With a spool it comes first: Start then waits for NATS servers that are away,
// and webhooks go into the spool meanwhile. Stop ends the parts in the reverse order: first nothing comes in any more, then work in flight
// is finished. Run starts everything again in the same process when the embedded server has lost its disk and the disk takes writes again.
//
// What a crash leaves: nothing that this package owns. The next Start on the same Config goes on with the facts in JetStream and the
// objects in the archive; the rooms below pipeline say what each of their steps leaves. The directory of scratch files may have
// unfinished ones, which the next start removes.
package app
