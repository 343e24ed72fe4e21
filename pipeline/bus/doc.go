// Package bus is faxstream's way to JetStream: its streams, durable consumers and buckets, an embedded server, and the few
// ways to write and read that the other packages use. Start with Open.
//
// # Promises
//
//   - A fact is stored once per subject, as long as its stream has it: Record publishes with an expected last sequence
//     of 0 for the subject. After a conflict it reads the stored fact from the stream's leader.
//   - Record returns nil only when JetStream has the fact: on disk, if the server always syncs (the embedded one does).
//   - Concurrent Records to one stream share one sync: they are committed as one atomic batch (see group).
//   - Work on messages gives way to Records, whose senders wait for an answer: while they come without an end, a message waits up to half a
//     second longer (see precedence).
//   - A message is acknowledged only after its handler returned nil.
//   - A process has only as many messages of a durable as it has workers, and a few more. Close hands back what no worker has begun.
//   - While many announcements of pages wait, new ones overtake them (see lane). That takes nothing from the durable, which delivers all.
//   - A store that refuses (full, gone, timeout) is an outage, never a failed attempt: the message is delivered again later.
//   - Ready returns an error from the first publish that a stream refuses until that stream accepts one again. If the
//     embedded server can never write again, Failed reports it: the process must end and start again.
//   - A durable that somebody deletes is made again and goes on at its saved position, which may be some seconds old. One that is
//     paused, cannot be made again, or delivers nothing although messages wait, is an error of Ready with its name.
//   - A server before 2.12 is refused (ErrTooOld). A stream that existed and is gone is not created again (ErrLost), unless
//     Config.Recreate says so.
//   - An embedded server that listens demands a login. Subscribers can read pages and documents, and change nothing.
//   - A provider's name for a fax belongs to one session: the first that claims it, by a create-only write.
//   - Subjects contain receiving numbers. They are masked in every log line, error and detail of a dead letter.
//
// # What a crash leaves
//
//	crash in             what is left, and what happens next
//	Record, Claim, Bind  the message is stored or not; the same call again finds it, or stores it
//	Bury                 the letter is stored or not; the same letter again is stored once
//	Save                 the ledger is the old one or the new one; the revision says which
//	a batch of a group   the whole batch or nothing of it, after a power cut also a part; no caller has an answer yet
//	Schedule             the schedule is stored or not; the same timer again changes nothing
//	a handler            its message without acknowledgement: it is delivered again after 15 s
//	a lane               the consumer of the copies, which the server removes after a minute without pulls
//	settling Dead        the letter in FAX_DLQ, and the message: it is delivered again, and its letter is not stored twice
//	Forget               some streams still have messages of the session; the same call removes them
//	the embedded server  its store, as of the last acknowledged message; the next start opens it
package bus
