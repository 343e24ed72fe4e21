// Package archive has the keys and the JSON objects of the archive: pages with their sidecars, plans, manifests, reports, redirects and
// the entries of the index. Begin with Create and Read; Store and Reader are what it needs of a store.
//
// Promise: an object is never overwritten. Its key has its SHA-256 if the content can differ. Every read has a limit. Errors say what
// is wrong with an object: ErrUnreadable, ErrAltered, ErrTooLarge, ErrPurged; Lost and Broken sort them.
//
// # What a crash leaves
//
//	after                            the next run finds
//	a sidecar, before its object     a sidecar without an object: it does not count as a page
//	an object without its sidecar    the object; it restores the sidecar (only on a file system without a journal)
//	a page object                    the object under the same key; it does not write the same bytes twice
//	a redirect on the owner's side   the same redirect; it writes the redirect of the session itself
package archive
