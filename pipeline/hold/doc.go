// Package hold has legal holds, releases and purges: the log of a fax in the archive (keep/<session>/), the rules of what may be
// deleted (Rules), the Guard before every write, and the Custodian that carries out orders. Begin with Rules.Purgeable or
// Custodian.Consumptions.
//
// Promise: an object that is held or retained is never deleted. Of a purged fax nothing is archived any more. The log survives the loss
// of JetStream and, after a purge, of the fax. If the log is damaged, nothing of the fax may be deleted, and its pages still arrive.
//
// # What a crash leaves
//
//	after                              the next delivery
//	the order in FAX_AUDIT             writes the log
//	the log, before its fact           finds its entry and records the fact
//	the fact                           has the store hold, release or delete what the log says
//	some of the objects are deleted    deletes the rest
package hold
