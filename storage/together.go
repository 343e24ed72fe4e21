package storage

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
)

// Item is an object to create: Size bytes of Body, whose SHA-256 is Sum, under Key. It is an alias, so that other packages can restate
// the interface [Batcher] without an import of this one.
type Item = struct {
	Key  string
	Body io.ReadSeeker
	Size int64
	Sum  [sha256.Size]byte
}

// Batcher is an [Archive] that creates several objects together for less than as many calls of Create cost, because it waits once for
// the disk. It is optional; Create of one item after the other does the same.
type Batcher interface {
	// CreateAll creates the items and returns one error for each, with the meaning of the errors of Create. No item becomes visible
	// before all items before it are; storage/local says what a loss of power leaves of several. If an item fails with another error
	// than fs.ErrExist, the items after it are not created; they have the same error. No two items may have the same body.
	CreateAll(ctx context.Context, items ...Item) []error
}

// Adopter is an [Archive] that can make a file itself the object, without a copy. It is optional; Create with the file as its body does
// the same.
type Adopter interface {
	// Adopt is Create for a file whose bytes the caller wrote himself through this descriptor. sum is the SHA-256 that he computed while
	// he wrote. Nobody may write to the file any more, from the call of Adopt on: it may be the object. The caller may read it, and still
	// closes it and removes its name.
	//
	// If the file is not in the file system of the archive, Adopt copies it as Create does, and reads and checks all its bytes. If the
	// file itself becomes the object, Adopt checks the size, syncs the file, and does not read it: so an error of the memory between the
	// caller's hash and the page cache is not found here, but by the next reader who checks the hash.
	Adopt(ctx context.Context, key string, file *os.File, size int64, sum [sha256.Size]byte) error
}
