// Package dashboard is the admin listener: the HTTP API under /api/v1, the pages for people, links, and the health of the process.
// Start with NewHandler. It reads the ledgers, the page facts and the archive. What people order
// (retry, drop, replay) it only stores as an action; the pipeline does it. Who is let in stands in login.go: a path that
// is not named there needs scope read to be got and scope admin for anything else. Who gets content is in FAX_AUDIT before the first byte leaves.
package dashboard
