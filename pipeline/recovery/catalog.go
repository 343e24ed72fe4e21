package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Catalog reads faxes from the archive alone: those that are older than streams and ledgers, or were lost with them.
type Catalog struct{ Archive archive.Reader }

// Before calls f with the time and session of every entry of the index that is older than (at, id) and not older than since, until f
// returns false. The order is newest first; sessions of one second come in descending order. Times have whole seconds. It lists one day at
// a time, and makes one request for a month without entries, so that a year without a fax costs twelve requests.
func (c Catalog) Before(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error {
	oldest, err := c.first(ctx, archive.IndexPrefix)
	if err != nil || oldest.IsZero() {
		return err
	}
	if since.Before(oldest) {
		since = oldest
	}
	since = since.UTC()
	at = at.UTC()
	month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	for ; !month.AddDate(0, 1, 0).Before(since); month = month.AddDate(0, -1, 0) {
		first, err := c.first(ctx, month.Format(archive.IndexPrefix+"2006/01/"))
		if err != nil {
			return err
		}
		if first.IsZero() {
			continue
		}
		for day := min(31, lastDay(month, at)); day >= first.Day(); day-- {
			more, err := c.day(ctx, month.AddDate(0, 0, day-1), at, id, since, f)
			if err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// lastDay is the last day of a month that can have entries before at.
func lastDay(month, at time.Time) int {
	end := month.AddDate(0, 1, -1)
	if at.Before(end) {
		return at.Day()
	}
	return end.Day()
}

// first returns the time of the first entry under a prefix, zero if there is none.
func (c Catalog) first(ctx context.Context, prefix string) (time.Time, error) {
	for key, err := range c.Archive.List(ctx, prefix, "") {
		if err != nil {
			return time.Time{}, fmt.Errorf("list %s: %w", prefix, err)
		}
		if at, _, ok := archive.ParseIndexKey(key); ok {
			return at, nil
		}
	}
	return time.Time{}, nil
}

// day calls f with the entries of one day. more is false if f returned false or an entry is older than since.
func (c Catalog) day(
	ctx context.Context, day, at time.Time, id string, since time.Time, f func(time.Time, string) bool,
) (more bool, err error) {
	keys, err := archive.Keys(ctx, c.Archive, day.Format(archive.IndexPrefix+"2006/01/02/"))
	if err != nil {
		return false, err
	}
	for _, key := range slices.Backward(keys) {
		t, s, ok := archive.ParseIndexKey(key)
		if !ok || t.After(at) || t.Equal(at) && s >= id {
			continue
		}
		if t.Before(since) || !f(t, s) {
			return false, nil
		}
	}
	return true, nil
}

// Sessions gives up to most sessions that begin with some letters, a token. If one is exactly these letters, it gives only that.
func (c Catalog) Sessions(ctx context.Context, begin string, most int) (ids []string, err error) {
	for _, err := range c.Archive.List(ctx, archive.FaxPrefix(begin), "") {
		if err != nil {
			return nil, fmt.Errorf("list session %s: %w", begin, err)
		}
		return []string{begin}, nil
	}
	for id, err := range archive.SessionsLike(ctx, c.Archive, begin) {
		if err != nil {
			return nil, err
		}
		if ids = append(ids, id); len(ids) == most {
			break
		}
	}
	return ids, nil
}

// Fax returns what the archive knows about a fax that has a document: its ledger as Restore would restore it, and its pages by number. An
// error that matches fs.ErrNotExist: there is no such document. One that matches fs.ErrInvalid: the document is unreadable.
func (c Catalog) Fax(ctx context.Context, id string) (session.State, map[int]session.PageArchived, error) {
	keys, err := archive.RevisionKeys(ctx, c.Archive, id)
	if err != nil {
		return session.State{}, nil, err
	}
	r, err := recall(ctx, c.Archive, id, keys)
	switch {
	case errors.Is(err, archive.ErrPurged):
		return session.State{}, nil, fmt.Errorf("fax %s: %w: %w", id, fs.ErrNotExist, err)
	case unreadable(err):
		return session.State{}, nil, fmt.Errorf("fax %s: %w: %w", id, fs.ErrInvalid, err)
	case err != nil:
		return session.State{}, nil, err
	case r == nil || r.doc == nil:
		return session.State{}, nil, fmt.Errorf("fax %s has no document in the archive: %w", id, fs.ErrNotExist)
	}
	pages := make(map[int]session.PageArchived, len(r.plan.Pages))
	for _, p := range r.plan.Pages {
		pages[p.Page] = p
	}
	return r.state, pages, nil
}

// unreadable reports whether err says that a plan or manifest is not as it was written.
func unreadable(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, shape := errors.AsType[*json.UnmarshalTypeError](err)
	return errors.Is(err, archive.ErrUnreadable) || syntax || shape
}
