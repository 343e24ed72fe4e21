package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// A record describes a document that was made from a revision, and is archived beside it as <mark><hash of the record>.json. It is written
// after the document: one without a record does not count.
type record interface {
	Encode() ([]byte, session.Object, error)
}

// isRecord reports whether a key of a fax is that of a record of this mark.
func isRecord(key, mark string) bool {
	_, name, _ := strings.Cut(strings.TrimPrefix(key, "faxes/"), "/r")
	_, name, ok := strings.Cut(name, "/")
	return ok && strings.HasPrefix(name, mark) && strings.HasSuffix(name, ".json") && KeyHash(key) != ""
}

// encodeRecord returns a record as it is archived, and the object that it is.
func encodeRecord(r record, id string, revision int, mark string) ([]byte, session.Object, error) {
	data, err := IndentJSON(r)
	if err != nil {
		return nil, session.Object{}, fmt.Errorf("record %s of session %s: %w", strings.TrimSuffix(mark, "."), id, err)
	}
	sum := sha256.Sum256(data)
	return data, NewObject(RevisionKey(id, revision, mark+Hash16(sum)+".json"), int64(len(data)), sum), nil
}

// loadRecord reads the record under a key, and returns the object that it is. The error for bytes that are no record, or the record of
// another fax, matches ErrUnreadable; for bytes with another hash than in the key, ErrAltered.
func loadRecord[R record](ctx context.Context, a Reader, key string) (r R, self session.Object, err error) {
	data, err := Read(ctx, a, key, MaxJSON)
	if err != nil {
		return r, self, err
	}
	sum := sha256.Sum256(data)
	if KeyHash(key) != Hash16(sum) {
		return r, self, fmt.Errorf("read %s: %w: SHA-256 %x", key, ErrAltered, sum)
	}
	if r, err = parseRecord[R](data, key); err != nil {
		return r, self, fmt.Errorf("read %s: %w: %w", key, ErrUnreadable, err)
	}
	return r, NewObject(key, int64(len(data)), sum), nil
}

// parseRecord reads the bytes of a record under a key. They must be those that the record is written as: the same words in other white
// space are no record.
func parseRecord[R record](data []byte, key string) (R, error) {
	var r, none R
	if err := ParseStrict(data, &r); err != nil {
		return none, err
	}
	if written, self, err := r.Encode(); err != nil || self.Key != key || !bytes.Equal(written, data) {
		return none, fmt.Errorf("it is not as it was written, or belongs to another revision: as a record it is %s", self.Key)
	}
	return r, nil
}
