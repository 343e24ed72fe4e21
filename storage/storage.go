// Package storage defines what an archive of immutable objects must do. Start
// with [Archive.Create]. The stores are storage/local (plain files) and
// storage/s3; storage/storagetest has the test suite that both pass.
//
//	Create --> the object is durable, and its key never gets other content
//	Open   --> reads an object, whole or in part
//	List   --> the keys with a prefix in byte order, after any key
//
// Promise: [Archive] never overwrites and never deletes. [Remover] is a
// separate interface for legal hold and purge.
//
// After a crash in Create, either the whole object is under its key or nothing
// is. Bytes that are left of an unfinished Create (a temporary file, a
// multipart upload) are never visible to Open and List. After a crash in
// Delete some objects of the group may be left; the same Delete removes them.
package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
)

// Archive is a create-only store of immutable objects. All methods may be
// called from several goroutines. Keys are checked with [ValidKey].
//
// No key may be a directory of another key: if `a` is an object, some stores
// refuse to create `a/b`, and the reverse.
type Archive interface {
	// Create stores size bytes of body under key. It reads body from its
	// start; sum is the SHA-256 of these bytes. When it returns nil the
	// object is durable.
	//
	// If key already exists, it returns an error that matches fs.ErrExist,
	// also if the content is the same. The existing object is durable. For a
	// key that contains the hash of its content this is a success; for other
	// keys read the existing object. If several writers race, exactly one
	// gets nil.
	//
	// If body is longer or shorter than size, or its hash is not sum, the
	// error matches [ErrMismatch] and nothing becomes visible.
	//
	// After any other error the object may or may not exist. The same Create
	// may be called again. After [ErrRefused] and [ErrFull] an operator must
	// act first.
	Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error

	// Open returns the object and its size in bytes, or an error that matches
	// fs.ErrNotExist if there is none. In a remote store, reads end when ctx
	// ends. Seek costs nothing; the next Read may cost a request.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)

	// List yields the keys that begin with prefix, in byte order. prefix need
	// not end with a slash. Only keys greater than after are yielded ("" for
	// all; a key named after need not exist). List ends at the first error,
	// which it yields with an empty key. Objects that are created during the
	// call may be missing.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

var (
	// ErrInvalidKey is matched by the error for a key or prefix that breaks
	// the rules of ValidKey.
	ErrInvalidKey = errors.New("invalid key")

	// ErrMismatch is matched by the error for a body with another size or
	// SHA-256 than given. A second try with the same body does not help.
	ErrMismatch = errors.New("the body does not match its size and SHA-256")

	// ErrRefused is matched if the store answers and refuses: wrong keys,
	// access denied, no such bucket, a read-only file system. An operator
	// must act. All other errors but ErrFull may go away without that.
	ErrRefused = errors.New("the archive refuses")

	// ErrFull is matched if the store has no space or quota left. An operator
	// must act.
	ErrFull = errors.New("the archive is full")
)
