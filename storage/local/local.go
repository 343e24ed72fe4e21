// Package local is an archive of plain files: start with [Open].
//
// An object's key is its path below the directory. A write goes
//
//	+tmp/N      written, its content checked against size and SHA-256
//	fsync       the content is on disk under a name that no key can have
//	link(2)     to the key's path; fails when that exists: one winner
//	fsync       the directory of the key: the name is on disk
//	unlink      +tmp/N
//
// and a directory that is made for it is synced in its parent. A crash leaves
// the whole object or none, and at most files in +tmp, which the next Open
// removes.
//
// Nothing that is not on disk is told. A name that another writer has linked
// but not yet synced is synced first by whoever finds it (Create that says
// fs.ErrExist, Open that returns the object). What a crashed process left
// unsynced is flushed by the next Open with one syncfs(2). That all of this
// can be known in memory is why a directory has one process: Open takes an
// flock(2) on +lock, which the system releases however the process ends.
//
// [Store.Delete] removes files and the directories that are empty without them,
// never between a Create's mkdir(2), link(2) and fsync. There is no legal hold
// and no retention here: who may write to the directory may delete.
//
// All access goes through [os.Root], so that no symbolic link inside the
// directory leads out of it. Directories get mode 0700 and files 0600.
package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/faxstream/faxstream/storage"
)

// Names that no key can have: '+' is not allowed in keys.
const (
	tmpDir   = "+tmp"
	lockFile = "+lock"
)

// copyBuffer holds a usual page (75 KB) in one read and one write.
const copyBuffer = 128 << 10

// ErrLocked is matched by the error of [Open] when another process, or
// another Store of this one, has the directory.
var ErrLocked = errors.New("another process is using this archive directory")

// Store is a [storage.Archive] in a directory. Close releases the directory.
type Store struct {
	root    *os.Root
	lock    *os.File     // holds the flock until Close
	closing sync.RWMutex // read-held by Create and Delete, so that no name changes after the release
	names   sync.RWMutex // read-held while names are made and synced, held while Delete removes some
	lastTmp atomic.Uint64
	unsaved unsavedNames
	buffers sync.Pool // *[]byte of copyBuffer bytes
}

var _ storage.Archive = (*Store)(nil)

// Open makes dir where it does not exist, takes its lock, removes what a
// crash left in +tmp and flushes the file system, so that whatever the
// directory shows afterwards, and the directory itself, is on disk.
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
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root}
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
			return nil, fmt.Errorf("%w: stop it, or give this one a directory of its own", ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", lockFile, err)
	}
	// Under the lock all temporary files are those of dead processes.
	if err := root.RemoveAll(tmpDir); err != nil {
		return nil, err
	}
	if err := root.Mkdir(tmpDir, 0o700); err != nil {
		return nil, err
	}
	if err := syncFilesystem(s.lock); err != nil {
		return nil, fmt.Errorf("flush file system: %w", err)
	}
	return s, nil
}

// Close waits for every Create that is under way and releases the directory
// for the next Open. Objects that are being read stay readable.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	var err error
	if s.lock != nil {
		err = s.lock.Close()
	}
	return errors.Join(err, s.root.Close())
}

// Create implements [storage.Archive].
func (s *Store) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	err := storage.ValidKey(key)
	if err == nil {
		err = s.create(ctx, key, body, size, sum)
	}
	if err != nil {
		return fmt.Errorf("create %.100q: %w", key, mapError(err))
	}
	return nil
}

func (s *Store) create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.root.Lstat(key); err == nil { // a repeat writes nothing
		if err := s.existing(key); !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return err
		}
	}
	tmp := path.Join(tmpDir, strconv.FormatUint(s.lastTmp.Add(1), 36))
	err := s.writeTemp(ctx, tmp, body, size, sum)
	if err == nil {
		err = s.publish(tmp, key)
	}
	if rerr := s.root.Remove(tmp); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// writeTemp makes tmp a durable file with the checked content of body.
func (s *Store) writeTemp(ctx context.Context, tmp string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	f, err := s.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // not the caller's key: must not match fs.ErrExist
		return fmt.Errorf("somebody else writes into %s: %v", tmpDir, err)
	}
	if err != nil {
		return err
	}
	buf := s.buffers.Get().(*[]byte)
	err = storage.CopyBody(ctx, f, body, size, sum, *buf)
	s.buffers.Put(buf)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = ctx.Err()
	}
	return errors.Join(err, f.Close())
}

// publish links tmp to key and returns when the name is on disk. It does not
// look at the context any more: what is visible must become durable.
func (s *Store) publish(tmp, key string) error {
	s.names.RLock()
	defer s.names.RUnlock()
	dir := path.Dir(key)
	link := func() error { return s.root.Link(tmp, key) }
	err := s.unsaved.add(dir, link)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeDirs(dir); err != nil {
			return err
		}
		err = s.unsaved.add(dir, link)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return s.existingLocked(key)
	case err != nil:
		return err
	}
	return s.saveNames(key)
}

// existing returns fs.ErrExist once the object at key is durable, or another
// error when what is there is no object.
func (s *Store) existing(key string) error {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.existingLocked(key)
}

// existingLocked is existing for who holds names.
func (s *Store) existingLocked(key string) error {
	info, err := s.root.Lstat(key)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("what is there is no object: mode %s", info.Mode())
	}
	if err := s.saveNames(key); err != nil {
		return err
	}
	return fs.ErrExist
}

// makeDirs makes dir and the directories above it. They are on disk after
// saveNames of a key in them.
func (s *Store) makeDirs(dir string) error {
	for end := range len(dir) + 1 {
		if end < len(dir) && dir[end] != '/' {
			continue
		}
		err := s.unsaved.add(path.Dir(dir[:end]), func() error { return s.root.Mkdir(dir[:end], 0o700) })
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// saveNames returns when the name of key, and those of all directories above
// it, are on disk.
func (s *Store) saveNames(key string) error {
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		if err := s.unsaved.save(dir, s.syncDir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

func (s *Store) syncDir(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
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
	f, err := s.root.Open(key)
	if errors.Is(err, syscall.ENOTDIR) { // an object where the key has a directory
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

// mapError adds what the caller must tell apart.
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
