package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/faxstream/faxstream/storage"
)

func made(openDir) error { return nil }

// disk is a file system with directories only; it writes down what is done to them.
type disk struct {
	mu   sync.Mutex
	done []string
	err  error         // of each sync
	hold chan struct{} // not nil: each sync waits for it
}

func (d *disk) names() unsavedNames {
	return unsavedNames{open: func(dir string) (openDir, error) {
		d.did("open " + dir)
		return diskDir{d, dir}, nil
	}}
}

func (d *disk) did(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, what)
}

func (d *disk) count(what string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, did := range d.done {
		if strings.HasPrefix(did, what) {
			n++
		}
	}
	return n
}

type diskDir struct {
	disk *disk
	dir  string
}

func (d diskDir) Sync() error {
	d.disk.did("sync " + d.dir)
	if d.disk.hold != nil {
		<-d.disk.hold
	}
	return d.disk.err
}

func (d diskDir) Fd() uintptr { return 0 }

func (d diskDir) Close() error { d.disk.did("close " + d.dir); return nil }

func TestNamesAreSyncedOnceAndByWhoeverFindsThem(t *testing.T) {
	var fs disk
	u := fs.names()
	save := func(dir string) {
		t.Helper()
		if err := u.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int) {
		t.Helper()
		if syncs := fs.count("sync"); syncs != n {
			t.Fatalf("%d syncs, want %d", syncs, n)
		}
	}
	save("a") // nothing was made there
	want(0)
	if err := u.add("a", made); err != nil {
		t.Fatal(err)
	}
	save("b")
	want(0)
	save("a")
	want(1)
	save("a")
	want(1)
	// A name that failed is none.
	if err := u.add("a", func(openDir) error { return os.ErrExist }); !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	save("a")
	want(1)
	// A name may be seen before its maker returns.
	err := u.add("a", func(openDir) error { save("a"); want(2); return nil })
	if err != nil {
		t.Fatal(err)
	}
	save("a")
	want(3)
	if len(u.dirs) != 0 {
		t.Fatalf("still remembers %v", u.dirs)
	}
	if opened, closed := fs.count("open"), fs.count("close"); opened != closed {
		t.Fatalf("%d directories opened and %d closed", opened, closed)
	}
}

// An I/O error after a name was made is reported to descriptors that were open then.
func TestADirectoryIsOpenBeforeANameIsMadeInIt(t *testing.T) {
	var fs disk
	u := fs.names()
	mkname := func(dir string) {
		t.Helper()
		if err := u.add(dir, func(openDir) error { fs.did("make in " + dir); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	save := func(dir string) {
		t.Helper()
		if err := u.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	mkname("a")
	mkname("a")
	save("a")
	mkname("a")
	// The directory is removed and another one is made in its place.
	if err := u.remove("a"); err != nil {
		t.Fatal(err)
	}
	save("a")
	mkname("a")
	save("a")
	want := []string{
		"open a", "make in a", "make in a", "sync a", "close a",
		"open a", "make in a", "close a",
		"open a", "make in a", "sync a", "close a",
	}
	if !slices.Equal(fs.done, want) {
		t.Errorf("%q, want %q", fs.done, want)
	}
}

func TestNamesStayUnsavedWhenSyncFails(t *testing.T) {
	fs := disk{err: syscall.EIO}
	u := fs.names()
	if err := u.add("a", made); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := u.save("a"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v", err)
		}
	}
	fs.err = nil
	before := fs.count("sync")
	if err := u.save("a"); err != nil || fs.count("sync") == before {
		t.Fatal("taken for saved", err)
	}
	if n := fs.count("open"); n != 1 {
		t.Errorf("opened %d times: a descriptor that is opened later does not see the error", n)
	}
}

// While one fsync runs, 15 writers make names: one more fsync saves them all.
func TestWritersShareAnFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disk{hold: make(chan struct{})}
		u := fs.names()
		write := func() {
			if err := u.add("a", made); err != nil {
				t.Error(err)
			}
			if err := u.save("a"); err != nil {
				t.Error(err)
			}
		}
		var wg sync.WaitGroup
		wg.Go(write)
		synctest.Wait() // the first is in its fsync
		for range 15 {
			wg.Go(write)
		}
		synctest.Wait()
		close(fs.hold)
		wg.Wait()
		if n := fs.count("sync"); n != 2 {
			t.Fatalf("%d fsyncs for 16 writers, want 2", n)
		}
		if len(u.dirs) != 0 {
			t.Fatalf("still remembers %v", u.dirs)
		}
	})
}

// Writers that the disk has kept waiting go on at the same time: most save their names while others make some. They share an fsync too.
func TestWritersShareAnFsyncWhileNamesAreMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := disk{hold: make(chan struct{})}
		u := fs.names()
		slow := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := u.add("a", func(openDir) error { <-slow; return nil }); err != nil {
				t.Error(err)
			}
		})
		for range 16 {
			wg.Go(func() {
				if err := u.add("a", made); err != nil {
					t.Error(err)
				}
				if err := u.save("a"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one is in its fsync
		close(fs.hold)
		synctest.Wait()
		if n := fs.count("sync"); n > 2 {
			t.Errorf("%d fsyncs for 16 writers, want at most 2", n)
		}
		close(slow)
		wg.Wait()
	})
}

func TestSystemErrorsAreToldApart(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.ENOSPC: storage.ErrFull, syscall.EDQUOT: storage.ErrFull,
		syscall.EACCES: storage.ErrRefused, syscall.EPERM: storage.ErrRefused, syscall.EROFS: storage.ErrRefused,
		syscall.EIO: nil, syscall.EMFILE: nil,
	} {
		err := mapError(fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: errno}))
		for _, sentinel := range []error{storage.ErrFull, storage.ErrRefused} {
			if errors.Is(err, sentinel) != (sentinel == want) {
				t.Errorf("%v: %v matches %v", errno, err, sentinel)
			}
		}
		if !errors.Is(err, errno) {
			t.Errorf("%v is lost in %v", errno, err)
		}
	}
}
