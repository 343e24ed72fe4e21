package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/faxstream/faxstream/storage"
)

// copyBuffer holds a usual page (75 KB) in one read and one write.
const copyBuffer = 128 << 10

// draft is an object on its way: a file that has no name yet that a key can have.
type draft struct {
	storage.Item
	file    *os.File // nil: nothing was written
	adopted bool     // file is the caller's
	tmp     string   // the name of file in +tmp; "": it has none
	err     error    // fs.ErrExist: there is such an object; any other error: it failed
}

// linker gives a file, which need not have a name, the name in the directory dir. It fails if there is such a name.
type linker func(file, dir uintptr, name string) error

// linkInto gives d its name in dir, the directory of its key.
func (s *Store) linkInto(dir openDir, d *draft) error {
	if d.tmp != "" {
		return s.root.Link(d.tmp, d.Key)
	}
	return s.link(d.file.Fd(), dir.Fd(), path.Base(d.Key))
}

// fill makes the file of d, with the checked content of its body.
func (s *Store) fill(ctx context.Context, d *draft) error {
	if d.adopted {
		info, err := d.file.Stat()
		if err == nil && info.Size() != d.Size {
			err = fmt.Errorf("%w: the file has %d bytes, want %d", storage.ErrMismatch, info.Size(), d.Size)
		}
		return err
	}
	if err := s.newFile(d); err != nil {
		return err
	}
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	return storage.CopyBody(ctx, d.file, d.Body, d.Size, d.Sum, *buf)
}

// newFile opens an empty file for d.
func (s *Store) newFile(d *draft) (err error) {
	if s.link != nil {
		d.file, err = openUnnamed(s.tmp)
		return err
	}
	tmp := path.Join(tmpDir, strconv.FormatUint(s.lastTmp.Add(1), 36))
	d.file, err = s.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // not the caller's key: must not match fs.ErrExist
		return fmt.Errorf("another process writes into %s; only one process may use this directory: %v", tmpDir, err)
	}
	if err == nil {
		d.tmp = tmp
	}
	return err
}

// discard closes the file of d and removes its name in +tmp.
func (s *Store) discard(d *draft) (err error) {
	if d.file != nil && !d.adopted {
		err = d.file.Close()
	}
	if d.tmp == "" {
		return err
	}
	if rerr := s.root.Remove(d.tmp); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// checkSize is the size of a test write, in bytes: that of a large page.
const checkSize = 128 << 10

// Check returns nil if a file of 128 KiB can be written to disk now. Nothing of it stays.
func (s *Store) Check(ctx context.Context) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	body := make([]byte, checkSize)
	d := draft{Item: storage.Item{Body: bytes.NewReader(body), Size: checkSize, Sum: sha256.Sum256(body)}}
	err := s.fill(ctx, &d)
	if err == nil {
		err = s.syncFile(d.file)
	}
	if err = errors.Join(err, s.discard(&d)); err != nil {
		return fmt.Errorf("test whether the archive is writable: %w", mapError(err))
	}
	return nil
}
