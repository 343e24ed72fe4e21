package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// index checks that the index has the entry of the fax under its day.
func (k *checking) index(ctx context.Context) error {
	if k.indexed == "" {
		return nil
	}
	text, err := archive.Read(ctx, k.Archive, k.indexed, archive.MaxObject)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultIndex, k.indexed, 0, "")
	case err != nil:
		return err
	case string(text) != archive.IndexText:
		k.found.fault(FaultIndex, k.indexed, 0, "The entry was changed after it was written")
	}
	return nil
}

// indexed returns the keys of the index by session. Keys that are not index entries are under "".
func (c Checker) indexed(ctx context.Context) (map[string][]string, error) {
	entries := map[string][]string{}
	for key, err := range c.Archive.List(ctx, archive.IndexPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", archive.IndexPrefix, err)
		}
		_, id, ok := archive.ParseIndexKey(key)
		if !ok {
			id = ""
		}
		entries[id] = append(entries[id], key)
	}
	return entries, nil
}

// listed checks the index entries of a fax: it must be listed once, at its place.
func (f *Finding) listed(entries []string) {
	uncommitted := slices.ContainsFunc(f.Faults, func(fault Fault) bool { return fault.Kind == FaultUncommitted })
	for _, key := range entries {
		switch {
		case f.Session == "" || f.indexed != "" && key != f.indexed:
			f.fault(FaultMisfiled, key, 0, "")
		case f.Objects == 0:
			f.fault(FaultGone, key, 0, "")
		case f.Revisions == 0 && !uncommitted: // the documents are written before the entry
			f.fault(FaultGone, key, 0, "The archive has objects of it, but no document and no manifest")
		}
	}
}
