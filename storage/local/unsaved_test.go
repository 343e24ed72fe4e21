package local

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/faxstream/faxstream/storage"
)

func made() error { return nil }

func TestNamesAreSyncedOnceAndByWhoeverFindsThem(t *testing.T) {
	var u unsavedNames
	syncs := 0
	save := func(dir string) {
		t.Helper()
		if err := u.save(dir, func(string) error { syncs++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n int) {
		t.Helper()
		if syncs != n {
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
	if err := u.add("a", func() error { return fs.ErrExist }); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	save("a")
	want(1)
	// A name may be seen before its maker returns.
	err := u.add("a", func() error { save("a"); want(2); return nil })
	if err != nil {
		t.Fatal(err)
	}
	save("a")
	want(3)
	if len(u.dirs) != 0 {
		t.Fatalf("still remembers %v", u.dirs)
	}
}

func TestNamesStayUnsavedWhenSyncFails(t *testing.T) {
	var u unsavedNames
	if err := u.add("a", made); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := u.save("a", func(string) error { return syscall.EIO }); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v", err)
		}
	}
	synced := false
	if err := u.save("a", func(string) error { synced = true; return nil }); err != nil || !synced {
		t.Fatal("taken for saved", err)
	}
}

// While one fsync runs, 15 writers make names: one more fsync saves them all.
func TestWritersShareAnFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u unsavedNames
		var syncs atomic.Int32
		hold := make(chan struct{})
		write := func() {
			if err := u.add("a", made); err != nil {
				t.Error(err)
			}
			err := u.save("a", func(string) error { syncs.Add(1); <-hold; return nil })
			if err != nil {
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
		close(hold)
		wg.Wait()
		if n := syncs.Load(); n != 2 {
			t.Fatalf("%d fsyncs for 16 writers, want 2", n)
		}
		if len(u.dirs) != 0 {
			t.Fatalf("still remembers %v", u.dirs)
		}
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
