package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/storagetest"
)

func TestRemoverConformance(t *testing.T) {
	storagetest.RunRemover(t, func(t *testing.T) storagetest.Store {
		dir := t.TempDir()
		s := open(t, dir)
		return storagetest.Store{
			Archive: s, Remover: s,
			Count: func(t *testing.T, prefix string) (n int) {
				for _, name := range tree(t, filepath.Join(dir, prefix)) {
					if info, err := os.Lstat(filepath.Join(dir, prefix, name)); err == nil && !info.IsDir() {
						n++
					}
				}
				return n
			},
		}
	})
}

// tree are the paths of everything in dir.
func tree(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != dir {
			rel, _ := filepath.Rel(dir, name) // name begins with dir
			paths = append(paths, rel)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return paths
}

// What people put into a session's directory goes with it; what a symbolic link names does not.
func TestDeleteTakesWhatIsThereAndNothingElse(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := open(t, dir)
	for _, key := range []string{"faxes/S1/pages/1.tiff", "faxes/S2/1.tiff", "index/2026/11/27/x"} {
		if err := create(t, s, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"faxes/S1/out": outside, "faxes/S1/in": "../S2", "faxes/S1/pages/file": filepath.Join(outside, "secret"), "faxes/S3": "S2",
		"out": outside,
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "faxes/S1/a copy~"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Protection(t.Context(), "faxes/S1/"); err != nil || p.Objects != 1 {
		t.Errorf("%+v, %v, want one object", p, err)
	}
	for _, name := range []string{"faxes/S1/", "index/2026/11/27/x"} {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"faxes/S3/", "faxes/S3/1.tiff", "out/", "out/secret"} {
		if err := s.Delete(t.Context(), name); !errors.Is(err, storage.ErrRefused) {
			t.Errorf("delete %s, through a symbolic link: %v", name, err)
		}
		if _, err := s.Protection(t.Context(), name); !errors.Is(err, storage.ErrRefused) {
			t.Errorf("look at %s, through a symbolic link: %v", name, err)
		}
	}
	want := []string{"+lock", "+tmp", "faxes", "faxes/S2", "faxes/S2/1.tiff", "faxes/S3", "out"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("left %q\nwant %q", got, want)
	}
	if got := tree(t, outside); len(got) != 1 {
		t.Errorf("outside there is %q", got)
	}
}

// Written is the modification time of the file, which a copy of the archive preserves.
func TestProtectionHasTheTimeOfTheFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	at := time.Date(2020, 11, 27, 10, 11, 12, 0, time.UTC)
	for i, key := range []string{"a/old", "a/b/new"} {
		if err := create(t, s, key, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, key), time.Time{}, at.AddDate(i, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]time.Time{"a/old": at, "a/": at.AddDate(1, 0, 0)} {
		if p, err := s.Protection(t.Context(), name); err != nil || p.Written != want {
			t.Errorf("%s: %+v, %v, want %v", name, p, err, want)
		}
	}
}

func TestAClosedStoreDeletesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := create(t, s, "a/b", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a/"); err == nil {
		t.Error("no error")
	}
	if got := keys(t, open(t, dir)); len(got) != 1 {
		t.Errorf("left %q", got)
	}
}
