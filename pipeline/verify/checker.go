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

// Checker proves from the archive alone that faxes are as they were written:
//
//   - every object that the archive names is there, with its size and hash
//   - sidecars, plans and manifests agree
//   - the texts of pages are as they were written, and so are the results of OCR engines that they name
//   - searchable documents have the strips of their revision
//   - derived documents have the strips, or the turned pixels, of the pages of their revision
//   - each page of the documents has the pixels of its archived original
//   - revisions are chained by hash and, if keys are given, signed
//   - the fax is in the index
//   - if the same software made a revision, or a searchable or derived document, it is made again and must have exactly the same bytes
//
// The archive alone cannot show that one of these was removed completely: the newest revision, a whole fax with its index entry, or a page
// with its sidecar that is in no revision. If the newest manifest is not signed, the archive cannot show that somebody replaced it together
// with its plan, or together with its documents and the version of the software in it.
//
// Memory does not grow with the number of pages, except for one plan and one manifest. Documents and whole files are copied to files.
type Checker struct {
	Archive    archive.Reader
	Keys       []ed25519.PublicKey // keys that may have signed manifests; none: signatures are only counted
	Software   string              // name and version of this program, as in manifests
	ScratchDir string              // a private directory for copies of documents
	Log        *slog.Logger
	Decoder    *intake.Decoder // nil: one of its own for each fax, without a limit of memory
}

// Session checks one fax. An error that matches fs.ErrNotExist: the archive has nothing of it. Other errors: the archive cannot be read.
func (c Checker) Session(ctx context.Context, id string) (Finding, error) {
	if !session.ValidToken(id) {
		return Finding{}, fmt.Errorf("session %q: %w", id, fs.ErrNotExist)
	}
	k := &checking{
		Checker: c, id: id, found: &Finding{Session: id, Faults: []Fault{}}, seen: map[string]digest{}, named: map[string]session.Object{},
		rasters: map[string]string{}, served: map[string]bool{}, sound: map[int]bool{},
		remaker: document.Builder{
			Archive: c.Archive, Decoder: c.Decoder, Log: c.Log, ScratchDir: c.ScratchDir, Software: c.Software,
		},
	}
	if c.Decoder == nil {
		k.remaker.Decoder = intake.NewDecoder(runtime.GOMAXPROCS(0))
	}
	var err error
	if k.revised, k.listed, err = archive.FaxKeys(ctx, c.Archive, id); err != nil {
		return Finding{}, err
	}
	if len(k.listed) == 0 {
		return Finding{}, fmt.Errorf("session %s has no objects in the archive: %w", id, fs.ErrNotExist)
	}
	for _, step := range []func(context.Context) error{
		k.holds, k.revisions, k.reports, k.redirect, k.texts, k.searchables, k.derived, k.objects, k.sidecars, k.index,
	} {
		if err := step(ctx); err != nil {
			return Finding{}, fmt.Errorf("check session %s: %w", id, err)
		}
	}
	k.found.indexed = k.indexed
	return *k.found, nil
}

// maxUnread is the number of unreadable faxes after which All stops: then the archive itself is down.
const maxUnread = 10

// All checks every fax, several at once, and the index. It calls report with each finding, one at a time. If the archive cannot be read for
// one fax, All goes on with the others and returns the error at the end.
func (c Checker) All(ctx context.Context, report func(Finding) error) error {
	// The index comes first: every fax in it is in the archive already, even while faxstream serve is writing.
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
