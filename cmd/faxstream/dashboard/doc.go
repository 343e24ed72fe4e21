// Package dashboard answers on the admin listener: the HTTP API under /api/v1, the pages for people, links, and the health of the process.
// Call NewHandler first; routes.go lists every path with the scope that it needs.
//
// It reads the ledgers, the page facts and the archive. It stores the orders hold, release, purge, retry, drop, choose, replay and those of
// the desk (assign, label, note, read, done) as actions in FAX_AUDIT before it answers, and the pipeline carries them out, also after a
// crash. A read of a document or page is in FAX_AUDIT before the first byte leaves, so a crash may leave a record of a read that did not
// happen, but never a read without a record. A look at a fax in the dashboard is one record, for all its small images. The list of faxes is
// no read, except that each fax of a list by text is recorded, as one that a search shows, and so is each small image that a browser gets
// for the list. The list is in memory and is built again at every start.
//
// Pages fill in live (live.go): the board tells which ledgers changed, and tabs with the same view share what is rendered. Each event has
// the whole of what is shown, so a page that comes back shows nothing old. The scripts are in package layout; without them a page is as of
// when it was loaded.
//
// Thumbnails and the form for fax machines are made at each request and not stored.
//
// A token that is limited to numbers sees a fax of another number nowhere: server.find, faxFilter and events are the three places that
// decide (own_test.go).
package dashboard
