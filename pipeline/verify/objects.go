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

// digest is the size and hash of an object that was read.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

// is reports whether an object has the size and hash of o. A negative size in o is unknown and fits any size.
func (d digest) is(o session.Object) bool {
	return o.SHA256 == fmt.Sprintf("%x", d.sum) && (o.Size < 0 || o.Size == d.size)
}

// name notes that the object `by` names an object, which must be there.
func (k *checking) name(o session.Object, by string) {
	old, ok := k.named[o.Key]
	if ok && old != o {
		k.found.fault(FaultContradicts, by, 0, "It and another object have different hashes for "+o.Key)
	}
	if ok {
		return
	}
	k.named[o.Key] = o
	if d, read := k.seen[o.Key]; read && !d.is(o) {
		k.found.fault(FaultContradicts, by, 0, "The hash or size in it is not that of "+o.Key)
	}
}

// load reads a named object into memory. ok is false if it is missing or altered: that is a fault already, or objects makes it one.
func (k *checking) load(ctx context.Context, o session.Object, by string) (data []byte, ok bool, err error) {
	k.name(o, by)
	if !k.has(o.Key) {
		return nil, false, nil // objects makes it a fault
	}
	data, ok, err = k.read(ctx, o.Key, archive.MaxObject)
	if err != nil || !ok {
		return nil, false, err
	}
	return data, k.look(o.Key, digest{int64(len(data)), sha256.Sum256(data)}), nil
}

// read reads an object of at most `most` bytes. ok is false if it disappeared or is larger: that is a fault already.
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

// look compares an object that was read with the hashes in its name and in what names it, and reports whether it is unchanged.
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
			k.found.fault(FaultAltered, key, 0,
				fmt.Sprintf("It has %d bytes and SHA-256 %x, want %d and %s", d.size, d.sum, o.Size, o.SHA256))
		}
	case archive.KeyHash(key) != "" && archive.KeyHash(key) != archive.Hash16(d.sum):
		whole = false
		if !again {
			k.found.fault(FaultAltered, key, 0, fmt.Sprintf("Its SHA-256 is %x", d.sum))
		}
	}
	return whole
}

// objects reads all objects that no other step has read. Named objects must be there, and every hash must be right.
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
		switch _, named := k.named[key]; {
		case named, k.served[key], archive.IsSidecar(key) && k.has(strings.TrimSuffix(key, ".json")):
		case k.received(key):
			k.found.Unused++
		default:
			k.found.Orphans++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(k.named)) {
		if k.has(key) {
			continue
		}
		if archive.IsSidecar(key) {
			continue // sidecars makes it a fault
		}
		k.found.fault(FaultMissing, key, 0, "")
	}
	return nil
}

// received reports whether an object that no revision uses is what the provider sent: its sidecar says so. It is evidence. So is the PNG
// of a received page: each has at most one.
func (k *checking) received(key string) bool {
	if !archive.IsKind(key, archive.KindPNG) {
		return archive.NeedsSidecar(key) && k.has(archive.SidecarKey(key))
	}
	pages, pngs := 0, 0
	for _, other := range k.listed {
		switch {
		case archive.PageOfKey(other) != archive.PageOfKey(key):
		case archive.IsKind(other, archive.KindPNG):
			pngs++
		case archive.IsKind(other, archive.KindOriginal), archive.IsKind(other, archive.KindCut):
			pages++
		}
	}
	return pngs <= pages
}

// sum hashes an object in constant memory.
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
