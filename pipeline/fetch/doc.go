// Package fetch gets pages from the provider: from their own files, and from the whole file what did not come so. It retries, stops while
// the provider refuses everything, and compares streamed pages with the whole file. Begin with New and Worker.Consumptions.
//
// Promise: a page costs one fetch that works. What is done about a failed attempt stands in one table (retry.go). An outage of the
// provider or of our own stores makes no page missing.
//
// # What a crash leaves
//
//	after                         the next run finds
//	original                      the page in the archive: it does not fetch it again
//	schedule, before page.failed  the same schedule: its due time follows from the message, not from a clock
//	the report of a comparison    the same report under the same key
package fetch
