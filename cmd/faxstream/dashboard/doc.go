// Package dashboard is the admin listener: the HTTP API under /api/v1, the pages for people and the health of the process.
// Start with NewHandler. It reads the ledgers, the page facts and the archive, and changes nothing.
package dashboard
