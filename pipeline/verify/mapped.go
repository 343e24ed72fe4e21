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

// mappedFile is a document in a private file that is mapped into memory: the system loads only the parts that are read. nil: there is none.
type mappedFile struct {
	file *os.File
	data []byte
}

// fetch copies a document into a file. nil without an error: it is missing or altered, which is a fault already, or objects makes it one.
func (r *revisionCheck) fetch(ctx context.Context, o session.Object, ext string) (*mappedFile, error) {
	r.name(o, r.key)
	if !r.has(o.Key) {
		return nil, nil
	}
	return r.copied(ctx, o.Key, ext)
}

// copied copies an object into a file. nil without an error: it is altered, or it disappeared.
func (r *revisionCheck) copied(ctx context.Context, key, ext string) (*mappedFile, error) {
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
		return nil, nil // objects reads it and makes it a fault; a copy of another size may need more disk than there is
	}
	f, err := os.CreateTemp(r.ScratchDir, "check-*"+ext)
	if err != nil {
		return nil, fmt.Errorf("copy %s into a scratch file: %w", key, err)
	}
	m := &mappedFile{file: f}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), in)
	if err == nil && n > 0 {
		m.data, err = syscall.Mmap(int(f.Fd()), 0, int(n), syscall.PROT_READ, syscall.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy %s into a scratch file: %w", key, err), m.close())
	}
	if !r.look(key, digest{n, [sha256.Size]byte(sum.Sum(nil))}) {
		return nil, m.close()
	}
	return m, nil
}

// close unmaps and removes the file.
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
