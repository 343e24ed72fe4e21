package indexing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// readFax reads a fax from the archive. ok is false if it has no document, or was purged.
func readFax(ctx context.Context, a archive.Reader, id string) (f search.Fax, ok bool, err error) {
	m, sum, err := newest(ctx, a, id)
	if err != nil || sum == "" {
		return f, false, err
	}
	last, err := hold.LastEntry(ctx, a, id)
	if err != nil || last.Kind == session.ActionPurged {
		return f, false, err
	}
	plan := archive.Plan{Indexed: m.StartTime}
	if _, _, err := archive.LoadJSON(ctx, a, m.Plan.Key, &plan); err != nil {
		return f, false, err
	}
	f = search.Fax{
		Session: id, Manifest: sum, Revision: m.Revision, Direction: m.Direction, From: m.From, To: m.To, Status: m.Status,
		Start: plan.Indexed, Pages: len(m.Pages), Texts: map[int]search.Text{},
	}
	err = ocr.Some(ctx, a, id, rasters(m), func(p archive.PageText) { f.Texts[p.Page] = textOf(p.Words) })
	return f, err == nil, err
}

// newest reads the newest manifest of a fax, and its hash; sum is empty if there is none.
func newest(ctx context.Context, a archive.Reader, id string) (m archive.Manifest, sum string, err error) {
	keys, err := archive.RevisionKeys(ctx, a, id)
	if err != nil {
		return m, "", err
	}
	revisions := archive.Revisions(keys, id, func(name string) bool { return name == "manifest.json" })
	if len(revisions) == 0 {
		return m, "", nil
	}
	ok, data, err := archive.LoadJSON(ctx, a, archive.RevisionKey(id, revisions[len(revisions)-1], "manifest.json"), &m)
	if err != nil || !ok {
		return m, "", err
	}
	return m, fmt.Sprintf("%x", sha256.Sum256(data)), nil
}

// rasters are the hashes of the images of the usable pages.
func rasters(m archive.Manifest) map[int]string {
	all := map[int]string{}
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived {
			all[p.Page] = p.RasterSHA256
		}
	}
	return all
}

// Refreshed is the result of Refresh.
type Refreshed struct {
	Faxes   int `json:"faxes"`   // with a document
	Pages   int `json:"pages"`   // of them, with a text
	Removed int `json:"removed"` // faxes that were in the index and are no longer in the archive
	Broken  int `json:"broken"`  // faxes that cannot be read: verify them
}

// writeAtMost is how many faxes are written in a transaction.
const writeAtMost = 20

// Refresh makes the index again from the archive: every fax is written as it is there, and faxes that are not there are removed. Meanwhile
// the index can be used, also by a Follower. It reads atOnce faxes at the same time, and calls progress after each transaction.
func Refresh(
	ctx context.Context, x *search.Index, a archive.Reader, atOnce int, log *slog.Logger, progress func(Refreshed),
) (done Refreshed, err error) {
	gone, err := x.Sessions(ctx)
	if err != nil {
		return done, err
	}
	if err := writeAll(ctx, x, a, atOnce, log, gone, &done, progress); err != nil {
		return done, err // what was not read is not gone
	}
	done.Removed = len(gone)
	err = x.Write(ctx, search.Update{Removed: slices.Collect(maps.Keys(gone))})
	progress(done)
	return done, err
}

// writeAll reads and writes every fax of the archive, and takes them out of gone.
func writeAll(
	ctx context.Context, x *search.Index, a archive.Reader, atOnce int, log *slog.Logger, gone map[string]bool, done *Refreshed,
	progress func(Refreshed),
) error {
	group, ctx := errgroup.WithContext(ctx)
	ids, faxes := make(chan string), make(chan read)
	group.Go(func() error {
		defer close(ids)
		for id, err := range archive.Sessions(ctx, a) {
			if err != nil {
				return err
			}
			select {
			case ids <- id:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var readers sync.WaitGroup
	readers.Add(atOnce)
	for range atOnce {
		group.Go(func() error {
			defer readers.Done()
			return readAll(ctx, a, ids, faxes)
		})
	}
	go func() {
		readers.Wait()
		close(faxes)
	}()
	group.Go(func() error { return writeRead(ctx, x, a, faxes, log, gone, done, progress) })
	return group.Wait()
}

// read is a fax that was read, or why it cannot be.
type read struct {
	search.Fax
	id  string
	ok  bool
	err error // its objects are damaged
}

// readAll reads faxes until there are no more.
func readAll(ctx context.Context, a archive.Reader, ids <-chan string, faxes chan<- read) error {
	for id := range ids {
		f, ok, err := readFax(ctx, a, id)
		if err != nil && !archive.Broken(err) && !archive.Lost(err) && !hold.Damaged(err) {
			return err
		}
		select {
		case faxes <- read{f, id, ok && err == nil, err}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// writeRead writes faxes as they come, and takes them out of gone.
func writeRead(
	ctx context.Context, x *search.Index, a archive.Reader, faxes <-chan read, log *slog.Logger, gone map[string]bool, done *Refreshed,
	progress func(Refreshed),
) error {
	var batch []search.Fax
	flush := func() error {
		err := writeUnpurged(ctx, x, a, batch)
		if batch = nil; err == nil {
			progress(*done)
		}
		return err
	}
	for f := range faxes {
		switch {
		case f.err != nil:
			log.Error("a fax cannot be read for the search index: verify it", "session", f.id, "err", f.err)
			done.Broken++
			delete(gone, f.id)
		case f.ok:
			batch = append(batch, f.Fax)
			done.Faxes++
			done.Pages += len(f.Texts)
			delete(gone, f.id)
		}
		if len(batch) == writeAtMost {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// writeUnpurged writes faxes, and removes those again that were purged while they were read: whoever purged them may have removed them from
// the index before. The log of a purge is written before anything is removed.
func writeUnpurged(ctx context.Context, x *search.Index, a archive.Reader, faxes []search.Fax) error {
	if err := x.Write(ctx, search.Update{Faxes: faxes}); err != nil {
		return err
	}
	var purged []string
	for _, f := range faxes {
		last, err := hold.LastEntry(ctx, a, f.Session)
		if err != nil && !hold.Damaged(err) {
			return err
		}
		if last.Kind == session.ActionPurged {
			purged = append(purged, f.Session)
		}
	}
	if len(purged) == 0 {
		return nil
	}
	return x.Write(ctx, search.Update{Removed: purged})
}
