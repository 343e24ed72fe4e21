package dashboard

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Older is the faxes in the archive, also those without a ledger.
type Older interface {
	// Before calls f with the time and session of what the archive's index lists, newest first and sessions of one second in
	// descending order, from before (at, id) on, down to since, until f returns false.
	Before(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error
	// Sessions gives up to most sessions that begin with some letters; only the one that is exactly these letters, if there is one.
	Sessions(ctx context.Context, begin string, most int) ([]string, error)
	// Fax gives a fax that has a document, and its pages. An error matching fs.ErrNotExist: it has none; fs.ErrInvalid: it cannot be read.
	Fax(ctx context.Context, id string) (session.State, map[int]session.PageArchived, error)
}

const (
	// maxScanned bounds the faxes that one request reads from the archive, two or three objects each; the cursor goes on behind them.
	maxScanned = 1024
	// scanAtOnce is how many of them are read at the same time.
	scanAtOnce = 32
	// leastID comes before every session id in the order of the list.
	leastID = "-"
)

// before is Older.Before.
type before func(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error

// older gives limit faxes or more between after and floor that the board does not have; fewer if the archive has no others. If end is not
// zero, it looked only as far as end, which is the beginning of a second: a cursor must not name a fax that its reader may not see. Where a
// filter leaves out many faxes, the search index names those that it may mean; the archive says what they are.
func (s *server) older(ctx context.Context, f faxFilter, after, floor orderKey, limit int) (found []api.Fax, end orderKey, err error) {
	l, narrow := f.listing()
	if !narrow || s.Search == nil || !s.Search.Whole() {
		return s.olderOf(ctx, s.Older.Before, f, after, floor, limit)
	}
	var indexErr error
	chosen := func(ctx context.Context, at time.Time, id string, since time.Time, give func(time.Time, string) bool) error {
		indexErr = s.Search.Listed(ctx, l, at, id, since, give)
		return indexErr
	}
	found, end, err = s.olderOf(ctx, chosen, f, after, floor, limit)
	if indexErr == nil || ctx.Err() != nil {
		return found, end, err
	}
	s.Log.Error("the search index cannot be read; a list is made from the archive's own index, which takes longer", "err", indexErr)
	return s.olderOf(ctx, s.Older.Before, f, after, floor, limit)
}

func (s *server) olderOf(
	ctx context.Context, list before, f faxFilter, after, floor orderKey, limit int,
) (found []api.Fax, end orderKey, err error) {
	newest := orderKey{time.Now().Add(48 * time.Hour), "~"} // the provider's clock may be wrong
	if after.session == "" || after.compare(newest) > 0 {   // a cursor may say year 9999: every empty month costs the archive a listing
		after = newest
	}
	if !f.until.IsZero() && f.until.Before(after.opened) {
		after = orderKey{f.until, ""}
	}
	since := f.since
	if floor.opened.After(since) {
		since = floor.opened.Truncate(time.Second)
	}
	var chunk []orderKey
	scanned, second := 0, time.Time{}
	flush := func() {
		var faxes []api.Fax
		faxes, err = s.archived(ctx, chunk)
		for _, x := range faxes {
			if f.has(&x) {
				found = append(found, x)
			}
		}
		scanned += len(chunk)
		chunk = chunk[:0]
	}
	listErr := list(ctx, after.opened, after.session, since, func(at time.Time, id string) bool {
		if (len(found) >= limit || scanned >= maxScanned) && !at.Equal(second) {
			end = orderKey{second, leastID}
			return false
		}
		second = at
		if k := (orderKey{at, id}); k.compare(floor) > 0 && !s.Board.has(id) {
			chunk = append(chunk, k)
		}
		if len(chunk) == scanAtOnce {
			flush()
		}
		return err == nil
	})
	if err == nil && listErr == nil && len(chunk) > 0 {
		flush()
	}
	return found, end, cmp.Or(err, listErr)
}

// archived reads faxes from the archive. It leaves out a fax that has no document or cannot be read.
func (s *server) archived(ctx context.Context, keys []orderKey) ([]api.Fax, error) {
	faxes := make([]api.Fax, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(scanAtOnce)
	for i, k := range keys {
		group.Go(func() error {
			st, _, err := s.Older.Fax(ctx, k.session)
			switch {
			case errors.Is(err, fs.ErrInvalid):
				s.Log.Error("a fax in the archive cannot be read; run faxstream verify", "session", k.session, "err", err)
				return nil
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			}
			faxes[i] = summary(st)
			faxes[i].Older = true
			faxes[i].Opened = k.opened // whole seconds, as the index has it: cursors must agree with it
			return nil
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(faxes, func(x api.Fax) bool { return x.Session == "" }), err
}
