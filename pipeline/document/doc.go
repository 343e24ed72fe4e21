// Package document makes the documents of a fax: plan, TIFF and PDF, index entry, manifest, event, in this order. (The documents are made
// in private files while the plan is archived.) Begin with Assembler.Consumptions. Builder makes only the documents of a plan; package
// verify compares them with the archived ones. FaxForms makes a TIFF for fax machines when somebody asks for it; it is not archived.
//
// Searchables makes the PDF with the text of the pages, when they have one: PDF, record, event.
//
// Deriving carries out orders of documents with chosen pages of a revision: TIFF, PDF, record, event.
//
// Promise: the same plan and software give the same bytes. Memory does not grow with the number of pages. The PDF has a slip sheet for
// every missing page, and the sheet says why the page is missing.
//
// # What a crash leaves
//
//	after         the next run finds
//	plan          the plan, and uses it
//	TIFF or PDF   the same bytes under the same key
//	manifest      the manifest, and only publishes its event
//	searchable    the same PDF or record under the same key, if the texts are the same; else another one beside it
//	derived       the same TIFF, PDF or record under the same key; an order whose record is there only publishes its event
package document
