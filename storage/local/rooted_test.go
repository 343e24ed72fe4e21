package local_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A person may have moved a part of the archive and left a symbolic link that stays inside: reading follows it. What is not there, and a
// directory, is no object.
func TestObjectsAreFoundBehindLinksInside(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := create(t, s, "faxes/S1/pages/x", []byte("page")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("S1", filepath.Join(dir, "faxes", "S2")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"faxes/S1/pages/x", "faxes/S2/pages/x"} {
		f, size, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if got, err := io.ReadAll(f); string(got) != "page" || size != 4 || err != nil {
			t.Errorf("%s: %q, size %d, %v", key, got, size, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"faxes/S1/pages/y", "faxes/S1/pages/x/y", "faxes/S1/pages", "faxes/S3/pages/x"} {
		if _, _, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want that it does not exist", key, err)
		}
	}
}
