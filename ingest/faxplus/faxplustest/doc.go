// Package faxplustest is a Fax.Plus for demonstrations and tests: its REST API as an http.Handler and the sender of its
// webhooks. Start with New, serve it, and give it faxes with Send, or with Add where a test posts PageEvent and ClosedEvent
// bodies itself. What goes wrong with a fax stands in Fax.Faults, by name (Fault); Chaos draws some, and Server.Truth says what
// must become of the fax all the same. Where a test wants one answer exactly, Server.Script gives it.
//
// What the provider documents is served as documented. These are our assumptions: the path of a single page,
//
//	/accounts/{user}/files/{fax}/pages/{page}
//
// (PagePath), that it answers 404 before the page is announced, that the whole file is 404 before the fax is over, and
// that the record of a fax on the line has the status in_progress. Lists and records name a fax by another id than webhooks do
// (Fax.ListedID), as the provider warns; its files are served under both.
//
// Everything random is drawn from Config.Seed and what it concerns (session, fault, page, number of the try), never from the
// order in which requests happen to arrive: the same seed gives each fax the same history.
package faxplustest

// PagePath is the page path of the simulator, as faxplus.Config wants it.
const PagePath = "/accounts/{user_id}/files/{fax_id}/pages/{page}"
