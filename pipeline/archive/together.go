package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Item is an object to create: Size bytes of Body, whose SHA-256 is Sum, under Key.
type Item = struct {
	Key  string
	Body io.ReadSeeker
	Size int64
	Sum  [sha256.Size]byte
}

// Batcher is a Store that creates several objects together for less than as many calls of Create cost.
type Batcher interface {
	// CreateAll creates the items and returns one error for each, with the meaning of the errors of Create. No item becomes visible before
	// all items before it are. If an item fails with another error than fs.ErrExist, the items after it are not created; they have the
	// same error. No two items may have the same body.
	CreateAll(ctx context.Context, items ...Item) []error
}

// Adopter is a Store that can make a file itself the object, without a copy.
type Adopter interface {
	// Adopt is Create for a file whose bytes the caller wrote himself through this descriptor. sum is the SHA-256 that he computed while he
	// wrote; the store need not read the file again. Nobody may write to the file any more, from the call of Adopt on. The caller may read
	// it, and still closes it and removes its name.
	Adopt(ctx context.Context, key string, file *os.File, size int64, sum [sha256.Size]byte) error
}

// Adopt archives a file of the caller under key, as Adopter says. existed: an object is there already, and it stays.
func Adopt(ctx context.Context, a Store, key string, file *os.File, size int64, sum [sha256.Size]byte) (existed bool, err error) {
	return result(key, AdopterOf(a).Adopt(ctx, key, file, size, sum))
}

// AdopterOf returns the Adopter that a is. If a is none, Adopt calls Create.
func AdopterOf(a Store) Adopter {
	if own, ok := a.(Adopter); ok {
		return own
	}
	return simple{a}
}

// BatcherOf returns the Batcher that a is. If a is none, CreateAll calls Create for one item after the other.
func BatcherOf(a Store) Batcher {
	if own, ok := a.(Batcher); ok {
		return own
	}
	return simple{a}
}

// simple does with Create what a store does not do itself.
type simple struct{ Store }

func (s simple) Adopt(ctx context.Context, key string, file *os.File, size int64, sum [sha256.Size]byte) error {
	return s.Create(ctx, key, file, size, sum)
}

func (s simple) CreateAll(ctx context.Context, items ...Item) []error {
	errs := make([]error, len(items))
	var failed error
	for i, o := range items {
		if errs[i] = failed; failed != nil {
			continue
		}
		errs[i] = s.Create(ctx, o.Key, o.Body, o.Size, o.Sum)
		if !errors.Is(errs[i], fs.ErrExist) {
			failed = errs[i]
		}
	}
	return errs
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
