// Package local is an archive of plain files. Start with [Open].
//
// An object's key is its path below the directory. A write has these steps;
// the objects of one [Store.CreateAll] take each step together:
//
//	O_TMPFILE   write a file that has no name; check the content against size and SHA-256
//	fsync       the content is on disk
//	open        the directory of the key
//	link(2)     to the key's path, in the order of the objects; fails if that exists: one writer wins
//	fsync       that descriptor of the directory: the names are on disk
//
// Where the system has no files without a name, or cannot give them one, the
// file is +tmp/N while it is written, and that name is removed at the end.
// An object that is adopted begins with the caller's file instead. Writers that
// wait at the same time share the journal's commits: their fsyncs run together,
// and one fsync of a directory saves the names of all. A new directory is synced
// in its parent in the same way. [Store.Commit] has the same steps, and gives the
// last object its name after the directories of all the others are synced.
//
// After a crash the whole object is there or nothing of it. Of the objects of
// one CreateAll the first ones may be there and the last ones not, never the
// reverse: a sidecar is there before its object. In one directory this needs a
// file system that writes changes of a directory in their order, as those with
// a journal do (ext4, XFS, btrfs, ZFS); on ext4 without a journal, of several
// objects that were not reported yet, any may be there. Before a name in
// another directory the store waits for the disk. Files without a name are gone after a crash. Files
// in +tmp may be left; the next Open removes them.
//
// Promise: no method reports an object that is not on disk. If a method finds
// a name that another writer has linked but not yet synced, it syncs that name
// first (Create before it returns fs.ErrExist, Open before it returns the
// object). What a crashed process did not sync, the next Open writes to disk
// with one syncfs(2). The names that are not synced yet are known in memory
// only, so one directory has one process: Open takes an flock(2) on +lock. The
// system releases it when the process ends, for any reason.
//
// [Store.Delete] removes files and then the directories that are empty, never
// between the mkdir(2), link(2) and fsync of a Create. There is no legal hold
// and no retention here: everybody who may write to the directory may delete.
//
// All access goes through [os.Root], so that no symbolic link inside the
// directory leads out of it. Directories get mode 0700, files get 0600.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/faxstream/faxstream/storage"
)

// maxSyncs is how many files are synced at the same time: the disk writes together what waits together. Each one has a thread.
const maxSyncs = 64

// Names that no key can have: '+' is not allowed in keys.
const (
	tmpDir   = "+tmp"
	lockFile = "+lock"
)

// ErrLocked is matched by the error of [Open] if another process, or another
// Store of this process, uses the directory.
var ErrLocked = errors.New("another process is using this archive directory")

// Store is a [storage.Archive] in a directory. Close releases the directory.
type Store struct {
	root    *rooted
	lock    *os.File     // holds the flock until Close
	closing sync.RWMutex // read-held by Create and Delete, so that no name changes after the release
	names   sync.RWMutex // read-held while names are made and synced, held while Delete removes some
	tmp     *os.File     // the directory +tmp
	link    linker       // nil: files need a name in +tmp while they are written
	lastTmp atomic.Uint64
	syncing chan struct{} // full while maxSyncs files are synced
	unsaved unsavedNames
	buffers sync.Pool // *[]byte of copyBuffer bytes
}

var _ storage.Archive = (*Store)(nil)

// Open makes dir if it does not exist, locks it, removes the files that a
// crash left in +tmp, and flushes the file system. Afterwards the directory
// and everything in it is on disk. If somebody else uses dir, the error
// matches [ErrLocked].
func Open(dir string) (*Store, error) {
	s, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open archive directory %s: %w", dir, mapError(err))
	}
	return s, nil
}

func open(dir string) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := openRooted(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root, unsaved: newUnsaved(root), syncing: make(chan struct{}, maxSyncs)}
	s.buffers.New = func() any { b := make([]byte, copyBuffer); return &b }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: stop that process first; a second server needs a directory of its own", ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", lockFile, err)
	}
	// We hold the lock, so all temporary files are of processes that have ended.
	if err := root.RemoveAll(tmpDir); err != nil {
		return nil, err
	}
	if err := root.Mkdir(tmpDir, 0o700); err != nil {
		return nil, err
	}
	if s.tmp, err = root.Open(tmpDir); err != nil {
		return nil, err
	}
	if s.link, err = findLinker(s.tmp); err != nil {
		return nil, err
	}
	if err := syncFilesystem(s.lock); err != nil {
		return nil, fmt.Errorf("flush file system: %w", err)
	}
	return s, nil
}

// Close waits for every running Create and Delete and releases the directory
// for the next Open. Readers that are open stay usable.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	var err error
	for _, f := range []*os.File{s.tmp, s.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, s.root.Close())
}

// Open implements [storage.Archive]. The reader is an [*os.File].
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	f, size, err := s.open(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("open %.100q: %w", key, mapError(err))
	}
	return f, size, nil
}

func (s *Store) open(ctx context.Context, key string) (*os.File, int64, error) {
	if err := errors.Join(ctx.Err(), storage.ValidKey(key)); err != nil {
		return nil, 0, err
	}
	f, err := s.root.OpenObject(key)
	if errors.Is(err, syscall.ENOTDIR) { // the key has a directory with the name of an object
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a directory of other keys
	}
	if err == nil {
		err = s.saveNames(key)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// newUnsaved returns the names of a directory that are not on disk: none yet.
func newUnsaved(root *rooted) unsavedNames {
	return unsavedNames{open: func(dir string) (openDir, error) {
		f, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			return nil, err // not f, which is not nil as an openDir
		}
		return f, nil
	}}
}

// mapError adds the error of package storage that the caller checks for.
func mapError(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", storage.ErrFull, err)
		}
	}
	// EACCES, EPERM and EROFS.
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", storage.ErrRefused, err)
	}
	return err
}
