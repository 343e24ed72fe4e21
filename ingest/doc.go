// Package ingest takes the provider's webhooks in, and finds the faxes whose webhooks all got lost. Start with NewHandler;
// NewReconciler is for the latter.
//
// A webhook is answered 200 only when the Recorder says that its fact is on disk; 503 asks the sender to come again;
// 4xx is for what can never be valid. The checks, each with its answer, in this order:
//
//	source address not allowed             403 forbidden_source
//	path or secret wrong                   404 not_found
//	not a POST                             405 method_not_allowed
//	over 64 KiB                            413 too_large
//	body not received whole                408 incomplete
//	not JSON; no event, session or page    400 malformed, bad_field (the body kept as a dead letter; 503 if it cannot be)
//	event that we do not know              200, counted, nothing recorded
//	recorder failed or too slow            503 not_recorded, Retry-After: 1
//	recorded, or a repeat                  200
//
// The order matters: whoever is not the provider learns nothing but that, and only a body that passed the secret can
// take space in the dead letters.
package ingest
