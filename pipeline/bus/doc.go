// Package bus is faxstream's JetStream: the streams, subjects' rules and durable consumers of the design, an embedded
// server, and the few ways in which the rest may write and read. Start with Open.
//
// What holds:
//
//   - A fact is stored once per subject, for as long as its stream keeps it: Record publishes with an expected last
//     sequence of 0 for the subject and reads a conflict back from the stream's leader.
//   - Record returns only when JetStream has the fact: on disk where the server syncs always (the embedded one does).
//   - Concurrent Records to one stream share one sync: they are committed as one atomic batch (see group).
//   - A handler's message is acknowledged only after the handler returned nil. Whatever crashes is delivered again.
//   - A refused store (full, gone, timed out) is an outage, never a failed attempt: the message comes back later.
//   - Ready is red from the first publish that a stream refuses until that stream takes one again. When the embedded
//     server can never write again, Failed says so: the process must end and be started anew.
//   - A provider's name for a fax belongs to one session: the first that claims it, by a create-only write.
//   - Receiving numbers, which stand in subjects, are masked in every log line, error and dead letter's detail.
package bus
