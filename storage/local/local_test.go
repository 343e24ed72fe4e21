package local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/local"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// writerDir makes the test binary the writer that TestSIGKILL kills.
const writerDir = "FAXSTREAM_TEST_WRITER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	for name, way := range open(t, t.TempDir()).Ways() {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Archive {
				s := open(t, t.TempDir())
				way(s)
				return s
			})
		})
	}
}

func open(t testing.TB, dir string) *local.Store {
	t.Helper()
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func create(t testing.TB, s *local.Store, key string, body []byte) error {
	t.Helper()
	return s.Create(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body))
}

func keys(t testing.TB, s *local.Store) (keys []string) {
	t.Helper()
	for key, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestSecondStoreOnADirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	_, err := local.Open(dir)
	if !errors.Is(err, local.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v, want ErrLocked with the directory's name", err)
	}
	if err := create(t, first, "x", []byte("x")); err != nil {
		t.Fatalf("the attempt broke the first: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if got := keys(t, second); len(got) != 1 {
		t.Fatalf("found %q", got)
	}
	if err := create(t, first, "y", nil); err == nil {
		t.Fatal("a closed store still writes")
	}
}

func TestOpenMakesTheDirectoryAndSaysWhenItCannot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	if err := create(t, open(t, dir), "x", nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(filepath.Join(file, "x")); err == nil || !strings.Contains(err.Error(), file) {
		t.Fatalf("got %v", err)
	}
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "archive")
	if err := create(t, open(t, dir), "faxes/S1/pages/0001.tiff", []byte("page")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSymbolicLinksDoNotLeadOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"faxes": outside, "secret": filepath.Join(outside, "secret"), "+tmp": outside} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	for _, key := range []string{"faxes/secret", "secret"} {
		if _, _, err := s.Open(t.Context(), key); err == nil {
			t.Errorf("%s was opened", key)
		}
	}
	for _, key := range []string{"faxes/x", "faxes/S1/x", "secret"} {
		err := create(t, s, key, []byte("x"))
		if err == nil || errors.Is(err, fs.ErrExist) {
			t.Errorf("create %s: %v", key, err)
		}
	}
	if got := keys(t, s); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside was changed: %v, %v", entries, err)
	}
}

// TestListSkipsWhatIsNoObject: temporary files and what people put there.
func TestListSkipsWhatIsNoObject(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := create(t, s, "faxes/S1/x", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"+tmp/7", "faxes/S1/no key", "faxes/~backup"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, s); len(got) != 1 {
		t.Fatalf("listed %q", got)
	}
}

// TestSIGKILL kills a process with 8 writers in the middle of its work, a few
// times over. Every object that is visible afterwards is whole, each that was
// reported is there, and nothing else is left.
func TestSIGKILL(t *testing.T) {
	dir := t.TempDir()
	reported := map[string]bool{}
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed on its 40th report, it is at work on 7 others.
		var key string
		for range 40 {
			if _, err := fmt.Fscanln(out, &key); err != nil {
				t.Fatal(err)
			}
			reported[key] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := fmt.Fscanln(out, &key); err != nil {
				break
			}
			if path.Ext(key) == ".done" {
				reported[key] = true
			}
		}
		_ = cmd.Wait() // says "killed"

		s := open(t, dir)
		for _, key := range keys(t, s) {
			delete(reported, key)
			wantWhole(t, s, key)
		}
		for key := range reported {
			t.Errorf("%s was reported and is gone", key)
		}
		left, err := os.ReadDir(filepath.Join(dir, "+tmp"))
		if err != nil || len(left) != 0 {
			t.Errorf("left in +tmp: %v, %v", left, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wantWhole reads an object whose key is its hash.
func wantWhole(t *testing.T, s *local.Store, key string) {
	t.Helper()
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSuffix(path.Base(key), ".done"); hex.EncodeToString(h.Sum(nil)) != want {
		t.Errorf("%s is not whole", key)
	}
}

// writeForEver creates objects and prints their keys.
func writeForEver(dir string) error {
	s, err := local.Open(dir)
	if err != nil {
		return err
	}
	errs := make(chan error)
	var mu sync.Mutex
	for range 8 {
		go func() {
			body := make([]byte, 75_000)
			for {
				for i := 0; i < len(body); i += 100 {
					body[i] = byte(rand.Uint32())
				}
				sum := sha256.Sum256(body)
				key := fmt.Sprintf("faxes/S%d/%x.done", rand.IntN(10), sum)
				if err := s.Create(context.Background(), key, bytes.NewReader(body), int64(len(body)), sum); err != nil {
					errs <- err
					return
				}
				mu.Lock()
				fmt.Println(key)
				mu.Unlock()
			}
		}()
	}
	return <-errs
}

// A check writes to the disk, finds what refuses writes, and leaves nothing.
func TestCheckWritesAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system (it takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := open(t, dir)
	for range 20 { // together more than the disk has
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hog := filepath.Join(dir, "hog")
	if err := os.WriteFile(hog, make([]byte, 950<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, storage.ErrFull) {
		t.Errorf("no room: got %v, want ErrFull", err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("room again: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "+tmp")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
