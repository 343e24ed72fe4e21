package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// bodyInMemory is how many bytes of a Body are in memory: more than a usual page has. What is longer is in a file.
const bodyInMemory = 256 << 10

// bufferSize is what a Body begins with: a usual page of 75 KB, or its image for OCR.
const bufferSize = 128 << 10

// spareBuffers is how many are kept for the next bodies: 8 MB. They are no sync.Pool, which keeps what was put into it for two collections
// and so doubles the heap where many Memories are made, as in the simulation.
const spareBuffers = 64

// Body is a file that was fetched, read or written, with its size and hash. The caller must call Close when nothing uses its bytes any
// more. It is for one goroutine while it is written, and then for several readers.
type Body struct {
	memory *Memory
	sum    hash.Hash
	data   []byte
	file   *os.File // instead of data; nil: it is short
	size   int64
	err    error // of the disk; sticky
}

// NewBody returns an empty Body.
func (m *Memory) NewBody() *Body { return &Body{memory: m, sum: sha256.New()} }

// Read reads an archived object. Its errors are those of archive.ReadObject.
func (m *Memory) Read(ctx context.Context, a archive.Reader, o session.Object) (*Body, error) {
	b, err := m.readKey(ctx, a, o.Key)
	if err != nil {
		return nil, err
	}
	if sum := fmt.Sprintf("%x", b.SHA256()); sum != o.SHA256 {
		return nil, errors.Join(fmt.Errorf("read %s: %w: SHA-256 %s, want %s", o.Key, archive.ErrAltered, sum, o.SHA256), b.Close())
	}
	return b, nil
}

// readKey is Read for an object whose hash is unknown.
func (m *Memory) readKey(ctx context.Context, a archive.Reader, key string) (*Body, error) {
	r, size, err := a.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	if size > archive.MaxObject {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", key, archive.ErrTooLarge, size, archive.MaxObject)
	}
	b := m.NewBody()
	n, err := io.Copy(b, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", key, err), b.Close())
	}
	return b, nil
}

// Write appends. After an error of the disk it fails for good, and Err returns that error.
func (b *Body) Write(p []byte) (int, error) {
	if b.err == nil && b.file == nil && len(b.data)+len(p) > bodyInMemory {
		b.spill()
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.file != nil:
		if _, err := b.file.WriteAt(p, b.size); err != nil {
			b.err = fmt.Errorf("write a scratch file: %w", err)
			return 0, b.err
		}
	case b.data == nil:
		b.data = b.memory.buffer()
		fallthrough
	default:
		b.data = append(b.data, p...)
	}
	b.sum.Write(p)
	b.size += int64(len(p))
	return len(p), nil
}

// spill puts what is there into a file, which loses its name at once: whatever happens, the system removes it.
func (b *Body) spill() {
	f, err := os.CreateTemp(b.memory.dir, "body-*")
	if err == nil {
		b.file = f
		if err = os.Remove(f.Name()); err == nil {
			_, err = f.WriteAt(b.data, 0)
		}
	}
	if err != nil {
		b.err = fmt.Errorf("write a scratch file: %w", err)
		return
	}
	b.memory.unused(b.data)
	b.data = nil
}

// Reset makes it empty again.
func (b *Body) Reset() {
	b.sum.Reset()
	b.data, b.size = b.data[:0], 0
}

// Err is the error of our own disk for which a Write failed.
func (b *Body) Err() error { return b.err }

// Size is in bytes.
func (b *Body) Size() int64 { return b.size }

// SHA256 is the hash of all bytes.
func (b *Body) SHA256() [sha256.Size]byte { return [sha256.Size]byte(b.sum.Sum(nil)) }

// Reader reads the bytes from their start.
func (b *Body) Reader() io.ReadSeeker {
	if b.file == nil {
		return bytes.NewReader(b.data)
	}
	return io.NewSectionReader(b.file, 0, b.size)
}

// TIFF parses the bytes, which the File uses. An error that matches tiff.ErrRead is one of our own disk.
func (b *Body) TIFF(lim tiff.Limits) (*tiff.File, error) {
	if b.file == nil {
		return tiff.Parse(b.data, lim)
	}
	return tiff.ParseFile(b.file, b.size, lim)
}

// Close gives back the memory or the file. It may be called twice, and for nil. An error loses nothing: the bytes are not needed any more.
func (b *Body) Close() error {
	if b == nil {
		return nil
	}
	b.memory.unused(b.data)
	b.data = nil
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}

// buffer returns memory for a short body.
func (m *Memory) buffer() []byte {
	select {
	case b := <-m.small:
		return b[:0]
	default:
		return make([]byte, 0, bufferSize)
	}
}

// unused takes back the memory of a buffer.
func (m *Memory) unused(b []byte) {
	if cap(b) != bufferSize {
		return
	}
	select {
	case m.small <- b:
	default: // there are enough
	}
}
