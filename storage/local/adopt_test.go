package local_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/local"
)

// spoolFile makes a file in dir as a writer of documents leaves it: open, and read to its end.
func spoolFile(t *testing.T, dir string, body []byte) *os.File {
	t.Helper()
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := f.Write(body); err != nil {
		t.Fatal(err)
	}
	return f
}

func adopt(t *testing.T, s *local.Store, key string, f *os.File) {
	t.Helper()
	body, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAll(t.Context(), adopted(key, f, int64(len(body)), sha256.Sum256(body)))[0]; err != nil {
		t.Fatal(err)
	}
}

func adopted(key string, f *os.File, size int64, sum [sha256.Size]byte) storage.Item {
	return storage.Item{Key: key, Body: f, Size: size, Sum: sum, Adopt: true}
}

// What is adopted is the file itself where that is possible, and otherwise a copy whose bytes were checked.
func TestAdopt(t *testing.T) {
	body := []byte("document")
	for name, tc := range map[string]struct {
		dir   string
		mode  fs.FileMode
		way   string
		moved bool
	}{
		"by descriptor":          {t.TempDir(), 0o600, "descriptor", true},
		"through /proc":          {t.TempDir(), 0o600, "proc", true},
		"names in +tmp":          {t.TempDir(), 0o600, "+tmp", false},
		"others may open it":     {t.TempDir(), 0o644, "descriptor", false},
		"in another file system": {"/dev/shm", 0o600, "descriptor", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			way := s.Ways()[tc.way]
			if way == nil {
				t.Skipf("this system has no way %s", tc.way)
			}
			way(s)
			f := spoolFile(t, tc.dir, body)
			if err := f.Chmod(tc.mode); err != nil {
				t.Fatal(err)
			}
			adopt(t, s, "faxes/S1/r1/document.pdf", f)
			object, err := os.Stat(filepath.Join(dir, "faxes/S1/r1/document.pdf"))
			if err != nil {
				t.Fatal(err)
			}
			own, err := f.Stat()
			if err != nil || os.SameFile(own, object) != tc.moved || object.Mode() != 0o600 {
				t.Errorf("the object is the file: %t, want %t; its mode is %s, %v", os.SameFile(own, object), tc.moved, object.Mode(), err)
			}
			again := adopted("faxes/S1/r1/document.pdf", f, own.Size(), sha256.Sum256(body))
			if errs := s.Commit(t.Context(), again, item("faxes/S1/r1/manifest.json", nil)); !errors.Is(errs[0], fs.ErrExist) || errs[1] != nil {
				t.Errorf("again: %v", errs)
			}
			if err := os.Remove(f.Name()); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "faxes/S1/r1/document.pdf")); err != nil || string(got) != string(body) {
				t.Errorf("the object has %q, %v", got, err)
			}
		})
	}
}

func TestAdoptRefusesAnotherSize(t *testing.T) {
	for _, size := range []int64{-1, 0, 7, 9} {
		s := open(t, t.TempDir())
		f := spoolFile(t, t.TempDir(), []byte("document"))
		err := s.CreateAll(t.Context(), adopted("x", f, size, sha256.Sum256([]byte("document"))))[0]
		if !errors.Is(err, storage.ErrMismatch) {
			t.Errorf("size %d: %v", size, err)
		}
		if got := keys(t, s); len(got) > 0 {
			t.Errorf("size %d: there is %q", size, got)
		}
	}
}

func TestAClosedStoreAdoptsNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := spoolFile(t, t.TempDir(), []byte("document"))
	if err := s.CreateAll(t.Context(), adopted("x", f, 8, sha256.Sum256([]byte("document"))))[0]; err == nil {
		t.Error("no error")
	}
	if left := tree(t, dir); len(left) > 2 { // +lock and +tmp
		t.Errorf("there is %q", left)
	}
}
