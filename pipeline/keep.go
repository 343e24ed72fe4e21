package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Keeper is what a store does about keeping and removing objects. A name that ends in a slash means every key below it, any other
// exactly that key.
type Keeper interface {
	// Kept tells what the store knows of them, all versions included.
	Kept(ctx context.Context, name string) (Kept, error)
	// Hold puts them under legal hold or lifts it; errors.ErrUnsupported where the store has none.
	Hold(ctx context.Context, name string, on bool) error
	// Delete removes them with all versions. session.ErrKept: the store keeps one of them.
	Delete(ctx context.Context, name string) error
}

// Kept is what a store knows of some objects.
type Kept struct {
	Objects int       // that can be read
	Written time.Time // the newest; zero: there are none
	Until   time.Time // until when the store itself keeps the one that it keeps longest; zero: it keeps none
	Held    bool      // one is under legal hold in the store
}

// Keeping is the rules of what must be kept. They hold in every store; one with Object Lock enforces them also against others.
type Keeping struct {
	Archive   Archive
	Keeper    Keeper
	Retention time.Duration // for how long after its last object was written a fax cannot be purged; 0: not at all
}

// Until is when the retention of a fax's objects ends; zero: it has none. An error matching session.ErrKept: one is under legal hold in
// the store. One matching fs.ErrNotExist: the fax has no objects.
func (k Keeping) Until(ctx context.Context, id string) (time.Time, error) {
	kept, err := k.Keeper.Kept(ctx, faxPrefix(id))
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
func (k Keeping) Purgeable(ctx context.Context, id string, now time.Time) error {
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
func (k Keeping) foldedIntoHeld(ctx context.Context, id string) error {
	data, err := read(ctx, k.Archive, redirectKey(id), maxSidecar)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := parseRedirect(data, id)
	if err != nil {
		return nil // nobody's: foldedInto does not follow it either
	}
	last, err := lastKept(ctx, k.Archive, r.Into)
	if err == nil && last.Kind == session.ActionHeld {
		err = fmt.Errorf("%w: it is part of another session's fax, and %s; release that first", session.ErrKept, last)
	}
	return err
}

const (
	// keepFresh is for how long a process goes on with what it knows of a fax's log.
	keepFresh = time.Minute
	// keepSettled is how long after an order it is carried out once more, for what processes have written that did not know of it.
	keepSettled = 2 * keepFresh
	// maxGuarded bounds the faxes whose state a process remembers.
	maxGuarded = 10_000
)

// guard is an archive that takes nothing of a purged fax any more, and holds at once what is written of one under legal hold.
type guard struct {
	Archive
	keeper Keeper
	log    *slog.Logger

	mu    sync.Mutex
	known map[string]guarded // guarded by mu; by session
}

type guarded struct {
	kind  string
	asked time.Time
}

// Create stores an object of a fax, unless that was purged: then the error matches ErrPurged.
func (g *guard) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	id := faxOfKey(key)
	if id == "" {
		return g.Archive.Create(ctx, key, body, size, sum)
	}
	kind, err := g.state(ctx, id)
	if err != nil {
		return err
	}
	if kind == session.ActionPurged {
		return fmt.Errorf("archive %s: %w", key, ErrPurged)
	}
	err = g.Archive.Create(ctx, key, body, size, sum)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// An order may have been carried out, and once more, while this was written.
	kind, late := g.state(ctx, id)
	switch {
	case late != nil:
		return late
	case kind == session.ActionPurged:
		if err := g.keeper.Delete(ctx, key); err != nil {
			g.log.Error("an object was written while its fax was purged, and is left: order the purge again", "key", key, "err", err)
		}
		return fmt.Errorf("archive %s: %w", key, ErrPurged)
	case kind == session.ActionHeld && strings.HasPrefix(key, faxPrefix(id)): // the index is no part of a hold, and no release would free it
		if err := g.keeper.Hold(ctx, key, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			// The page is worth more than its lock: faxstream itself keeps to the log, and the order is carried out again.
			g.log.Error("an object of a fax under legal hold is not held by the store", "key", key, "err", err)
		}
	}
	return err
}

// unlessPurged leaves work undone for a fax that was purged before it began: nothing of it is fetched, and no number bound.
func (g *guard) unlessPurged(handle func(context.Context, bus.Delivery) error) func(context.Context, bus.Delivery) error {
	return func(ctx context.Context, d bus.Delivery) error {
		if id := session.SessionOf(d.Subject); id != "" {
			kind, err := g.state(ctx, id)
			if err != nil || kind == session.ActionPurged {
				return err
			}
		}
		return handle(ctx, d)
	}
}

// state is the kind of the last entry of a fax's log, at most keepFresh old; a damaged log counts as a hold.
func (g *guard) state(ctx context.Context, id string) (string, error) {
	g.mu.Lock()
	k, ok := g.known[id]
	g.mu.Unlock()
	if now := time.Now(); !ok || now.Sub(k.asked) > keepFresh {
		kind, err := keepState(ctx, g.Archive, id)
		if errors.Is(err, errKeepLog) { // it frees nothing, and costs no page
			g.log.Error("a fax is taken for held", "session", id, "err", err)
			kind, err = session.ActionHeld, nil
		}
		if err != nil {
			return "", err
		}
		k = guarded{kind, now}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.known == nil || len(g.known) >= maxGuarded {
			g.known = map[string]guarded{}
		}
		g.known[id] = k
	}
	return k.kind, nil
}

// forget lets the next write look at the log.
func (g *guard) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, id)
}
