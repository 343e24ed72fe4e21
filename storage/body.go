package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// CopyBody copies body, from its start, to dst, for the Create of a store. It
// fails with an error that matches [ErrMismatch] unless body has exactly size
// bytes and their SHA-256 is sum. It never writes more than size bytes.
// Reading stops when ctx ends. buf is the working memory; if it is empty,
// CopyBody makes 32 KiB.
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
			return fmt.Errorf("%w: the body is longer than %d bytes", ErrMismatch, size)
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
		return fmt.Errorf("%w: the body ends after %d of %d bytes", ErrMismatch, n, size)
	}
	if got := [sha256.Size]byte(hash.Sum(nil)); got != sum {
		return fmt.Errorf("%w: the SHA-256 is %x, want %x", ErrMismatch, got, sum)
	}
	return nil
}
