// Package document makes the documents of a fax: plan, TIFF and PDF, index entry, manifest, event, in this order. Begin with
// Assembler.Consumptions; Builder makes the documents of a plan alone, for whoever wants to compare them.
//
// Promise: the same plan and software give the same bytes; memory does not grow with the pages; a missing page is a sheet that says so.
//
// # What a crash leaves
//
//	after         the next run finds
//	plan          the plan, which wins over a new one
//	TIFF or PDF   the same bytes under the same key
//	manifest      the manifest: it publishes only the event, from it
package document
