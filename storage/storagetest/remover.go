package storagetest

import (
	"errors"
	"testing"
	"time"

	"github.com/faxstream/faxstream/storage"
)

// Store is a store for [RunRemover], with what its own tests can do to it from outside.
type Store struct {
	storage.Archive
	storage.Remover

	// Count returns how many versions and delete markers, or files, are below a prefix, without the store's own methods.
	Count func(t *testing.T, prefix string) int

	// Overwrite makes a newer version of a key; Mark makes a delete marker over it. nil: the store has one version of each key.
	Overwrite, Mark func(t *testing.T, key string)

	// Retain puts a retention on the newest version of a key. nil: the store has neither retention nor legal hold.
	Retain func(t *testing.T, key string, until time.Time)
}

// RunRemover is the conformance suite of a [storage.Remover]. open is as in [Run].
func RunRemover(t *testing.T, open func(t *testing.T) Store) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"what is not there is not protected", testProtectionOfNothing},
		{"other names than keys are refused", testInvalidNames},
		{"protection counts keys and has the time of writing", testProtection},
		{"delete is exact", testDeleteExact},
		{"a key is free again after it was deleted", testDeletedKeyIsFree},
		{"delete crosses pages", testDeleteMany},
		{"delete does no harm to other writers", testDeleteBesideWriters},
		{"a cancelled delete can be called again", testDeleteCancelled},
		{"no version or marker is left", testDeleteVersions},
		{"what is held stays until its release", testHold},
		{"what is retained stays until the retention ends", testRetained},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

func mustProtection(t *testing.T, k Store, name string) storage.Protection {
	t.Helper()
	p, err := k.Protection(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustDelete(t *testing.T, k Store, name string) {
	t.Helper()
	if err := k.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t *testing.T, k Store, name string, on bool) {
	t.Helper()
	if err := k.Hold(t.Context(), name, on); err != nil {
		t.Fatal(err)
	}
}

func testProtectionOfNothing(t *testing.T, k Store) {
	mustCreate(t, k, "a/bc", nil)
	for _, name := range []string{"a/b", "a/b/", "a", "b/", "a/bc/", "a/bc/d", "a/bc/d/", "a/bc/d/e"} {
		if p := mustProtection(t, k, name); p != (storage.Protection{}) {
			t.Errorf("%s: %+v", name, p)
		}
		mustDelete(t, k, name)
		if err := k.Hold(t.Context(), name, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantKeys(t, k, "", "", "a/bc")
}

func testInvalidNames(t *testing.T, k Store) {
	mustCreate(t, k, "a/b", nil)
	for _, name := range []string{"", "/", "//", ".", "./", "..", "../", "a//", "a/../", "/a/", "a/./", "+tmp/", "a/\x00"} {
		_, err := k.Protection(t.Context(), name)
		wantError(t, err, storage.ErrInvalidKey)
		wantError(t, k.Hold(t.Context(), name, true), storage.ErrInvalidKey)
		wantError(t, k.Delete(t.Context(), name), storage.ErrInvalidKey)
	}
	wantKeys(t, k, "", "", "a/b")
}

func testProtection(t *testing.T, k Store) {
	begin := time.Now().Add(-time.Second).Truncate(time.Second) // some services count in seconds
	for _, key := range []string{"a/b/1", "a/b/c/2", "a/bc", "a/d"} {
		mustCreate(t, k, key, []byte(key))
	}
	for name, want := range map[string]int{"a/": 4, "a/b/": 2, "a/bc": 1, "a/b": 0} {
		p := mustProtection(t, k, name)
		if p.Objects != want || p.Held || !p.Until.IsZero() || p.Locked(time.Now()) {
			t.Errorf("%s: %+v, want %d objects without protection", name, p, want)
		}
		if at := p.Written; want > 0 && (at.Before(begin) || at.After(time.Now().Add(time.Second)) || at.Location() != time.UTC) {
			t.Errorf("%s: written %v, want now in UTC", name, at)
		}
	}
}

func testHold(t *testing.T, k Store) {
	for _, key := range []string{"a/b", "a/bc", "a/c/1", "a/c/2"} {
		mustCreate(t, k, key, []byte(key))
	}
	if k.Retain == nil {
		for _, on := range []bool{true, false} {
			wantError(t, k.Hold(t.Context(), "a/", on), errors.ErrUnsupported)
		}
		mustDelete(t, k, "a/")
		return
	}
	for _, name := range []string{"a/b", "a/c/2"} {
		mustHold(t, k, name, true)
		mustHold(t, k, name, true)
	}
	k.Mark(t, "a/c/2") // a marker hides the held version, and does not free it
	before := k.Count(t, "")
	for name, held := range map[string]bool{"a/b": true, "a/bc": false, "a/c/": true, "a/c/1": false, "a/c/2": true, "a/": true} {
		if p := mustProtection(t, k, name); p.Held != held || p.Locked(time.Now()) != held {
			t.Errorf("%s: held is %v", name, p.Held)
		}
		if held {
			wantError(t, k.Delete(t.Context(), name), storage.ErrProtected)
		}
	}
	if n := k.Count(t, ""); n != before {
		t.Errorf("%d of %d versions are left after refusals", n, before)
	}
	mustDelete(t, k, "a/bc")
	mustHold(t, k, "a/c/", false)
	mustHold(t, k, "a/c/", false)
	mustDelete(t, k, "a/c/")
	wantKeys(t, k, "", "", "a/b")
	wantError(t, k.Delete(t.Context(), "a/"), storage.ErrProtected)
	mustHold(t, k, "a/", false)
	mustDelete(t, k, "a/")
	if n := k.Count(t, ""); n != 0 {
		t.Errorf("%d versions are left", n)
	}
}

func testRetained(t *testing.T, k Store) {
	if k.Retain == nil {
		t.Skip("the store retains nothing by itself")
	}
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		mustCreate(t, k, key, nil)
	}
	short, long := time.Now().Add(5*time.Second), time.Now().Add(24*time.Hour)
	k.Retain(t, "a/1", short)
	k.Retain(t, "a/2", long)
	if until := mustProtection(t, k, "a/").Until; until.Sub(long).Abs() > time.Second || until.Location() != time.UTC {
		t.Errorf("retained until %v, want %v", until, long.UTC())
	}
	wantError(t, k.Delete(t.Context(), "a/"), storage.ErrProtected)
	wantKeys(t, k, "", "", "a/1", "a/2", "a/3")
	mustDelete(t, k, "a/3")
	for err := k.Delete(t.Context(), "a/1"); err != nil; err = k.Delete(t.Context(), "a/1") {
		wantError(t, err, storage.ErrProtected)
		if time.Now().After(short.Add(10 * time.Second)) {
			t.Fatal("still protected: ", err)
		}
		time.Sleep(100 * time.Millisecond) // the store has no signal
	}
	wantKeys(t, k, "", "", "a/2")
}
