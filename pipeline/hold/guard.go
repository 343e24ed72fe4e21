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
	// fresh is for how long a process goes on with what it knows of a fax's log.
	fresh = time.Minute
	// settled is how long after an order it is carried out once more, for what processes have written that did not know of it.
	settled = 2 * fresh
	// maxGuarded bounds the faxes whose state a process remembers.
	maxGuarded = 10_000
)

// Guard is an archive that takes nothing of a purged fax any more, and holds at once what is written of one under legal hold.
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

// Create stores an object of a fax, unless that was purged: then the error matches ErrPurged.
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
	// An order may have been carried out, and once more, while this was written.
	kind, late := g.state(ctx, id)
	switch {
	case late != nil:
		return late
	case kind == session.ActionPurged:
		if err := g.Remover.Delete(ctx, key); err != nil {
			g.Log.Error("an object was written while its fax was purged, and is left: order the purge again", "key", key, "err", err)
		}
		return fmt.Errorf("archive %s: %w", key, archive.ErrPurged)
	case kind == session.ActionHeld && strings.HasPrefix(key, archive.FaxPrefix(id)): // the index is no part of a hold, and no release would free it
		if err := g.Remover.Hold(ctx, key, true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			// The page is worth more than its lock: faxstream itself keeps to the log, and the order is carried out again.
			g.Log.Error("an object of a fax under legal hold is not held by the store", "key", key, "err", err)
		}
	}
	return err
}

// SkipPurged leaves work undone for a fax that was purged before it began: nothing of it is fetched, and no number bound.
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

// state is the kind of the last entry of a fax's log, at most fresh old; a damaged log counts as a hold.
func (g *Guard) state(ctx context.Context, id string) (string, error) {
	g.mu.Lock()
	k, ok := g.known[id]
	g.mu.Unlock()
	if now := time.Now(); !ok || now.Sub(k.asked) > fresh {
		kind, err := state(ctx, g.Store, id)
		if errors.Is(err, ErrDamagedLog) { // it frees nothing, and costs no page
			g.Log.Error("a fax is taken for held", "session", id, "err", err)
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
func (g *Guard) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, id)
}

// IgnorePurged ends work for a fax that was purged meanwhile. What is to be buried is: an order that came too late is told to somebody.
func IgnorePurged(log *slog.Logger, handle func(context.Context, bus.Delivery) error) func(context.Context, bus.Delivery) error {
	return func(ctx context.Context, d bus.Delivery) error {
		err := handle(ctx, d)
		if _, dead := errors.AsType[bus.Dead](err); !dead && errors.Is(err, archive.ErrPurged) {
			log.Warn("left undone: the fax was purged", "session", session.SessionOf(d.Subject))
			return nil
		}
		return err
	}
}
