// Package faxplustest is a Fax.Plus for demonstrations and tests: its REST API as an http.Handler and the sender of its
// webhooks, with faults on request. Start with New, serve it, and give it faxes with Send, or with Add where a test
// posts PageEvent and ClosedEvent bodies itself.
//
// What the provider documents is served as documented. These are our assumptions: the path of a single page,
//
//	/accounts/{user}/files/{fax}/pages/{page}
//
// (PagePath), that it answers 404 before the page is announced, that the whole file is 404 before the fax is over, and
// that the record of a fax on the line has the status in_progress.
//
// Faults are drawn from Config.Seed and what they concern (session, page, number of the try), never from the order in
// which requests happen to arrive: the same seed gives each page the same history.
package faxplustest

// PagePath is the page path of the simulator, as faxplus.Config wants it.
const PagePath = "/accounts/{user_id}/files/{fax_id}/pages/{page}"
