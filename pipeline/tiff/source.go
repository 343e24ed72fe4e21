package tiff

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrRead says that the file could not be read: nothing is known about its bytes.
var ErrRead = errors.New("the file cannot be read")

// ParseFile is [Parse] for a file that is not in memory. Only what a page
// needs is read, when it is decoded. Reads that fail give errors that match
// ErrRead, also later from [File.Check] and [Image.Decode].
func ParseFile(r io.ReaderAt, size int64, lim Limits) (*File, error) {
	if size < 0 {
		return nil, fmt.Errorf("tiff: a file of %d bytes: %w", size, ErrRead)
	}
	f, err := (&File{disk: &window{r: r, size: uint64(size)}, lim: lim.withDefaults()}).parse()
	if r := f.readError(); r != nil {
		return nil, r
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// windowSize is how much of a file is read at once where little is asked for:
// an IFD of usual size.
const windowSize = 4 << 10

// A window reads a file, whose fields are small and mostly side by side.
type window struct {
	r    io.ReaderAt
	size uint64

	mu  sync.Mutex
	at  uint64 // of buf in the file; guarded by mu
	buf []byte // guarded by mu
	err error  // the first read that failed; guarded by mu
}

// read returns n bytes at offset at, which lie in the file. After an error
// they are zero.
func (w *window) read(at, n uint64) []byte {
	out := make([]byte, n)
	if n > windowSize {
		w.fail(fill(w.r, out, at))
		return out
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if at < w.at || at+n > w.at+uint64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, windowSize)
		}
		w.at, w.buf = at, w.buf[:min(windowSize, w.size-at)]
		w.failLocked(fill(w.r, w.buf, at))
	}
	copy(out, w.buf[at-w.at:])
	return out
}

// fill fills b with the bytes at offset at, or with zeros.
func fill(r io.ReaderAt, b []byte, at uint64) error {
	n, err := r.ReadAt(b, int64(at))
	if n == len(b) {
		return nil
	}
	clear(b)
	return fmt.Errorf("tiff: %w: %w", ErrRead, err)
}

// fail keeps the first error.
func (w *window) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(err)
}

func (w *window) failLocked(err error) {
	if w.err == nil {
		w.err = err
	}
}

// readError returns the error of the first read that failed.
func (f *File) readError() error {
	if f.disk == nil {
		return nil
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.err
}

func (f *File) size() uint64 {
	if f.disk != nil {
		return f.disk.size
	}
	return uint64(len(f.data))
}

// read returns n bytes at offset at, which must lie in the file. They may
// share the memory of the file.
func (f *File) read(at, n uint64) []byte {
	if f.disk != nil {
		return f.disk.read(at, n)
	}
	return f.data[at : at+n]
}

// held returns how many of size bytes at an offset the file holds, and how
// many it lacks.
func (f *File) held(offset, size uint64) (n, lacking uint64) {
	if offset >= f.size() {
		return 0, size
	}
	n = min(size, f.size()-offset)
	return n, size - n
}

// segment returns the bytes of a strip or tile that the file holds and how
// many it lacks.
func (f *File) segment(offset, size uint64) (data []byte, lacking uint64) {
	n, lacking := f.held(offset, size)
	if n == 0 {
		return nil, lacking
	}
	return f.read(offset, n), lacking
}
