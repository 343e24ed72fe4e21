// Package fetch fetches pages from the provider: each page from its own file, and the rest from the whole file. It retries, stops while the
// provider refuses everything, and compares streamed pages with the whole file. Begin with New and Worker.Consumptions.
//
// Promise: a page is fetched successfully once and not again, unless two processes handle an announcement and its early copy at the same
// moment (bus.Delivery). Fresh pages go before a backlog and retries, and these before comparisons; no work waits for ever (intake.Slots).
// One table (retry.go) says what follows a failed attempt. No page is missing because of an outage of the provider or of our own stores.
//
// # What a crash leaves
//
//	after                         the next run finds
//	original                      the page in the archive, because the message is delivered again; it does not fetch the page again
//	schedule, before page.failed  the same schedule: its due time comes from the message, not from a clock
//	the report of a comparison    the same report under the same key
package fetch
