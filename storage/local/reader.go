package local

import (
	"context"
	"fmt"
	"io"
	"iter"
)

// Reader reads the objects of a directory that another process may be writing to. It takes no lock and changes nothing.
type Reader struct{ s Store }

// OpenReader opens an existing directory. Close releases it.
func OpenReader(dir string) (*Reader, error) {
	root, err := openRooted(dir)
	if err != nil {
		return nil, fmt.Errorf("open archive directory %s: %w", dir, mapError(err))
	}
	return &Reader{Store{root: root, unsaved: newUnsaved(root)}}, nil
}

// Open does the same as that of [storage.Archive].
func (r *Reader) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	return r.s.Open(ctx, key)
}

// List does the same as that of [storage.Archive].
func (r *Reader) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return r.s.List(ctx, prefix, after)
}

// Close releases the directory.
func (r *Reader) Close() error { return r.s.root.Close() }
