package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Item is an object to create: Size bytes of Body, whose SHA-256 is Sum, under Key.
//
// Adopt is for an *os.File whose bytes the caller wrote himself through this descriptor, and hashed while he wrote: a store of files may
// make the file itself the object, and need not read it again. Nobody may write to the file any more, from the call on. The caller may read
// it, and still closes it and removes its name.
type Item = struct {
	Key   string
	Body  io.ReadSeeker
	Size  int64
	Sum   [sha256.Size]byte
	Adopt bool
}

// Batcher is a Store that creates several objects together for less than as many calls of Create cost. No two items of a call may have the
// same body.
type Batcher interface {
	// CreateAll creates the items and returns one error for each, with the meaning of the errors of Create. No item becomes visible before
	// all items before it are. If an item fails with another error than fs.ErrExist, the items after it are not created; they have the
	// same error.
	CreateAll(ctx context.Context, items ...Item) []error
	// Commit creates the items and returns one error for each, with the meaning of the errors of Create. The last item says that the others
	// exist: it becomes visible when all of them are durable, not earlier. They become visible in any order. If one of them fails with
	// another error than fs.ErrExist, the last one is not created; it has the same error.
	Commit(ctx context.Context, items ...Item) []error
	// Begin says that a file, which will be adopted, has its bytes between two offsets: the store may begin to write them to disk. It does
	// not wait. What fails is an error of the call that adopts the file.
	Begin(file *os.File, from, to int64)
}

// CreateAll archives items as Batcher says. existed: there is an object already under the key of the last one, and it stays.
func CreateAll(ctx context.Context, a Store, items ...Item) (existed bool, err error) {
	return results(items, BatcherOf(a).CreateAll(ctx, items...))
}

// Commit archives items as Batcher says. existed: there is an object already under the key of the last one, and it stays.
func Commit(ctx context.Context, a Store, items ...Item) (existed bool, err error) {
	return results(items, BatcherOf(a).Commit(ctx, items...))
}

// NewItem is for data in memory.
func NewItem(key string, data []byte) Item {
	return Item{Key: key, Body: bytes.NewReader(data), Size: int64(len(data)), Sum: sha256.Sum256(data)}
}

// BatcherOf returns the Batcher that a is. If a is none, CreateAll calls Create for one item after the other, and Commit for all but the
// last one at the same time.
func BatcherOf(a Store) Batcher {
	if own, ok := a.(Batcher); ok {
		return own
	}
	return simple{a}
}

// simple does with Create what a store does not do itself.
type simple struct{ Store }

func (s simple) CreateAll(ctx context.Context, items ...Item) []error {
	errs := make([]error, len(items))
	var failed error
	for i, o := range items {
		if errs[i] = failed; failed != nil {
			continue
		}
		errs[i] = s.create(ctx, o)
		if !errors.Is(errs[i], fs.ErrExist) {
			failed = errs[i]
		}
	}
	return errs
}

func (s simple) Commit(ctx context.Context, items ...Item) []error {
	errs := make([]error, len(items))
	last := len(items) - 1
	var all sync.WaitGroup
	for i := range last {
		all.Go(func() { errs[i] = s.create(ctx, items[i]) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, fs.ErrExist) {
			errs[last] = err
			return errs
		}
	}
	if last >= 0 {
		errs[last] = s.create(ctx, items[last])
	}
	return errs
}

func (simple) Begin(*os.File, int64, int64) {}

func (s simple) create(ctx context.Context, o Item) error {
	return s.Create(ctx, o.Key, o.Body, o.Size, o.Sum)
}

// results is what the functions that create several items return for the errors of a store.
func results(items []Item, errs []error) (existed bool, err error) {
	for i, o := range items {
		if existed, err = result(o.Key, errs[i]); err != nil {
			return false, err
		}
	}
	return existed, nil
}

// result is what the functions that create return for the error of a store.
func result(key string, err error) (existed bool, _ error) {
	if errors.Is(err, fs.ErrExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive %s: %w", key, err)
	}
	return false, nil
}
