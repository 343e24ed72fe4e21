package hold

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
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
	known map[string]*guarded // guarded by mu; by session
}

// guarded is what is known about a fax. The fields below done are set before done is closed.
type guarded struct {
	asked   time.Time
	done    chan struct{}
	kind    string
	err     error
	stopped bool // err is only that the context of the goroutine that read the log ended
}

// Create stores an object, unless its fax was purged: then the error matches archive.ErrPurged.
func (g *Guard) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	return g.write(ctx, []string{key}, func() []error { return []error{g.Store.Create(ctx, key, body, size, sum)} })[0]
}

// CreateAll implements archive.Batcher. If a fax of one of the items was purged before the call, nothing is written, and all errors match
// archive.ErrPurged.
func (g *Guard) CreateAll(ctx context.Context, items ...archive.Item) []error {
	return g.write(ctx, keysOf(items), func() []error { return archive.BatcherOf(g.Store).CreateAll(ctx, items...) })
}

// Commit implements archive.Batcher, as CreateAll does. A repeat after a crash finds the last item and writes nothing: so the others of a
// held fax are under legal hold before the last one is visible.
func (g *Guard) Commit(ctx context.Context, items ...archive.Item) []error {
	if last := len(items) - 1; last > 0 && g.holds(ctx, items[last].Key) {
		errs := g.CreateAll(ctx, items[:last]...)
		for _, err := range errs {
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return append(errs, err)
			}
		}
		return append(errs, g.CreateAll(ctx, items[last])...)
	}
	return g.write(ctx, keysOf(items), func() []error { return archive.BatcherOf(g.Store).Commit(ctx, items...) })
}

// holds reports whether the fax of a key is held, as far as is known.
func (g *Guard) holds(ctx context.Context, key string) bool {
	id := archive.SessionOfKey(key)
	if id == "" {
		return false
	}
	kind, err := g.state(ctx, id)
	return err == nil && kind == session.ActionHeld // an error: the write meets it too
}

// Begin implements archive.Batcher.
func (g *Guard) Begin(file *os.File, from, to int64) {
	archive.BatcherOf(g.Store).Begin(file, from, to)
}

func keysOf(items []archive.Item) []string {
	keys := make([]string, len(items))
	for i, o := range items {
		keys[i] = o.Key
	}
	return keys
}

// write calls create, which creates objects, and asks before and after it for orders about their faxes.
func (g *Guard) write(ctx context.Context, keys []string, create func() []error) []error {
	for i, key := range keys {
		id := archive.SessionOfKey(key)
		if id == "" || i > 0 && id == archive.SessionOfKey(keys[i-1]) {
			continue
		}
		kind, err := g.state(ctx, id)
		if err == nil && kind == session.ActionPurged {
			err = fmt.Errorf("archive %s: %w", key, archive.ErrPurged)
		}
		if err != nil {
			return slices.Repeat([]error{err}, len(keys))
		}
	}
	errs := create()
	for i, key := range keys {
		if errs[i] == nil || errors.Is(errs[i], fs.ErrExist) {
			errs[i] = g.wrote(ctx, key, errs[i])
		}
	}
	return errs
}

// wrote returns the error of a write that ended with err, nil or fs.ErrExist: during the write an order may have been carried out, both
// times.
func (g *Guard) wrote(ctx context.Context, key string, err error) error {
	id := archive.SessionOfKey(key)
	if id == "" {
		return err
	}
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

// state is the kind of the last entry of a fax's log, as it was at most `fresh` ago. A damaged log counts as a hold. Goroutines that ask
// at the same time share one read of the log.
func (g *Guard) state(ctx context.Context, id string) (string, error) {
	for {
		k, ours := g.guarded(id)
		if ours {
			g.ask(ctx, id, k)
		}
		select {
		case <-k.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if ours || !k.stopped {
			return k.kind, k.err
		}
	}
}

// guarded returns what is known about a fax, or is being read. ours: it is neither, and the caller must ask.
func (g *Guard) guarded(id string) (k *guarded, ours bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if k = g.known[id]; k != nil && now.Sub(k.asked) <= fresh {
		return k, false
	}
	if g.known == nil || len(g.known) >= maxGuarded {
		g.known = map[string]*guarded{}
	}
	k = &guarded{asked: now, done: make(chan struct{})}
	g.known[id] = k
	return k, true
}

// ask reads the log of a fax. Only goroutines that ask during the call get its error.
func (g *Guard) ask(ctx context.Context, id string, k *guarded) {
	defer close(k.done)
	k.kind, k.err = state(ctx, g.Store, id)
	if errors.Is(k.err, archive.ErrDamagedLog) { // nothing may be deleted then, and pages still arrive
		g.Log.Error("a fax counts as held until its log is repaired", "session", id, "err", k.err)
		k.kind, k.err = session.ActionHeld, nil
	}
	if k.err == nil {
		return
	}
	k.stopped = ctx.Err() != nil
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[id] == k {
		delete(g.known, id)
	}
}

// forget makes the next write read the log again, also while another one reads it.
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
