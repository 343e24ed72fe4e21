// Package dashboard is the admin listener: the HTTP API under /api/v1, the pages for people and the health of the process.
// Start with NewHandler. It reads the ledgers, the page facts and the archive. What people order
// (retry, drop, replay) it only stores as an action; the pipeline does it.
package dashboard
