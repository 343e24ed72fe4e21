package verify

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Checker proves from the archive alone that faxes are as they were written: every object that is named is there, with its size
// and hash; sidecars, plans and manifests agree; each page of the documents has the pixels of its archived original; revisions are
// chained by hash and, where keys are given, signed; the fax is in the index. Where the same software made a revision it is
// made again and must come out byte for byte the same.
//
// What the archive alone cannot tell: that the newest revision, a whole fax with its index entry, or a page with its sidecar that is in no
// revision, was removed without trace; and, of the newest manifest where it is not signed, that it was replaced by another that fits a
// replaced plan, or names another version of the software and documents that were made up to fit.
//
// Memory does not grow with the pages but for the texts of one plan and manifest; documents and whole files lie in files.
type Checker struct {
	Archive  archive.Reader
	Keys     []ed25519.PublicKey // that may have signed manifests; none: signatures are only counted
	Software string              // name and version of this program, as in manifests
	SpoolDir string              // a private directory for documents under examination
	Log      *slog.Logger
}

// Session checks one fax. An error matching fs.ErrNotExist: nothing of it is in the archive; other errors: the archive could not be read.
func (c Checker) Session(ctx context.Context, id string) (Finding, error) {
	if !session.ValidToken(id) {
		return Finding{}, fmt.Errorf("session %q: %w", id, fs.ErrNotExist)
	}
	k := &checking{
		Checker: c, id: id, found: &Finding{Session: id, Faults: []Fault{}}, seen: map[string]digest{}, named: map[string]session.Object{},
		rasters: map[string]string{}, served: map[string]bool{},
		remaker: document.Builder{Archive: c.Archive, Decoder: intake.NewDecoder(runtime.GOMAXPROCS(0)), Log: c.Log, SpoolDir: c.SpoolDir, Software: c.Software},
	}
	var err error
	if k.revised, k.listed, err = archive.FaxKeys(ctx, c.Archive, id); err != nil {
		return Finding{}, err
	}
	if len(k.listed) == 0 {
		return Finding{}, fmt.Errorf("session %s: nothing of it is in the archive: %w", id, fs.ErrNotExist)
	}
	for _, step := range []func(context.Context) error{k.holds, k.revisions, k.reports, k.redirect, k.objects, k.sidecars, k.index} {
		if err := step(ctx); err != nil {
			return Finding{}, fmt.Errorf("check session %s: %w", id, err)
		}
	}
	k.found.indexed = k.indexed
	return *k.found, nil
}

// maxUnread is after how many faxes that could not be read All gives up: then it is the archive that is away.
const maxUnread = 10

// All checks every fax, several at once, and the index, and calls report with each finding, one at a time. A fax that could not be read
// does not keep it from the others; the error tells of it in the end.
func (c Checker) All(ctx context.Context, report func(Finding) error) error {
	// The index comes first: what is listed by then has its fax in the archive by then, also while faxstream serve is at work.
	entries, err := c.indexed(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var unread []error
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for id, err := range archive.Sessions(inner, c.Archive) {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		listed := entries[id]
		delete(entries, id)
		group.Go(func() error {
			f, err := c.Session(inner, id)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				f.listed(listed)
				return report(f)
			}
			unread = append(unread, err)
			if len(unread) >= maxUnread || inner.Err() != nil {
				return errors.Join(unread...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		f := Finding{Session: id, Faults: []Fault{}}
		f.listed(entries[id])
		if err := report(f); err != nil {
			return err
		}
	}
	return errors.Join(unread...)
}
