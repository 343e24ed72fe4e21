package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// digest is what an object was found to be.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

// is reports whether it is what o says, of which a negative size says nothing.
func (d digest) is(o session.Object) bool {
	return o.SHA256 == fmt.Sprintf("%x", d.sum) && (o.Size < 0 || o.Size == d.size)
}

// name notes that the archive names an object, which must be there.
func (k *checking) name(o session.Object, by string) {
	old, ok := k.named[o.Key]
	if ok && old != o {
		k.found.fault(FaultContradicts, by, 0, "It and another one name "+o.Key+" with different hashes")
	}
	if ok {
		return
	}
	k.named[o.Key] = o
	if d, read := k.seen[o.Key]; read && !d.is(o) {
		k.found.fault(FaultContradicts, by, 0, "It names "+o.Key+" with a hash or size that this has not")
	}
}

// load reads a named object into memory. ok is false when it is not there or not what was written: then that is a fault already.
func (k *checking) load(ctx context.Context, o session.Object, by string) (data []byte, ok bool, err error) {
	k.name(o, by)
	if !k.has(o.Key) {
		return nil, false, nil // objects will say so
	}
	data, ok, err = k.read(ctx, o.Key, archive.MaxObject)
	if err != nil || !ok {
		return nil, false, err
	}
	return data, k.look(o.Key, digest{int64(len(data)), sha256.Sum256(data)}), nil
}

// read loads an object of at most `most` bytes. ok is false where there is none any more, or a larger one: then that is a fault already.
func (k *checking) read(ctx context.Context, key string, most int64) (data []byte, ok bool, err error) {
	data, err = archive.Read(ctx, k.Archive, key, most)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultMissing, key, 0, gone)
	case errors.Is(err, archive.ErrTooLarge):
		k.found.fault(FaultUnreadable, key, 0, err.Error())
	default:
		return data, err == nil, err
	}
	return nil, false, nil
}

// look compares an object that was read with all that is said of it.
func (k *checking) look(key string, d digest) bool {
	_, again := k.seen[key]
	if !again {
		k.found.Objects++
		k.found.Bytes += d.size
	}
	k.seen[key] = d
	o, named := k.named[key]
	whole := true
	switch {
	case named && !d.is(o):
		whole = false
		if !again {
			k.found.fault(FaultAltered, key, 0, fmt.Sprintf("It has %d bytes and SHA-256 %x, want %d and %s", d.size, d.sum, o.Size, o.SHA256))
		}
	case archive.KeyHash(key) != "" && archive.KeyHash(key) != archive.Hash16(d.sum):
		whole = false
		if !again {
			k.found.fault(FaultAltered, key, 0, fmt.Sprintf("Its SHA-256 is %x", d.sum))
		}
	}
	return whole
}

// objects reads everything that no other step has read: what is named must be there and whatever carries a hash must have it.
func (k *checking) objects(ctx context.Context) error {
	for _, key := range k.listed {
		if _, done := k.seen[key]; !done {
			d, err := k.sum(ctx, key)
			if errors.Is(err, fs.ErrNotExist) {
				k.found.fault(FaultMissing, key, 0, gone)
				continue
			}
			if err != nil {
				return err
			}
			k.look(key, d)
		}
		if _, named := k.named[key]; !named && !k.served[key] && !(archive.IsSidecar(key) && k.has(strings.TrimSuffix(key, ".json"))) {
			k.found.Orphans++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(k.named)) {
		if k.has(key) {
			continue
		}
		if archive.IsSidecar(key) {
			continue // sidecars says so
		}
		k.found.fault(FaultMissing, key, 0, "")
	}
	return nil
}

// sum reads an object through, in constant memory.
func (k *checking) sum(ctx context.Context, key string) (digest, error) {
	r, _, err := k.Archive.Open(ctx, key)
	if err != nil {
		return digest{}, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return digest{}, fmt.Errorf("read %s: %w", key, err)
	}
	return digest{n, [sha256.Size]byte(h.Sum(nil))}, nil
}
