package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// gate stops the stages that use the provider while the provider refuses everything, most often because of an invalid token. While it is
// closed, nothing counts as an attempt and no deadline makes a page missing. It opens by itself when a probe succeeds.
type gate struct {
	probe func(context.Context) error
	every time.Duration // the shortest time between two probes of a closed gate
	told  func(error)   // called at each change: why it closed, nil when it opens
	log   *slog.Logger

	probing sync.Mutex // one probe at a time

	mu      sync.Mutex
	reason  error     // guarded by mu; nil: open
	probed  time.Time // guarded by mu
	opened  time.Time // guarded by mu; when it opened last; zero: it never closed
	changed chan struct{}
}

const (
	probeEvery = 10 * time.Second // at most; less if retries are quicker
	gateWait   = 5 * time.Second  // how long a message waits at a closed gate; then it is delivered again later
)

// errStopped: the gate is closed; the message is delivered again.
var errStopped = errors.New("the provider cannot be used, fetching waits until it can")

func newGate(probe func(context.Context) error, every time.Duration, told func(error), log *slog.Logger) *gate {
	if told == nil {
		told = func(error) {}
	}
	return &gate{probe: probe, every: every, told: told, log: log, changed: make(chan struct{})}
}

// pass returns nil when the gate is open. At a closed gate it waits up to gateWait and probes the provider.
func (g *gate) pass(ctx context.Context) error {
	patience := time.NewTimer(gateWait)
	defer patience.Stop()
	for {
		g.mu.Lock()
		reason, changed, due := g.reason, g.changed, time.Until(g.probed.Add(g.every))
		g.mu.Unlock()
		switch {
		case reason == nil:
			return nil
		case ctx.Err() != nil: // before a probe, which would say nothing then
			return context.Cause(ctx)
		case due <= 0:
			g.usable(ctx, false)
			continue
		}
		select {
		case <-changed:
		case <-time.After(due):
		case <-patience.C:
			return fmt.Errorf("%w: %w", errStopped, reason)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// usable probes the provider, and closes or opens the gate. There is no probe at a closed gate, or at an open one if recent, when the last
// probe is less than `every` ago: a provider that fails at some pages is not asked for each of them.
func (g *gate) usable(ctx context.Context, recent bool) bool {
	asked := time.Now()
	g.probing.Lock()
	defer g.probing.Unlock()
	g.mu.Lock()
	fresh, reason := g.probed.After(asked), g.reason
	if (reason != nil || recent) && time.Since(g.probed) < g.every {
		fresh = true
	}
	g.mu.Unlock()
	if fresh {
		return reason == nil
	}
	err := g.probe(ctx)
	if ctx.Err() != nil {
		return reason == nil // the probe says nothing about the provider
	}
	g.set(err)
	return err == nil
}

func (g *gate) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.reason
	g.reason, g.probed = err, time.Now()
	switch {
	case was == nil && err != nil:
		g.log.Error("the provider cannot be used: fetching stops until it can, nothing is lost", "err", err)
	case was != nil && err == nil:
		g.opened = g.probed
		g.log.Info("the provider can be used again: fetching goes on")
	default:
		return
	}
	close(g.changed)
	g.changed = make(chan struct{})
	g.told(err)
}

// outage says whether the gate is closed, and when it opened last. A closed gate is probed: in this process nobody may wait at it.
func (g *gate) outage(ctx context.Context) session.Outage {
	g.mu.Lock()
	closed := g.reason != nil
	g.mu.Unlock()
	if closed {
		g.usable(ctx, false)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return session.Outage{Now: g.reason != nil, Ended: g.opened}
}

// extended moves a deadline for work that waited at the closed gate: at least `by` after the gate opened.
func (g *gate) extended(deadline time.Time, by time.Duration) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if late := g.opened.Add(by); !g.opened.IsZero() && late.After(deadline) {
		return late
	}
	return deadline
}
