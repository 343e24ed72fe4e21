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

// Remover is what a store does about keeping and removing objects. A name that ends in a slash means every key below it, any other
// exactly that key.
type Remover interface {
	// Kept tells what the store knows of them, all versions included.
	Protection(ctx context.Context, name string) (Protection, error)
	// Hold puts them under legal hold or lifts it; errors.ErrUnsupported where the store has none.
	Hold(ctx context.Context, name string, on bool) error
	// Delete removes them with all versions. session.ErrKept: the store keeps one of them.
	Delete(ctx context.Context, name string) error
}

// Protection is what a store knows of some objects.
type Protection struct {
	Objects int       // that can be read
	Written time.Time // the newest; zero: there are none
	Until   time.Time // until when the store itself keeps the one that it keeps longest; zero: it keeps none
	Held    bool      // one is under legal hold in the store
}

// Rules is the rules of what must be kept. They hold in every store; one with Object Lock enforces them also against others.
type Rules struct {
	Archive   archive.Store
	Remover   Remover
	Retention time.Duration // for how long after its last object was written a fax cannot be purged; 0: not at all
}

// Until is when the retention of a fax's objects ends; zero: it has none. An error matching session.ErrKept: one is under legal hold in
// the store. One matching fs.ErrNotExist: the fax has no objects.
func (k Rules) Until(ctx context.Context, id string) (time.Time, error) {
	kept, err := k.Remover.Protection(ctx, archive.FaxPrefix(id))
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("ask what keeps session %s: %w", id, err)
	case kept.Held:
		return time.Time{}, fmt.Errorf("session %s: %w: an object of it is under legal hold in the store itself; a release takes a moment there, and a hold that was not made here must be lifted there", id, session.ErrKept)
	case kept.Written.IsZero():
		return time.Time{}, fmt.Errorf("session %s has no objects in the archive: %w", id, fs.ErrNotExist)
	}
	until := kept.Until
	if k.Retention > 0 && kept.Written.Add(k.Retention).After(until) {
		until = kept.Written.Add(k.Retention)
	}
	return until.UTC(), nil
}

// Purgeable returns nil when a fax may be purged at a time, and an error matching session.ErrKept that says why not.
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
		err = fmt.Errorf("session %s: %w: it is retained until %s, by the bucket's lock or --retention of faxstream serve", id, session.ErrKept, until.Format(time.RFC3339))
	}
	return err
}

// foldedIntoHeld returns an error matching session.ErrKept when another session has this one's fax and is under legal hold: it may have
// been held before this one was folded into it.
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
		return nil // nobody's: FoldedInto does not follow it either
	}
	last, err := LastEntry(ctx, k.Archive, r.Into)
	if err == nil && last.Kind == session.ActionHeld {
		err = fmt.Errorf("%w: it is part of another session's fax, and %s; release that first", session.ErrKept, last)
	}
	return err
}

// Log reads a fax's log, oldest first; empty: nobody has held, released or purged it.
func (k Rules) Log(ctx context.Context, id string) ([]session.KeepEntry, error) {
	return readLog(ctx, k.Archive, id)
}

// Holds yields the newest entry of every fax that is under legal hold, in the order of sessions.
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
