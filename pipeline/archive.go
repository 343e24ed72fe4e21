package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Archive is what the pipeline needs of a store of immutable objects.
type Archive interface {
	// Create stores size bytes under key, durably before it returns nil. An existing key gives fs.ErrExist, whatever its content.
	// After any other error the object may or may not exist, and the same call may be made again.
	Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error
	// Open gives fs.ErrNotExist where there is no such object.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error)
	// List yields the keys under prefix in byte order.
	List(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Kinds of page objects: the end of their keys.
const (
	kindOriginal = "tiff"     // as fetched
	kindCut      = "cut.tiff" // cut from the whole file
	kindRejected = "rejected" // bytes that are no page
	kindPNG      = "png"      // for OCR
)

func pagePrefix(id string, page int) string { return fmt.Sprintf("faxes/%s/pages/%04d.", id, page) }

func pageKey(id string, page int, sum [sha256.Size]byte, kind string) string {
	return pagePrefix(id, page) + hash16(sum) + "." + kind
}

func originalKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.tiff", id, hash16(sum))
}

// rejectedKey is for a whole file that was cut in transit.
func rejectedKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.rejected", id, hash16(sum))
}

// revisionKey is a key of one revision: plan.json, manifest.json, or a document with its hash.
func revisionKey(id string, revision int, name string) string {
	return fmt.Sprintf("faxes/%s/r%d/%s", id, revision, name)
}

// indexText is what an entry of the index holds.
const indexText = "{}\n"

func indexKey(start time.Time, id string) string {
	return start.UTC().Format("index/2006/01/02/150405") + "-" + id
}

func hash16(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

// create stores data under key; existed: something was there, and stays.
func create(ctx context.Context, a Archive, key string, data []byte) (existed bool, err error) {
	return createSum(ctx, a, key, data, sha256.Sum256(data))
}

func createSum(ctx context.Context, a Archive, key string, data []byte, sum [sha256.Size]byte) (existed bool, err error) {
	return createFrom(ctx, a, key, bytes.NewReader(data), int64(len(data)), sum)
}

func createFrom(ctx context.Context, a Archive, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) (existed bool, err error) {
	err = a.Create(ctx, key, body, size, sum)
	if errors.Is(err, fs.ErrExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive %s: %w", key, err)
	}
	return false, nil
}

func object(key string, size int64, sum [sha256.Size]byte) session.Object {
	return session.Object{Key: key, Size: size, SHA256: hex.EncodeToString(sum[:])}
}

// errAltered: an archived object is not what its hash says.
var errAltered = errors.New("the archived object is not what was written")

// maxObject bounds what is read into memory: the largest whole file.
const maxObject = 256 << 20

// read loads an object of at most maxObject bytes.
func read(ctx context.Context, a Archive, key string) ([]byte, error) {
	return readInto(ctx, a, key, nil)
}

// readInto is read into the memory of buf, where that is large enough.
func readInto(ctx context.Context, a Archive, key string, buf []byte) ([]byte, error) {
	r, size, err := a.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	if size > maxObject {
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", key, errTooLarge, size, maxObject)
	}
	data := slices.Grow(buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return data, nil
}

// readObject is read for an object whose hash is known.
func readObject(ctx context.Context, a Archive, o session.Object) ([]byte, error) {
	return readObjectInto(ctx, a, o, nil)
}

func readObjectInto(ctx context.Context, a Archive, o session.Object, buf []byte) ([]byte, error) {
	data, err := readInto(ctx, a, o.Key, buf)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fmt.Errorf("read %s: %w: SHA-256 %x, want %s", o.Key, errAltered, sum, o.SHA256)
	}
	return data, nil
}
