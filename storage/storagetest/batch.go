package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

func item(key string, body []byte) storage.Item {
	return storage.Item{Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Sum: sha256.Sum256(body)}
}

// batcher skips the test of a store that creates only one object at a time.
func batcher(t *testing.T, a storage.Archive) storage.Batcher {
	t.Helper()
	b, ok := a.(storage.Batcher)
	if !ok {
		t.Skip("the store is no storage.Batcher")
	}
	return b
}

// wantErrors compares the errors of a batch; nil: the item was created.
func wantErrors(t *testing.T, errs []error, want ...error) {
	t.Helper()
	if len(errs) != len(want) {
		t.Fatalf("%d errors for %d items", len(errs), len(want))
	}
	for i, err := range errs {
		if !errors.Is(err, want[i]) {
			t.Errorf("item %d: got %v, want %v", i, err, want[i])
		}
	}
}

func testBatch(t *testing.T, a storage.Archive) {
	b := batcher(t, a)
	wantErrors(t, b.CreateAll(t.Context()))
	bodies := map[string][]byte{}
	var items []storage.Item
	var created, exist []error
	for i, key := range []string{
		"faxes/S1/pages/0001.tiff.json", "faxes/S1/pages/0001.tiff", "faxes/S1/r1/document.pdf", "index/2026/x", "faxes/S1/pages/0002.tiff",
	} {
		bodies[key] = noise(i*70_000, uint64(i))
		items, created, exist = append(items, item(key, bodies[key])), append(created, nil), append(exist, fs.ErrExist)
	}
	wantErrors(t, b.CreateAll(t.Context(), items...), created...)
	wantErrors(t, b.CreateAll(t.Context(), items...), exist...)
	for key, body := range bodies {
		wantObject(t, a, key, body)
	}
	// What exists stays, and stops nothing.
	wantErrors(t, b.CreateAll(t.Context(), item("x/new", []byte("new")), item("index/2026/x", []byte("other")), item("x/newer", nil)),
		nil, fs.ErrExist, nil)
	wantErrors(t, b.CreateAll(t.Context(), item("x/new", []byte("other")), item("x/newest", []byte("newest"))), fs.ErrExist, nil)
	wantObject(t, a, "index/2026/x", bodies["index/2026/x"])
	wantObject(t, a, "x/new", []byte("new"))
	wantObject(t, a, "x/newest", []byte("newest"))
}

// Of a batch with an item that fails, the items before it are created, and the items after it are not.
func testBatchFails(t *testing.T, a storage.Archive) {
	b := batcher(t, a)
	wrong := item("a/2", []byte("body"))
	wrong.Sum[0]++
	wantErrors(t, b.CreateAll(t.Context(), item("a/1", []byte("1")), wrong, item("a/3", nil)), nil, storage.ErrMismatch, storage.ErrMismatch)
	wantErrors(t, b.CreateAll(t.Context(), item("a/1", []byte("1")), item("../x", nil), item("a/3", nil)),
		fs.ErrExist, storage.ErrInvalidKey, storage.ErrInvalidKey)
	wantErrors(t, b.CreateAll(t.Context(), wrong, item("b/1", nil)), storage.ErrMismatch, storage.ErrMismatch)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErrors(t, b.CreateAll(ctx, item("c/1", nil), item("c/2", nil)), context.Canceled, context.Canceled)
	wantKeys(t, a, "", "", "a/1")
}

// The last item is there if all the others are. What exists stays, and stops nothing.
func testCommit(t *testing.T, a storage.Archive) {
	b := batcher(t, a)
	wantErrors(t, b.Commit(t.Context()))
	wantErrors(t, b.Commit(t.Context(), item("alone", nil)), nil)
	bodies := map[string][]byte{}
	var items []storage.Item
	for i, key := range []string{"faxes/S1/r1/document.tiff", "faxes/S1/r1/document.pdf", "index/2026/x", "faxes/S1/r1/manifest.json"} {
		bodies[key] = noise(i*70_000, uint64(i))
		items = append(items, item(key, bodies[key]))
	}
	wantErrors(t, b.Commit(t.Context(), items[:2]...), nil, nil)
	wantErrors(t, b.Commit(t.Context(), items...), fs.ErrExist, fs.ErrExist, nil, nil)
	wantErrors(t, b.Commit(t.Context(), items...), fs.ErrExist, fs.ErrExist, fs.ErrExist, fs.ErrExist)
	for key, body := range bodies {
		wantObject(t, a, key, body)
	}
	wrong := item("a/2", []byte("body"))
	wrong.Sum[0]++
	wantErrors(t, b.Commit(t.Context(), item("a/1", nil), wrong, item("b/last", nil)), nil, storage.ErrMismatch, storage.ErrMismatch)
	wantErrors(t, b.Commit(t.Context(), item("a/1", nil), wrong), fs.ErrExist, storage.ErrMismatch)
	errs := b.Commit(t.Context(), item("b/0", nil), item("a/1/x", nil), item("c/last", nil)) // the object a/1 is no directory
	if errs[0] != nil || errs[1] == nil || errs[2] == nil {
		t.Errorf("below an object: %v", errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErrors(t, b.Commit(ctx, item("d/1", nil), item("d/last", nil)), context.Canceled, context.Canceled)
	wantKeys(t, a, "a/", "", "a/1")
	for _, prefix := range []string{"b/last", "c", "d"} {
		wantKeys(t, a, prefix, "")
	}
}

// Of 16 batches with the same keys each key has one winner, and who finds an object finds the one before it.
func testBatchRace(t *testing.T, a storage.Archive) {
	b := batcher(t, a)
	const writers = 16
	var errs [writers][]error
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			errs[i] = b.CreateAll(t.Context(), item("faxes/S1/1.json", fmt.Appendf(nil, "%d", i)), item("faxes/S1/1", noise(75_000, uint64(i))),
				item("faxes/S2/1", noise(1000, uint64(i))))
		})
		wg.Go(func() {
			before := ""
			for _, key := range []string{"faxes/S2/1", "faxes/S1/1", "faxes/S1/1.json"} {
				_, err := read(t.Context(), a, key)
				if errors.Is(err, fs.ErrNotExist) && before != "" {
					t.Errorf("%s is there, and %s is not", before, key)
				}
				if err == nil {
					before = key
				}
			}
		})
	}
	wg.Wait()
	for k, key := range strings.Fields("faxes/S1/1.json faxes/S1/1 faxes/S2/1") {
		winners := 0
		for i := range errs {
			if err := errs[i][k]; err == nil {
				winners++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: %v", key, err)
			}
		}
		if winners != 1 {
			t.Errorf("%s has %d winners", key, winners)
		}
		if _, err := read(t.Context(), a, key); err != nil {
			t.Error(err)
		}
	}
}
