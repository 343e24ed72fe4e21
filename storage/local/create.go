package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/faxstream/faxstream/storage"
)

// copyBuffer holds a usual page (75 KB) in one read and one write.
const copyBuffer = 128 << 10

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
		if err := s.existing(key); !errors.Is(err, fs.ErrNotExist) { // ErrNotExist: deleted since the Lstat
			return err
		}
	}
	tmp := s.tempName()
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
		return fmt.Errorf("another process writes into %s; only one process may use this directory: %v", tmpDir, err)
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

// checkSize is the size of a test write, in bytes: that of a large page.
const checkSize = 128 << 10

// Check returns nil if a file of 128 KiB can be written to disk now. The file is removed again.
func (s *Store) Check(ctx context.Context) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	body := make([]byte, checkSize)
	tmp := s.tempName()
	err := s.writeTemp(ctx, tmp, bytes.NewReader(body), checkSize, sha256.Sum256(body))
	if rerr := s.root.Remove(tmp); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return fmt.Errorf("test whether the archive is writable: %w", mapError(err))
	}
	return nil
}

// tempName returns a name that no other file has.
func (s *Store) tempName() string {
	return path.Join(tmpDir, strconv.FormatUint(s.lastTmp.Add(1), 36))
}

// publish links tmp to key and returns when the name is on disk. It ignores
// the end of the context: what is visible must become durable.
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
// error if key is not an object.
func (s *Store) existing(key string) error {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.existingLocked(key)
}

// existingLocked is existing for a caller that holds names.
func (s *Store) existingLocked(key string) error {
	info, err := s.root.Lstat(key)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a regular file, but mode %s", info.Mode())
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
		if err := s.unsaved.save(dir); err != nil {
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
