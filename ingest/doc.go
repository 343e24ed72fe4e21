// Package ingest receives the provider's webhooks, and finds the faxes whose webhooks were all lost. Start with NewHandler
// for the webhooks and with NewReconciler for the lost faxes.
//
// Promise: a webhook is answered 200 only when the Recorder has stored its fact durably. 503 asks the sender to send it
// again. 4xx is for requests that can never be valid. A crash before the answer loses nothing: the sender gets no 200
// and sends again; if the fact was stored already, it counts as a repeat. A crash in a pass of the Reconciler leaves its
// position unchanged: the next pass reads the same time window again.
//
// The checks, each with its answer, in this order:
//
//	source address not allowed             403 forbidden_source
//	path or secret wrong                   404 not_found
//	not a POST                             405 method_not_allowed
//	over 64 KiB                            413 too_large
//	body not received whole                408 incomplete
//	not JSON; no event, session or page    400 malformed, bad_field (the body is stored as a dead letter; 503 if that fails)
//	unknown event                          200, counted, nothing recorded
//	recorder failed or too slow            503 not_recorded, Retry-After: 1
//	recorded, or a repeat                  200
//
// The order matters: a sender that is not the provider learns nothing more than that, and only a body with a valid secret
// can use space in the dead letters. A request that is refused because of its address but has the right path and secret is a
// webhook: Handler.Warnings and the log then say which flag lets it in, Handler.Refused lists the last addresses.
//
// ReadyPath is for load balancers. It is not a webhook: none of these checks is made, and it is not counted.
//
// # Times
//
// The provider's times carry no zone. They should be UTC, but may be of another zone. A Zone holds which one it is: as
// configured, or learned from the event times of webhooks and their arrival. Every time is converted at the border, once:
//
//   - in webhooks by the Handler, before the fact is made, with the zone that is known then;
//   - in records, and in the windows of lists, by faxplus.Client, with the zone that is known then.
//
// So facts, ledgers, sidecars, plans and index days have UTC and need no zone. A fact is never changed later: those that
// were made before the zone was learned, of the first three faxes or so, keep times that are off. A repeat of a webhook may
// come after the zone was learned, and its fact must equal the stored one: event times do not count in that comparison, and
// of a start time only its place in the quarter of an hour counts, which no change of the zone moves. The bodies'
// hashes are of what the provider wrote.
//
// A Reconciler that asked in the wrong zone has read the wrong windows. It reads them again when another zone is known.
package ingest
