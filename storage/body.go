package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// CopyBody copies body, from its start, to dst, for the Create of a store. It
// fails with an error that matches [ErrMismatch] unless body has exactly size
// bytes and their SHA-256 is sum. It never writes more than size bytes.
// Reading stops when ctx ends. buf is the working memory; if it is empty,
// CopyBody makes 32 KiB. The bytes of a [bytes.Reader] are not copied into it.
func CopyBody(ctx context.Context, dst io.Writer, body io.ReadSeeker, size int64, sum [sha256.Size]byte, buf []byte) error {
	if size < 0 {
		return fmt.Errorf("%w: negative size %d", ErrMismatch, size)
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	c := checked{ctx: ctx, dst: dst, hash: sha256.New(), size: size}
	var err error
	if inMemory, ok := body.(*bytes.Reader); ok {
		_, err = inMemory.WriteTo(&c)
	} else {
		err = c.readFrom(body, buf)
	}
	if err != nil {
		return err
	}
	if c.n < size {
		return fmt.Errorf("%w: the body ends after %d of %d bytes", ErrMismatch, c.n, size)
	}
	if got := [sha256.Size]byte(c.hash.Sum(nil)); got != sum {
		return fmt.Errorf("%w: the SHA-256 is %x, want %x", ErrMismatch, got, sum)
	}
	return nil
}

// checked hashes and counts what is written to dst.
type checked struct {
	ctx     context.Context
	dst     io.Writer
	hash    hash.Hash
	size, n int64 // bytes allowed, and written
}

// pieceSize is how much is hashed and written at a time, so that the second finds it in the processor's cache.
const pieceSize = 128 << 10

// Write ends with an error that matches ErrMismatch before it writes more than c.size bytes in all.
func (c *checked) Write(b []byte) (n int, err error) {
	for piece := range slices.Chunk(b, pieceSize) {
		if err := c.ctx.Err(); err != nil {
			return n, err
		}
		if c.n += int64(len(piece)); c.n > c.size {
			return n, fmt.Errorf("%w: the body is longer than %d bytes", ErrMismatch, c.size)
		}
		c.hash.Write(piece)
		k, err := c.dst.Write(piece)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (c *checked) readFrom(body io.Reader, buf []byte) error {
	if len(buf) == 0 {
		buf = make([]byte, 32<<10)
	}
	for {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := body.Read(buf)
		if _, err := c.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
	}
}
