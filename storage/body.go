package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// CopyBody is what a store's Create does with its body: it copies body, from
// its start, to dst and fails with an error matching [ErrMismatch] unless it
// is exactly size bytes that hash to sum. It never writes more than size
// bytes. Reading stops when ctx ends. buf is the working memory, 32 KiB when
// empty.
func CopyBody(ctx context.Context, dst io.Writer, body io.ReadSeeker, size int64, sum [sha256.Size]byte, buf []byte) error {
	if size < 0 {
		return fmt.Errorf("%w: negative size %d", ErrMismatch, size)
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	if len(buf) == 0 {
		buf = make([]byte, 32<<10)
	}
	hash := sha256.New()
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, rerr := body.Read(buf)
		if n += int64(k); n > size {
			return fmt.Errorf("%w: it is longer than %d bytes", ErrMismatch, size)
		}
		hash.Write(buf[:k])
		if _, err := dst.Write(buf[:k]); err != nil {
			return err
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return fmt.Errorf("read body: %w", rerr)
		}
	}
	if n < size {
		return fmt.Errorf("%w: it ends after %d of %d bytes", ErrMismatch, n, size)
	}
	if got := [sha256.Size]byte(hash.Sum(nil)); got != sum {
		return fmt.Errorf("%w: its SHA-256 is %x, not %x", ErrMismatch, got, sum)
	}
	return nil
}
