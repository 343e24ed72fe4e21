// Package client speaks the HTTP API of the admin listener, never the stores behind it. New makes a Client; its methods are the API's paths.
//
// No request is sent twice by itself: who asks may ask again. Save goes on with a download that was interrupted: a crash leaves
// FILE.<SHA-256>.part, with which the same call goes on, and FILE as it was before; FILE appears, or is replaced, once all of it has arrived
// and has its hash.
package client
