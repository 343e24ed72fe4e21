package seal

import (
	"bytes"
	"errors"
	"io"
)

// joined reads a head, a file and a tail as one file.
type joined struct {
	head  []byte
	lines io.ReaderAt
	size  int64 // of lines, bytes
	tail  []byte
}

func (j joined) ReadAt(p []byte, off int64) (n int, err error) {
	at := int64(0)
	for _, part := range []struct {
		r    io.ReaderAt
		size int64
	}{{bytes.NewReader(j.head), int64(len(j.head))}, {j.lines, j.size}, {bytes.NewReader(j.tail), int64(len(j.tail))}} {
		if in := off + int64(n) - at; in >= 0 && in < part.size && n < len(p) {
			k, err := part.r.ReadAt(p[n:min(int64(len(p)), int64(n)+part.size-in)], in)
			if n += k; err != nil && !errors.Is(err, io.EOF) {
				return n, err
			}
		}
		at += part.size
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
