package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// gate stops the stages that ask the provider while it refuses everything, above all a token that is dead. Nothing is
// counted as an attempt meanwhile, no deadline makes a page missing, and work goes on by itself when a probe succeeds.
type gate struct {
	probe func(context.Context) error
	every time.Duration // a closed gate probes no more often
	told  func(error)   // of each change: why it stopped, nil when it goes on
	log   *slog.Logger

	probing sync.Mutex // one probe at a time

	mu      sync.Mutex
	reason  error     // guarded by mu; nil: open
	probed  time.Time // guarded by mu
	opened  time.Time // guarded by mu; when it went on last; zero: it never stopped
	changed chan struct{}
}

const (
	probeEvery = 10 * time.Second // at most; less where retries are quicker
	gateWait   = 5 * time.Second  // how long a message waits before its gate; then it is delivered again later
)

// errStopped: the provider cannot be used; the message is delivered again.
var errStopped = errors.New("the provider cannot be used; everything waits for it")

func newGate(probe func(context.Context) error, every time.Duration, told func(error), log *slog.Logger) *gate {
	if told == nil {
		told = func(error) {}
	}
	return &gate{probe: probe, every: every, told: told, log: log, changed: make(chan struct{})}
}

// pass returns nil when the provider may be asked. Behind a closed gate it waits a while, probing now and then.
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
		case ctx.Err() != nil: // before a probe, which would tell nothing
			return context.Cause(ctx)
		case due <= 0:
			g.usable(ctx)
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

// usable probes the provider, unless somebody did a moment ago, and closes or opens the gate.
func (g *gate) usable(ctx context.Context) bool {
	asked := time.Now()
	g.probing.Lock()
	defer g.probing.Unlock()
	g.mu.Lock()
	fresh, reason := g.probed.After(asked), g.reason
	if reason != nil && time.Since(g.probed) < g.every {
		fresh = true
	}
	g.mu.Unlock()
	if fresh {
		return reason == nil
	}
	err := g.probe(ctx)
	if ctx.Err() != nil {
		return reason == nil // nothing was learned
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
		g.log.Error("the provider cannot be used: fetching stops until it can; nothing is lost", "err", err)
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

// extended gives work that the gate held up some time of its own after its deadline.
func (g *gate) extended(deadline time.Time, by time.Duration) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if late := g.opened.Add(by); !g.opened.IsZero() && late.After(deadline) {
		return late
	}
	return deadline
}
