// Package storage says what an archive of immutable objects must do: start
// with [Archive]. The stores are storage/local (plain files) and storage/s3;
// storage/storagetest holds the suite that both pass.
//
//	Create --> durable, and the only content this key will ever have
//	Open   --> a key that was created, read whole or by ranges
//	List   --> the keys under a prefix in byte order, from any key on
//
// Nothing is overwritten or deleted through this interface; [Keeper], apart
// from it, is for legal hold and purge. What a crash
// leaves is either the whole object under its key or nothing under it; bytes
// in between (a temporary file, an unfinished multipart upload) are never
// visible to Open and List.
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
// No key may be a directory of another: where `a` is an object, creating
// `a/b` is an error in some stores, and the other way round.
type Archive interface {
	// Create stores size bytes of body, read from its start, whose SHA-256 is
	// sum, under key. When it returns nil the object is durable.
	//
	// When key already exists, it returns an error matching fs.ErrExist,
	// whatever the content, and what exists is durable: a key that carries a
	// hash may take it as success, others must read the winner. Exactly one
	// of several racing writers gets nil.
	//
	// A body that is longer or shorter than size or does not hash to sum
	// gives an error matching [ErrMismatch], and nothing becomes visible.
	//
	// After any other error the object may or may not exist, and the same
	// Create may be called again. [ErrRefused] and [ErrFull] say that this is
	// of no use before an operator has acted.
	Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error

	// Open returns the object and its size in bytes, or an error matching
	// fs.ErrNotExist when there is none. Reads end with ctx where the store is
	// remote. Seeking is cheap until the next Read.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)

	// List yields the keys that begin with prefix, which need not end at a
	// slash, in byte order, and only those greater than after ("" for all;
	// after need not exist). It ends at the first error, which is yielded
	// with an empty key. Objects created meanwhile may or may not be seen.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

var (
	// ErrInvalidKey is matched by the error for a key or prefix that breaks
	// the rules of ValidKey.
	ErrInvalidKey = errors.New("invalid key")

	// ErrMismatch is matched by the error for a body that is not what its
	// size and SHA-256 say. Trying again with the same body is of no use.
	ErrMismatch = errors.New("body is not what its size and SHA-256 say")

	// ErrRefused is matched when the store answers and refuses: wrong keys,
	// access denied, no such bucket, a read-only file system. It needs an
	// operator; everything else but ErrFull may pass by itself.
	ErrRefused = errors.New("the archive refuses")

	// ErrFull is matched when the store has no room or quota left. It needs
	// an operator.
	ErrFull = errors.New("the archive is full")
)
