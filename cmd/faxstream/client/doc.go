// Package client speaks the HTTP API of the admin listener, never the stores behind it. New makes a Client; it has a method for each
// path of the API.
//
// The client sends each request once; the caller may try again. Save continues a download that was interrupted. A crash leaves
// FILE.<SHA-256>.part, which the next Save completes, and leaves FILE as it was. FILE appears, or is replaced, when all bytes are there and
// have their hash.
package client
