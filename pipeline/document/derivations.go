package document

import (
	"context"
	"slices"
	"sync"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Derivations has the derived documents of an archive. It remembers records, which never change: another look at a fax costs one list.
type Derivations struct {
	Archive archive.Reader

	mu    sync.Mutex
	known map[string]session.Derived // guarded by mu; by the key of the record
}

// What is remembered is bounded: maxKnown records, each with at most maxRanges ranges of pages, some 2 KB.
const (
	maxKnown  = 10_000
	maxRanges = 50
)

// Documents are those of a fax, in the order of their orders. A record that is damaged, or that was purged meanwhile, does not count:
// verify names it.
func (v *Derivations) Documents(ctx context.Context, id string) (all []session.Derived, err error) {
	keys, err := archive.RevisionKeys(ctx, v.Archive, id)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !archive.IsDerived(key) {
			continue
		}
		d, err := v.document(ctx, key)
		if archive.Lost(err) || archive.Broken(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b session.Derived) int { return a.At.Compare(b.At) })
	return all, nil
}

// document reads the record under a key, if it is not known.
func (v *Derivations) document(ctx context.Context, key string) (session.Derived, error) {
	v.mu.Lock()
	d, ok := v.known[key]
	v.mu.Unlock()
	if ok {
		return d, nil
	}
	r, self, err := archive.LoadDerived(ctx, v.Archive, key)
	if err != nil {
		return d, err
	}
	d = session.Derived{DocDerived: r.Event(self), By: r.By, Asked: r.Asked}
	if len(d.Pages)+len(d.Right)+len(d.Over)+len(d.Left) > maxRanges {
		return d, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string]session.Derived{}
	}
	if len(v.known) >= maxKnown {
		clear(v.known)
	}
	v.known[key] = d
	return d, nil
}

// Pages are the pages that a manifest lists. An error matches archive.Lost if the manifest is missing or altered.
func (v *Derivations) Pages(ctx context.Context, manifest session.Object) (pages session.ManifestPages, err error) {
	m, err := archive.ReadJSON[archive.Manifest](ctx, v.Archive, manifest)
	for _, p := range m.Pages {
		switch {
		case p.Status != session.PageStatusArchived:
			pages.Missing = pages.Missing.Add(p.Page)
		case p.Quality != nil && p.Quality.Blank:
			pages.Blank = pages.Blank.Add(p.Page)
			fallthrough
		default:
			pages.Usable = pages.Usable.Add(p.Page)
		}
	}
	return pages, err
}
