package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// Traces returns what must be known about a fax after its purge: the provider's id of the whole file, empty if it is unknown, and the time
// of its entry in the index, zero if it has none.
func Traces(ctx context.Context, a archive.Reader, id string) (file string, indexed time.Time, err error) {
	keys, err := archive.RevisionKeys(ctx, a, id)
	if err != nil {
		return "", indexed, err
	}
	r, err := recall(ctx, a, id, keys)
	switch {
	case errors.Is(err, archive.ErrUnreadable):
		indexed, err = searchIndex(ctx, a, id)
	case err == nil && r != nil:
		indexed = r.plan.Indexed
		if r.plan.Close != nil {
			file = r.plan.Close.File
		}
	}
	return file, indexed, err
}

// searchIndex searches the whole index for a fax whose plan is unreadable.
func searchIndex(ctx context.Context, a archive.Reader, id string) (time.Time, error) {
	for key, err := range a.List(ctx, archive.IndexPrefix, "") {
		if err != nil {
			return time.Time{}, fmt.Errorf("list %s: %w", archive.IndexPrefix, err)
		}
		if at, other, ok := archive.ParseIndexKey(key); ok && other == id {
			return at, nil
		}
	}
	return time.Time{}, nil
}
