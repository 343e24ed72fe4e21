// Package trace follows the work on a fax with OpenTelemetry: from the webhook to the document, through every process that takes part.
// Begin with New, which gives a Tracer; its methods begin the spans. A nil *Tracer is off: it sends nothing, has no goroutine, and its
// methods allocate nothing.
//
//	webhook           POST /v1/faxplus
//	  publish         publish fax.v1.in.page
//	    process       process page             attempt, delivery, reason of a failure
//	      client      GET                      one for each request to the provider
//	      write       archive tiff             one for each object
//	      step        decode
//	      publish     publish fax.v1.page.archived
//	        process   process collect-pages
//	          publish publish fax.v1.doc.ready
//	            …     process assemble, publish fax.v1.doc.assembled
//
// # One fax is one trace
//
// The pages of a fax and its close come in webhooks of their own, which know nothing of each other. So the id of the trace is no random
// number but TraceID of the session: every process, also after a restart or a rebuild, finds the same trace without asking anybody. The
// spans of webhooks are roots of that trace; it has as many as the fax has webhooks. What follows from a message is a child of the span
// that published it: the header traceparent of the message names that span, also in messages that a schedule delivers later. A message
// without a valid header of its own trace, such as one that was published while traces were off, begins another root. What the collector
// does for several messages of a fax at once is a child of the first of them.
//
// A sender's own traceparent does not become the parent, because it would tear the fax apart, and a stranger could choose which trace gets
// our spans. It is a link of the webhook's span, without its tracestate.
//
// Whether a fax is traced depends on the id of its trace alone, so it is traced as a whole or not at all, by all processes that have
// the same Config.Sample.
//
// # What a span says
//
// Names of attributes are those of OpenTelemetry's semantic conventions where there are some (messaging.*, http.*, server.*, error.type),
// else faxstream.*. A span has the session, the page, what happened, why, sizes and attempts. It has no fax number, no subject (output
// subjects have numbers), no URL, no secret, no text of an error and nothing of what is on a page.
//
// # The receiver
//
// Spans are posted by OTLP/HTTP, in batches and beside the work. The work never waits: if maxWaiting spans wait, others are dropped. Each
// span is counted once, as sent, failed or dropped (Config.Counted). What a crash leaves: nothing. The spans that had not been sent are
// lost, also those of work that was going on; the work itself is done again, and then has spans again.
package trace
