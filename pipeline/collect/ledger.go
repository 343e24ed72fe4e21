package collect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// ledger is the ledger of one session as this process knows it. Its lock makes the collector's durables take turns; the compare-and-swap
// does this between processes.
type ledger struct {
	mu       sync.Mutex
	loaded   bool
	state    session.State
	revision uint64
	done     bool // this process has performed state.Effects
}

// maxKnown is the largest number of ledgers in memory. After that all are dropped, and loaded again when they are needed.
const maxKnown = 10_000

// ledger returns the ledger of a session, which may not be loaded yet.
func (c *Collector) ledger(id string) *ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.known[id]; l != nil {
		return l
	}
	if c.known == nil || len(c.known) >= maxKnown {
		c.known = map[string]*ledger{} // a goroutine that uses an old one goes on; of two goroutines one fails at the swap
	}
	l := &ledger{}
	c.known[id] = l
	return l
}

// fold applies the events of one session. The result has one error for each event.
func (c *Collector) fold(ctx context.Context, id string, events []*session.Event) []error {
	errs := make([]error, len(events))
	all := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	l := c.ledger(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		err := c.swap(ctx, id, l, events, errs)
		switch {
		case errors.Is(err, bus.ErrStale):
			l.loaded = false
		case err != nil:
			l.loaded = false // after an error it is unknown what is stored
			return all(err)
		default:
			return errs
		}
		if ctx.Err() != nil {
			return all(context.Cause(ctx))
		}
	}
}

// swap folds events into the newest state that this process knows, and saves it. l.mu is held.
func (c *Collector) swap(ctx context.Context, id string, l *ledger, events []*session.Event, errs []error) error {
	fresh := !l.loaded
	if fresh {
		if err := c.load(ctx, id, l); err != nil {
			return err
		}
	}
	if err := c.performOnce(ctx, l); err != nil {
		return err
	}
	before := l.state
	before.Effects = nil
	next, err := c.next(ctx, before, events, errs)
	if err != nil {
		return err
	}
	restored := l.revision == 0 && !l.state.Opened.IsZero()
	if len(next.Effects) == 0 && reflect.DeepEqual(before, next) && !restored {
		if !fresh {
			return bus.ErrStale // the events change nothing in the ledger as this process knows it; another process may have changed it
		}
		return nil
	}
	revision, err := c.Bus.Save(ctx, next, l.revision)
	if err != nil {
		return err
	}
	l.state, l.revision, l.done = next, revision, false
	return c.performOnce(ctx, l)
}

// load reads the ledger of a session. If there is none, it restores what the archive knows.
func (c *Collector) load(ctx context.Context, id string, l *ledger) error {
	s, revision, err := c.Bus.Load(ctx, id)
	if err == nil && revision == 0 {
		s, err = recovery.Restore(ctx, c.Archive, c.Bus, s)
	}
	if err != nil {
		return err
	}
	l.loaded, l.state, l.revision, l.done = true, s, revision, false
	return nil
}

// performOnce performs the effects of a saved state, unless this process has done so before.
func (c *Collector) performOnce(ctx context.Context, l *ledger) error {
	if l.done {
		return nil
	}
	if err := c.perform(ctx, l.state); err != nil {
		return err
	}
	l.done = true
	return nil
}

// next folds events into a state. An event that does not fit gets an entry in errs, and does not count.
func (c *Collector) next(ctx context.Context, s session.State, events []*session.Event, errs []error) (session.State, error) {
	for i, e := range events {
		if err := c.bind(ctx, &s, e); err != nil {
			return s, err
		}
		if err := c.claim(ctx, &s, e); err != nil {
			return s, err
		}
		if e.Fact == nil && c.Outage != nil && s.EndsWait(e.Timer) {
			if e.Outage = c.Outage(ctx); ctx.Err() != nil {
				return s, context.Cause(ctx) // what could not be asked is not known
			}
		}
		folded, err := session.Next(c.Policy, s, *e)
		if err != nil {
			errs[i] = bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("session %s: %w", s.Session, err)}
			continue
		}
		errs[i] = nil
		s = folded
	}
	return s, nil
}
