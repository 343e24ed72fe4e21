package hold

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

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	// fresh is how long a process relies on what it has read of a fax's log.
	fresh = time.Minute
	// settled is when an order is carried out again after it was made: for objects from processes that did not know about it yet.
	settled = 2 * fresh
	// maxGuarded is the largest number of faxes whose state a process remembers.
	maxGuarded = 10_000
)

// Guard is an archive that refuses objects of a purged fax, and puts new objects of a held fax under legal hold at once.
type Guard struct {
	archive.Store
	Remover Remover
	Log     *slog.Logger

	mu    sync.Mutex
	known map[string]guarded // guarded by mu; by session
}

type guarded struct {
	kind  string
	asked time.Time
}

// Create stores an object, unless its fax was purged: then the error matches archive.ErrPurged.
func (g *Guard) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	id := archive.SessionOfKey(key)
	if id == "" {
		return g.Store.Create(ctx, key, body, size, sum)
	}
	kind, err := g.state(ctx, id)
	if err != nil {
		return err
	}
	if kind == session.ActionPurged {
		return fmt.Errorf("archive %s: %w", key, archive.ErrPurged)
	}
	err = g.Store.Create(ctx, key, body, size, sum)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// During this write an order may have been carried out, both times.
	kind, late := g.state(ctx, id)
	switch {
	case late != nil:
		return late
	case kind == session.ActionPurged:
		if err := g.Remover.Delete(ctx, key); err != nil {
			g.Log.Error("an object was written while its fax was purged, and could not be deleted: order the purge again",
				"key", key, "err", err)
		}
		return fmt.Errorf("archive %s: %w", key, archive.ErrPurged)
	// An index entry is never held: a release would not lift the hold.
	case kind == session.ActionHeld && strings.HasPrefix(key, archive.FaxPrefix(id)):
		if err := g.Remover.Hold(ctx, key, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			// The page is more important than its lock: faxstream itself obeys the log, and the order is carried out again.
			g.Log.Error("the store did not put an object of a held fax under legal hold", "key", key, "err", err)
		}
	}
	return err
}

// SkipPurged returns a handler that does nothing for a fax that was purged before the delivery: it fetches nothing and binds no number.
func (g *Guard) SkipPurged(handle func(context.Context, bus.Delivery) error) func(context.Context, bus.Delivery) error {
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

// state is the kind of the last entry of a fax's log, as it was at most `fresh` ago. A damaged log counts as a hold.
func (g *Guard) state(ctx context.Context, id string) (string, error) {
	g.mu.Lock()
	k, ok := g.known[id]
	g.mu.Unlock()
	if now := time.Now(); !ok || now.Sub(k.asked) > fresh {
		kind, err := state(ctx, g.Store, id)
		if errors.Is(err, ErrDamagedLog) { // nothing may be deleted then, and pages still arrive
			g.Log.Error("a fax counts as held until its log is repaired", "session", id, "err", err)
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

// forget makes the next write read the log again.
func (g *Guard) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, id)
}

// IgnorePurged returns a handler that ends without an error if the fax was purged during its work. A bus.Dead stays an error: an order
// that came too late becomes a dead letter, so that a person sees it.
func IgnorePurged(log *slog.Logger, handle func(context.Context, bus.Delivery) error) func(context.Context, bus.Delivery) error {
	return func(ctx context.Context, d bus.Delivery) error {
		err := handle(ctx, d)
		if _, dead := errors.AsType[bus.Dead](err); !dead && errors.Is(err, archive.ErrPurged) {
			log.Warn("work skipped: the fax was purged", "session", session.SessionOf(d.Subject))
			return nil
		}
		return err
	}
}
