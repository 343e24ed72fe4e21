// Package archive knows the archive by its keys and JSON objects: pages with their sidecars, plans, manifests, reports, redirects and
// the entries of the index. Begin with Create and Read; Store and Reader are what it needs of a store.
//
// Promise: what is written is never overwritten, carries its SHA-256 in its key where its content may differ, and is read within
// limits. Errors say what is wrong with an object: ErrUnreadable, ErrAltered, ErrTooLarge, ErrPurged; Lost and Broken sort them.
//
// # What a crash leaves
//
//	after                            the next run finds
//	a sidecar, before its object     a sidecar without an object, which is no page
//	a page object                    the object under the same key: the same bytes are not written twice
//	a redirect on the owner's side   the same redirect, and writes the session's own
package archive
