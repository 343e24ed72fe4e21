// Package hold keeps legal holds, releases and purges: the log of a fax in the archive (keep/<session>/), the rules of what may be
// deleted (Rules), the Guard before every write, and the Custodian that carries out orders. Begin with Rules.Purgeable or Custodian.Consumptions.
//
// Promise: what is held or retained is never deleted; of a purged fax nothing is archived any more. The log outlives JetStream and, for
// a purge, the fax. A damaged log frees nothing, and costs no page.
//
// # What a crash leaves
//
//	after                              the next delivery
//	the order in FAX_AUDIT             writes the log
//	the log, before its fact           finds its entry, and records the fact
//	the fact                           lets the store hold, release or delete what the log says
//	a part of the objects is deleted   deletes the rest
package hold
