// Package api is the language of the admin API under /api/v1: the JSON of requests, answers and errors, each type once, for the server
// (packages dashboard and access) and for the client. Read Fax first, and Error for an answer that is not 200. WriteError is the one table
// from an error to a status. The package stores nothing, so a crash leaves nothing of it.
package api
