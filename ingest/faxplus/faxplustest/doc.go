// Package faxplustest simulates Fax.Plus for demonstrations and tests: its REST API as an http.Handler and the sender of
// its webhooks. Start with New, serve it over HTTP, and give it faxes with Send. If a test posts the bodies of PageEvent
// and ClosedEvent itself, use Add. Fax.Faults has the names of what goes wrong with a fax (Fault). Chaos chooses some at
// random, and Server.Truth returns what the pipeline must still make of the fax. If a test needs one exact answer, use
// Server.Script. The simulator stores nothing: when its process ends, its faxes are gone.
//
// Documented requests get documented answers. These are our assumptions: the path of a single page,
//
//	/accounts/{user}/files/{fax}/pages/{page}
//
// (PagePath); it answers 404 before the page is announced; the whole file is 404 before the fax is over; the record of a
// fax on the line has the status in_progress. Lists and records have another id for a fax than webhooks (Fax.ListedID), as
// the provider warns; its files are served under both ids.
//
// All random choices depend on Config.Seed and on what they are about (session, fault, page, number of the try), never on
// the order in which requests arrive: with the same seed each fax has the same history.
package faxplustest

// PagePath is the page path of the simulator, in the form of faxplus.Config.PagePath.
const PagePath = "/accounts/{user_id}/files/{fax_id}/pages/{page}"
