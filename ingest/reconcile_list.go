package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// listing reads the provider's records of one pass.
type listing struct {
	r       *Reconciler
	now     time.Time
	records map[string]faxplus.Record // by listed id; one without an id by the hash of its JSON
	gone    map[string]time.Time      // undecided faxes whose record the provider does not give: when they were first seen
}

// window reads inbox and spam from after until now. It stops at the first error: the provider may have asked us to wait.
func (l *listing) window(ctx context.Context, after time.Time) error {
	after, until := after.Truncate(time.Second), l.now.Truncate(time.Second).Add(time.Second)
	for _, category := range []string{faxplus.CategoryInbox, faxplus.CategorySpam} {
		if err := l.list(ctx, category, after, until); err != nil {
			return err
		}
	}
	return nil
}

// list reads a time window. If the window has more records than one answer, it reads the two halves. The halves overlap
// by a second: it is not documented whether the bounds belong to a window.
func (l *listing) list(ctx context.Context, category string, after, before time.Time) error {
	if err := l.pace(ctx); err != nil {
		return err
	}
	records, err := l.r.cfg.Provider.List(ctx, category, after, before, faxplus.DefaultLimit)
	if err != nil {
		return err
	}
	for _, rec := range records {
		l.records[cmp.Or(rec.ID, rec.SHA256)] = rec
	}
	if len(records) < faxplus.DefaultLimit {
		return nil
	}
	inside := func(rec faxplus.Record) bool {
		return !rec.StartTime.Before(after) && !rec.StartTime.After(before)
	}
	switch width := before.Sub(after); {
	case !slices.ContainsFunc(records, inside):
		return fmt.Errorf("list of %s from %s to %s: all %d records started at other times; the provider ignores the time window",
			category, after.Format(time.DateTime), before.Format(time.DateTime), len(records))
	case width <= 2*time.Second:
		return fmt.Errorf("list of %s at %s: more than %d faxes within %s; they cannot all be listed",
			category, after.Format(time.DateTime), len(records)-1, width)
	default:
		middle := after.Add((width / 2).Truncate(time.Second))
		if err := l.list(ctx, category, after, middle.Add(time.Second)); err != nil {
			return err
		}
		return l.list(ctx, category, middle, before)
	}
}

// again asks for the undecided faxes that are not in the window any more, one by one. A fax that is undecided for longer
// than Hold is given up, so that it does not stop the position for ever.
func (l *listing) again(ctx context.Context, undecided map[string]time.Time) error {
	for id, seen := range undecided {
		if _, ok := l.records[id]; ok {
			continue
		}
		if l.now.Sub(seen) > l.r.cfg.Hold {
			l.r.cfg.Logger.Error(undecidedTooLong, "fax", id, "first_seen", seen)
			continue
		}
		if err := l.pace(ctx); err != nil {
			return err
		}
		rec, err := l.r.cfg.Provider.Record(ctx, id)
		if e, ok := errors.AsType[*faxplus.Error](err); ok && aboutOneFax(e) {
			l.gone[id] = seen
			continue
		}
		if err != nil {
			return err
		}
		rec.ID = id // it is that fax, also if the answer has another id
		l.records[id] = rec
	}
	return nil
}

// aboutOneFax reports whether an error says something about the fax that was asked for, and not about the provider: it does not
// have the fax, or never gives its record.
func aboutOneFax(e *faxplus.Error) bool {
	return e.Status == http.StatusNotFound || e.Reason == session.ReasonRefused || e.Reason == session.ReasonWrongType
}

// pace waits until the next request is allowed.
func (l *listing) pace(ctx context.Context) error {
	next := time.NewTimer(time.Until(l.r.asked.Add(time.Minute / time.Duration(l.r.cfg.Rate))))
	defer next.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-next.C:
		l.r.asked = time.Now()
		return nil
	}
}
