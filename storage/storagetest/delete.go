package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

func testDeleteExact(t *testing.T, k Store) {
	others := []string{"a/b-/c", "a/b.c", "a/b0", "a/bc", "ab", "a.b"}
	slices.Sort(others)
	for _, key := range others {
		mustCreate(t, k, key, nil)
	}
	mustCreate(t, k, "a/b", nil)
	mustDelete(t, k, "a/b/") // nothing is below an object
	wantObject(t, k, "a/b", nil)
	mustDelete(t, k, "a/b")
	wantKeys(t, k, "", "", others...)

	below := []string{"a/b/1", "a/b/c", "a/b/d/e/f"}
	for _, key := range below {
		mustCreate(t, k, key, nil)
	}
	mustDelete(t, k, "a/b") // what is below a/b is not a/b
	wantKeys(t, k, "a/b/", "", below...)
	mustDelete(t, k, "a/b/d/")
	wantKeys(t, k, "a/b/", "", below[:2]...)
	mustDelete(t, k, "a/b/")
	wantKeys(t, k, "", "", others...)
	mustDelete(t, k, "a/")
	wantKeys(t, k, "", "", "a.b", "ab")
	if n := k.Count(t, "a/"); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

func testDeletedKeyIsFree(t *testing.T, k Store) {
	for i := range 3 {
		body := noise(1000+i, uint64(i))
		mustCreate(t, k, "faxes/S1/r1/plan.json", body)
		wantError(t, create(t.Context(), k, "faxes/S1/r1/plan.json", nil), fs.ErrExist)
		wantObject(t, k, "faxes/S1/r1/plan.json", body)
		for range 2 {
			mustDelete(t, k, "faxes/S1/")
			_, err := read(t.Context(), k, "faxes/S1/r1/plan.json")
			wantError(t, err, fs.ErrNotExist)
			wantKeys(t, k, "", "")
		}
	}
}

// testDeleteMany is for a store whose pages are made small.
func testDeleteMany(t *testing.T, k Store) {
	const n, gone = 100, 83
	each16(t, n, func(ctx context.Context, i int) error {
		return create(ctx, k, fmt.Sprintf("faxes/S%d/pages/%04d", i/gone, i), nil)
	})
	for i := 0; i < n && k.Overwrite != nil; i += 9 {
		k.Overwrite(t, fmt.Sprintf("faxes/S%d/pages/%04d", i/gone, i))
	}
	others := k.Count(t, "faxes/S1/")
	if p := mustProtection(t, k, "faxes/"); p.Objects != n {
		t.Errorf("%d objects, want %d", p.Objects, n)
	}
	mustDelete(t, k, "faxes/S0/")
	if p := mustProtection(t, k, "faxes/"); p.Objects != n-gone {
		t.Errorf("%d objects, want %d", p.Objects, n-gone)
	}
	if got := k.Count(t, "faxes/"); got != others {
		t.Errorf("%d versions are left, want %d", got, others)
	}
}

// each16 calls do for 0 to n-1 from 16 goroutines.
func each16(t *testing.T, n int, do func(ctx context.Context, i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				if err := do(t.Context(), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// testDeleteBesideWriters deletes objects that are alone in their directory, again and again, while others write there.
func testDeleteBesideWriters(t *testing.T, k Store) {
	each16(t, 64, func(ctx context.Context, i int) error {
		dir := fmt.Sprintf("index/2026/%02d/", i%10)
		stays, gone := fmt.Sprintf("%sstays-%d", dir, i), fmt.Sprintf("%sgone-%d", dir, i)
		deleted := make(chan error, 1)
		go func() { deleted <- errors.Join(create(ctx, k, gone, nil), k.Delete(ctx, gone)) }()
		err := errors.Join(create(ctx, k, stays, []byte(stays)), <-deleted)
		if got, rerr := read(ctx, k, stays); err == nil && (rerr != nil || string(got) != stays) {
			err = fmt.Errorf("%s: read %q: %w", stays, got, rerr)
		}
		return errors.Join(err, k.Delete(ctx, stays))
	})
	if p := mustProtection(t, k, "index/"); p != (storage.Protection{}) {
		t.Errorf("%+v is left", p)
	}
}

func testDeleteCancelled(t *testing.T, k Store) {
	mustCreate(t, k, "a/b", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, k.Delete(ctx, "a/"), context.Canceled)
	_, err := k.Protection(ctx, "a/")
	wantError(t, err, context.Canceled)
	wantKeys(t, k, "", "", "a/b")
	mustDelete(t, k, "a/")
	wantKeys(t, k, "", "")
}

func testDeleteVersions(t *testing.T, k Store) {
	if k.Overwrite == nil {
		t.Skip("the store has one version of each key")
	}
	for _, key := range []string{"a/b", "a/bc", "a/c"} {
		mustCreate(t, k, key, nil)
		k.Overwrite(t, key)
		k.Overwrite(t, key)
	}
	k.Mark(t, "a/b")
	k.Mark(t, "a/c")
	if p := mustProtection(t, k, "a/"); p.Objects != 1 {
		t.Errorf("%d objects, want the one without a marker", p.Objects)
	}
	if p := mustProtection(t, k, "a/b"); p.Objects != 0 || p.Written.IsZero() {
		t.Errorf("%+v, want no object and something there", p)
	}
	mustDelete(t, k, "a/b")
	if n := k.Count(t, "a/"); n != 3+4 {
		t.Errorf("%d versions and markers are left, want those of the others", n)
	}
	mustDelete(t, k, "a/")
	if n := k.Count(t, ""); n != 0 {
		t.Errorf("%d versions and markers are left", n)
	}
	mustCreate(t, k, "a/b", []byte("new"))
	wantObject(t, k, "a/b", []byte("new"))
}
