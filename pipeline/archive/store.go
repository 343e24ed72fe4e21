package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Store is what the pipeline needs of a store of immutable objects.
type Store interface {
	// Create stores size bytes under key; they are durable when it returns nil. If the key exists, with any content, the error matches
	// fs.ErrExist.
	// After any other error the object may or may not exist, and the same call may be made again.
	Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error
	Reader
}

// Reader reads a store of immutable objects.
type Reader interface {
	// Open returns an object and its size in bytes. If there is no such object, the error matches fs.ErrNotExist.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	// List yields the keys under prefix that come after `after`, in byte order.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Create archives data under key. existed: an object is there already, and it stays.
func Create(ctx context.Context, a Store, key string, data []byte) (existed bool, err error) {
	return CreateSum(ctx, a, key, data, sha256.Sum256(data))
}

// CreateSum is Create for data whose SHA-256 is known.
func CreateSum(ctx context.Context, a Store, key string, data []byte, sum [sha256.Size]byte) (existed bool, err error) {
	return CreateFrom(ctx, a, key, bytes.NewReader(data), int64(len(data)), sum)
}

// CreateFrom is Create for size bytes of body, whose SHA-256 is known.
func CreateFrom(ctx context.Context, a Store, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) (existed bool, err error) {
	return result(key, a.Create(ctx, key, body, size, sum))
}

// NewObject names an archived object of size bytes.
func NewObject(key string, size int64, sum [sha256.Size]byte) session.Object {
	return session.Object{Key: key, Size: size, SHA256: hex.EncodeToString(sum[:])}
}

// MaxObject is the largest object that is read into memory, in bytes: the largest whole file.
const MaxObject = 256 << 20

// Read returns an object of at most `most` bytes. The error for a larger object matches ErrTooLarge, for a missing one fs.ErrNotExist.
func Read(ctx context.Context, a Reader, key string, most int64) ([]byte, error) {
	return readInto(ctx, a, key, most, nil)
}

// readInto is Read into the memory of buf, if buf is large enough.
func readInto(ctx context.Context, a Reader, key string, most int64, buf []byte) ([]byte, error) {
	r, size, err := a.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	if size > most {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", key, ErrTooLarge, size, most)
	}
	data := slices.Grow(buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return data, nil
}

// ReadObject is Read for an object whose hash is known. The error for an object with another hash matches ErrAltered.
func ReadObject(ctx context.Context, a Reader, o session.Object) ([]byte, error) {
	return ReadObjectInto(ctx, a, o, nil)
}

// ReadObjectInto is ReadObject into the memory of buf, if buf is large enough.
func ReadObjectInto(ctx context.Context, a Reader, o session.Object, buf []byte) ([]byte, error) {
	data, err := readInto(ctx, a, o.Key, MaxObject, buf)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fmt.Errorf("read %s: %w: SHA-256 %x, want %s", o.Key, ErrAltered, sum, o.SHA256)
	}
	return data, nil
}
