package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// mappedFile is a document in a private file that the system pages in as it is looked at: memory does not grow with it. nil: there is none.
type mappedFile struct {
	file *os.File
	data []byte
}

// fetch copies a document into a file. nil without an error: it is not there or not what was written, which is a fault already.
func (r *revisionCheck) fetch(ctx context.Context, o session.Object, ext string) (*mappedFile, error) {
	r.name(o, r.key)
	if !r.has(o.Key) {
		return nil, nil
	}
	return r.spool(ctx, o.Key, ext)
}

// spool copies an object into a file. nil without an error: it is not what was written, or not there any more.
func (r *revisionCheck) spool(ctx context.Context, key, ext string) (*mappedFile, error) {
	in, size, err := r.Archive.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		r.found.fault(FaultMissing, key, 0, gone)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer in.Close()
	if o, named := r.named[key]; named && o.Size != size || !named && size > archive.MaxObject {
		return nil, nil // objects reads it, and says so: the disk has room for what was written
	}
	f, err := os.CreateTemp(r.SpoolDir, "check-*"+ext)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", key, err)
	}
	m := &mappedFile{file: f}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), in)
	if err == nil && n > 0 {
		m.data, err = syscall.Mmap(int(f.Fd()), 0, int(n), syscall.PROT_READ, syscall.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool %s: %w", key, err), m.close())
	}
	if !r.look(key, digest{n, [sha256.Size]byte(sum.Sum(nil))}) {
		return nil, m.close()
	}
	return m, nil
}

func (m *mappedFile) close() error {
	if m == nil {
		return nil
	}
	var err error
	if m.data != nil {
		err = syscall.Munmap(m.data)
	}
	return errors.Join(err, m.file.Close(), os.Remove(m.file.Name()))
}
