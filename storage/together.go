package storage

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
)

// Item is an object to create: Size bytes of Body, whose SHA-256 is Sum, under Key. It is an alias, so that other packages can restate
// the interface [Batcher] without an import of this one.
//
// Adopt is for an [*os.File] whose bytes the caller wrote himself through this descriptor, and hashed while he wrote. Nobody may write to
// the file any more, from the call on: it may be the object. The caller may read it, and still closes it and removes its name. If the file
// is not in the file system of the archive, it is copied as Create does it, and all its bytes are read and checked. If the file itself
// becomes the object, the store checks the size, syncs the file, and does not read it: so an error of the memory between the caller's hash
// and the page cache is not found here, but by the next reader who checks the hash. [Archive.Create] of the body does the same.
type Item = struct {
	Key   string
	Body  io.ReadSeeker
	Size  int64
	Sum   [sha256.Size]byte
	Adopt bool
}

// Batcher is an [Archive] that creates several objects together for less than as many calls of Create cost, because it waits for the disk
// less often. It is optional; Create of one item after the other does the same. No two items of a call may have the same body.
type Batcher interface {
	// CreateAll creates the items and returns one error for each, with the meaning of the errors of Create. No item becomes visible
	// before all items before it are; storage/local says what a loss of power leaves of several. If an item fails with another error
	// than fs.ErrExist, the items after it are not created; they have the same error.
	CreateAll(ctx context.Context, items ...Item) []error

	// Commit creates the items and returns one error for each, with the meaning of the errors of Create. The last item says that the
	// others exist: it becomes visible when all of them are durable, not earlier. They become visible in any order. If one of them fails
	// with another error than fs.ErrExist, the last one is not created; it has the same error, and so may others that exist.
	Commit(ctx context.Context, items ...Item) []error

	// Begin says that a file, which will be adopted, has its bytes between two offsets: the store may begin to write them to disk. It does
	// not wait until they are there. What fails is an error of the call that adopts the file.
	Begin(file *os.File, from, to int64)
}
