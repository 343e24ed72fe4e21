package verify

import (
	"context"
	"crypto/sha256"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// records reads the records of documents that were made from revisions, and gives those that are as they were written to check. A document
// without its record is what a crash leaves: it is an orphan.
func (k *checking) records(ctx context.Context, is func(key string) bool, check func(key string, data []byte) error) error {
	for _, key := range k.revised {
		if !is(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxJSON)
		if err != nil {
			return err
		}
		k.served[key] = ok
		if !ok || !k.look(key, digest{int64(len(data)), sha256.Sum256(data)}) {
			continue
		}
		if err := check(key, data); err != nil {
			return err
		}
	}
	return nil
}

// manifestOf reads the manifest that a record names. ok is false if it is not that of the revision, which is a fault of the given kind.
func (k *checking) manifestOf(ctx context.Context, key string, revision int, o session.Object, kind FaultKind) (
	m archive.Manifest, ok bool, err error,
) {
	data, ok, err := k.read(ctx, o.Key, archive.MaxJSON)
	if err != nil || !ok {
		return m, false, err
	}
	if err := archive.ParseStrict(data, &m); err != nil || m.Revision != revision || m.Session != k.id {
		k.found.fault(kind, key, 0, "It names the manifest "+o.Key)
		return m, false, nil
	}
	return m, true, nil
}
