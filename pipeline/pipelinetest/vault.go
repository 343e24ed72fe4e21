package pipelinetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Vault is an archive in memory whose objects can be tampered with.
type Vault map[string][]byte

// Create stores an object whose size and hash are right, as archive.Store says.
func (v Vault) Create(_ context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	if _, ok := v[key]; ok {
		return fs.ErrExist
	}
	_, err := body.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err == nil && (int64(len(data)) != size || sha256.Sum256(data) != sum) {
		err = errors.New("not what its size and hash say")
	}
	if err == nil {
		v[key] = data
	}
	return err
}

// Open reads an object, as archive.Reader says.
func (v Vault) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	data, ok := v[key]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(data), io.NopCloser(nil)}, int64(len(data)), nil
}

// List lists keys, as archive.Reader says.
func (v Vault) List(_ context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if strings.HasPrefix(key, prefix) && key > after && !yield(key, nil) {
				return
			}
		}
	}
}
