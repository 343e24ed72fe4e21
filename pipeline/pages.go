package pipeline

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/collect"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// pagesBus is what the way of a page needs of JetStream.
type pagesBus interface {
	fetch.Bus
	collect.Bus
	document.Facts
	collect.Timers
	recovery.Saved
	// Consume and ConsumeBatches deliver messages to a handler until the bus is closed.
	Consume(ctx context.Context, c bus.Consumer, handle func(context.Context, bus.Delivery) error) error
	ConsumeBatches(ctx context.Context, c bus.Consumer, most int, handle func(context.Context, []bus.Delivery) []error) error
}

// pagesConfig is what the way of a page needs: fetch, collect and document, without what people order.
type pagesConfig struct {
	bus              pagesBus
	archive          archive.Store
	provider         fetch.Provider
	policy           session.Policy
	retry            fetch.Retry
	scratchDir       string
	memory           *intake.Memory // nil: without a limit
	software         string
	signKey          ed25519.PrivateKey
	fetches          int
	observe          stage.Observer
	stopped, doubted func(error)
	outage           func(context.Context) session.Outage // of the archive; nil: never
	sweepEvery       time.Duration
	ledgerAge        time.Duration          // as in Config
	cleanEvery       time.Duration          // between two runs of recovery.Cleaner
	busy             func() bool            // as in Config
	cleaned          func(recovery.Cleaned) // as in Config
	log              *slog.Logger
	unless           func(handler) handler // hold.Guard.SkipPurged, which skips work for purged faxes
	parts            []Part                // as in Config

	pages intake.Pages // made by startPages
}

type handler = func(context.Context, bus.Delivery) error

// startPages starts the way of a page, and returns its handlers by durable.
func startPages(ctx context.Context, c *pagesConfig) (handlers map[string]handler, err error) {
	if c.observe == nil {
		c.observe = func(context.Context, stage.Step) {}
	}
	if c.fetches == 0 {
		c.fetches = defaultFetches
	}
	if err := emptyDir(c.scratchDir); err != nil {
		return nil, err
	}
	if c.memory == nil {
		c.memory = intake.NewMemory(0, c.scratchDir)
	}
	dec := c.memory.NewDecoder(runtime.GOMAXPROCS(0))
	c.pages = intake.Pages{Facts: c.bus, Archive: c.archive, Decoder: dec, Observe: c.observe}
	w := fetch.New(fetch.Config{
		Bus: c.bus, Pages: c.pages, Provider: c.provider, Retry: c.retry, Stopped: c.stopped, Doubted: c.doubted, Log: c.log,
	})
	asm := &document.Assembler{
		Facts: c.bus, Archive: c.archive, Observe: c.observe, Log: c.log, Key: c.signKey,
		Builder: document.Builder{Archive: c.archive, Decoder: dec, Log: c.log, ScratchDir: c.scratchDir, Software: c.software},
	}
	handlers = map[string]handler{}
	for _, work := range []struct {
		part Part
		all  []bus.Consumption
	}{{Fetching, w.Consumptions(c.fetches)}, {Assembling, asm.Consumptions()}} {
		for _, s := range work.all {
			s.Handle = c.unless(s.Handle)
			if handlers[s.Consumer.Durable], err = c.consume(ctx, work.part, s); err != nil {
				return nil, err
			}
		}
	}
	col := &collect.Collector{Bus: c.bus, Archive: c.archive, Policy: c.policy, Observe: c.observe, Outage: c.outages(w)}
	for _, b := range col.Consumptions() {
		handlers[b.Consumer.Durable] = func(ctx context.Context, d bus.Delivery) error { return b.Handle(ctx, []bus.Delivery{d})[0] }
		if !c.takes(Collecting) {
			continue
		}
		b.Consumer.Part = string(Collecting)
		if err := c.bus.ConsumeBatches(ctx, b.Consumer, b.Most, labelled(b.Consumer.Durable, b.Handle)); err != nil {
			return nil, err
		}
	}
	if c.takes(Collecting) {
		sweep := &collect.Sweeper{Bus: c.bus, Every: c.sweepEvery, Log: c.log}
		go sweep.Run(ctx)
	}
	if c.takes(Collecting) && c.ledgerAge > 0 {
		clean := recovery.Cleaner{
			Bus: c.bus, Archive: c.archive, Policy: c.policy, Age: c.ledgerAge, Every: c.cleanEvery, Busy: c.busy, Cleaned: c.cleaned, Log: c.log,
		}
		go clean.Run(ctx)
	}
	return handlers, nil
}

// outages says whether the archive or the provider is away.
func (c *pagesConfig) outages(provider *fetch.Worker) func(context.Context) session.Outage {
	return func(ctx context.Context) session.Outage {
		o := provider.Outage(ctx)
		if c.outage != nil {
			o = o.And(c.outage(ctx))
		}
		return o
	}
}

// takes reports whether this process takes a part.
func (c *pagesConfig) takes(p Part) bool { return c.parts == nil || slices.Contains(c.parts, p) }

// consume starts one durable if this process takes its part. It returns its handler in any case: a retry of a dead letter calls it.
func (c *pagesConfig) consume(ctx context.Context, of Part, s bus.Consumption) (handler, error) {
	handle := labelled(s.Consumer.Durable, hold.IgnorePurged(c.log, s.Handle))
	if !c.takes(of) {
		return handle, nil
	}
	s.Consumer.Part = string(of)
	return handle, c.bus.Consume(ctx, s.Consumer, handle)
}

// labelled marks the work of a durable in profiles: the label part has its name.
func labelled[D, R any](durable string, handle func(context.Context, D) R) func(context.Context, D) R {
	labels := pprof.Labels("part", durable)
	return func(ctx context.Context, d D) (result R) {
		pprof.Do(ctx, labels, func(ctx context.Context) { result = handle(ctx, d) })
		return result
	}
}

// emptyDir makes dir, and removes the files that a killed process left in it.
func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty the scratch directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the scratch directory: %w", err)
	}
	return nil
}
