package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/faxstream/faxstream/pipeline/session"
)

// docFile is a document in a private file that the system pages in as it is looked at: memory does not grow with it. nil: there is none.
type docFile struct {
	file *os.File
	data []byte
}

// fetch copies a document into a file. nil without an error: it is not there or not what was written, which is a fault already.
func (r revisionCheck) fetch(ctx context.Context, o session.Object, ext string) (*docFile, error) {
	r.name(o, r.key)
	if !r.has(o.Key) {
		return nil, nil
	}
	in, _, err := r.Archive.Open(ctx, o.Key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	defer in.Close()
	f, err := os.CreateTemp(r.SpoolDir, "check-*"+ext)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Key, err)
	}
	m := &docFile{file: f}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), in)
	if err == nil && n > 0 {
		m.data, err = syscall.Mmap(int(f.Fd()), 0, int(n), syscall.PROT_READ, syscall.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool %s: %w", o.Key, err), m.close())
	}
	if !r.look(o.Key, digest{n, [sha256.Size]byte(sum.Sum(nil))}) {
		return nil, m.close()
	}
	return m, nil
}

func (m *docFile) close() error {
	if m == nil {
		return nil
	}
	var err error
	if m.data != nil {
		err = syscall.Munmap(m.data)
	}
	return errors.Join(err, m.file.Close(), os.Remove(m.file.Name()))
}
