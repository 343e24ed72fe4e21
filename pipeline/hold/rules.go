package hold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Remover holds and deletes objects of a store. A name that ends in a slash means every key below it; any other name means exactly that
// key.
type Remover interface {
	// Protection says what the store itself knows about the objects, with all their versions.
	Protection(ctx context.Context, name string) (Protection, error)
	// Hold puts the objects under legal hold or lifts it. errors.ErrUnsupported: the store has no legal hold.
	Hold(ctx context.Context, name string, on bool) error
	// Delete deletes the objects with all versions. session.ErrKept: the store refuses to delete one of them.
	Delete(ctx context.Context, name string) error
}

// Protection says what a store knows about some objects.
type Protection struct {
	Objects int       // number of readable objects
	Written time.Time // when the newest was written; zero: there are none
	Until   time.Time // the latest end of a retention in the store itself; zero: none is retained
	Held    bool      // at least one is under legal hold in the store
}

// Rules decides what may be deleted. It works with every store. A store with Object Lock enforces the rules also against other programs.
type Rules struct {
	Archive   archive.Store
	Remover   Remover
	Retention time.Duration // a fax cannot be purged for this long after its last object was written; 0: it can at once
}

// Until is when the retention of a fax's objects ends; zero: it has none. An error that matches session.ErrKept: an object is under legal
// hold in the store. An error that matches fs.ErrNotExist: the fax has no objects.
func (k Rules) Until(ctx context.Context, id string) (time.Time, error) {
	p, err := k.Remover.Protection(ctx, archive.FaxPrefix(id))
	var desk Protection // a purge deletes it too; our own retention does not count for it
	if err == nil {
		desk, err = k.Remover.Protection(ctx, deskPrefix(id))
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("ask the store for holds and retention of session %s: %w", id, err)
	case p.Held || desk.Held:
		return time.Time{}, fmt.Errorf("session %s: %w: the store itself has an object under legal hold; "+
			"if the fax was released just now, wait a moment; if somebody else made the hold, release it in the store", id, session.ErrKept)
	case p.Written.IsZero() && desk.Written.IsZero():
		return time.Time{}, fmt.Errorf("session %s has no objects in the archive: %w", id, fs.ErrNotExist)
	}
	until := p.Until
	if desk.Until.After(until) {
		until = desk.Until
	}
	if k.Retention > 0 && !p.Written.IsZero() && p.Written.Add(k.Retention).After(until) {
		until = p.Written.Add(k.Retention)
	}
	return until.UTC(), nil
}

// deskPrefix is the beginning of the keys of what people say about a fax.
func deskPrefix(id string) string { return archive.DeskPrefix + id + "/" }

// Purgeable returns nil if a fax may be purged at the time now, else an error that says why not and matches session.ErrKept.
func (k Rules) Purgeable(ctx context.Context, id string, now time.Time) error {
	log, err := k.Log(ctx, id)
	if err != nil {
		return err
	}
	if len(log) > 0 && log[len(log)-1].Kind == session.ActionHeld {
		return fmt.Errorf("%w: %s; release it first", session.ErrKept, log[len(log)-1])
	}
	if err := k.foldedIntoHeld(ctx, id); err != nil {
		return err
	}
	until, err := k.Until(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && now.Before(until) {
		err = fmt.Errorf("session %s: %w: it is retained until %s, by the bucket's lock or by --retention of faxstream serve",
			id, session.ErrKept, until.Format(time.RFC3339))
	}
	return err
}

// foldedIntoHeld returns an error that matches session.ErrKept if another session has the fax of this one and is under legal hold: the
// hold may be older than the fold.
func (k Rules) foldedIntoHeld(ctx context.Context, id string) error {
	data, err := archive.Read(ctx, k.Archive, archive.RedirectKey(id), archive.MaxSidecar)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := archive.ParseRedirect(data, id)
	if err != nil {
		return nil // not a redirect: FoldedInto ignores it too
	}
	last, err := LastEntry(ctx, k.Archive, r.Into)
	if err == nil && last.Kind == session.ActionHeld {
		err = fmt.Errorf("%w: it is part of the fax of another session, and %s; release that session first", session.ErrKept, last)
	}
	return err
}

// Log returns a fax's log, oldest entry first; empty: nobody held, released or purged the fax. The error for a damaged log matches
// archive.ErrDamagedLog.
func (k Rules) Log(ctx context.Context, id string) ([]session.KeepEntry, error) {
	return readLog(ctx, k.Archive, id)
}

// Holds yields the last entry of every fax that is under legal hold, by session. An error ends it.
func (k Rules) Holds(ctx context.Context) iter.Seq2[session.KeepEntry, error] {
	return func(yield func(session.KeepEntry, error) bool) {
		for id, err := range Sessions(ctx, k.Archive) {
			var log []session.KeepEntry
			if err == nil {
				log, err = readLog(ctx, k.Archive, id)
			}
			if err != nil {
				yield(session.KeepEntry{}, err)
				return
			}
			if last := log[len(log)-1]; last.Kind == session.ActionHeld && !yield(last, nil) {
				return
			}
		}
	}
}
