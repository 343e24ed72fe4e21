package pipeline

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// pagesBus is what the way of a page needs of JetStream.
type pagesBus interface {
	FetchBus
	Bus2
	DocFacts
	AllLedgers
	// Consume and ConsumeBatches deliver messages to handlers until the bus is closed.
	Consume(ctx context.Context, c bus.Consumer, handle func(context.Context, bus.Delivery) error) error
	ConsumeBatches(ctx context.Context, c bus.Consumer, most int, handle func(context.Context, []bus.Delivery) []error) error
}

// pagesConfig is what the way of a page needs: fetch, collect and document, without what people order.
type pagesConfig struct {
	bus              pagesBus
	archive          Archive
	provider         Provider
	policy           session.Policy
	retry            Retry
	spoolDir         string
	software         string
	signKey          ed25519.PrivateKey
	fetches          int
	observe          func(Step)
	stopped, doubted func(error)
	sweepEvery       time.Duration
	log              *slog.Logger
	unless           func(handler) handler // leaves work undone; as guard.unlessPurged

	pages pages // made by startPages
}

type handler = func(context.Context, bus.Delivery) error

// startPages starts the way of a page, and gives its handlers by durable.
func startPages(ctx context.Context, c *pagesConfig) (handlers map[string]handler, err error) {
	if c.observe == nil {
		c.observe = func(Step) {}
	}
	if c.fetches == 0 {
		c.fetches = defaultFetches
	}
	if err := emptyDir(c.spoolDir); err != nil {
		return nil, err
	}
	dec := newDecoder(runtime.GOMAXPROCS(0))
	c.pages = pages{facts: c.bus, archive: c.archive, decoder: dec, observe: c.observe}
	w := newWorker(FetchConfig{Bus: c.bus, Pages: c.pages, Provider: c.provider, Retry: c.retry, Stopped: c.stopped, Doubted: c.doubted, Log: c.log})
	asm := &assembler{
		facts: c.bus, archive: c.archive, observe: c.observe, log: c.log, key: c.signKey,
		builder: builder{archive: c.archive, decoder: dec, log: c.log, spoolDir: c.spoolDir, software: c.software},
	}
	handlers = map[string]handler{}
	for _, s := range append(w.consumptions(c.fetches), asm.consumptions()...) {
		s.Handle = c.unless(s.Handle)
		if handlers[s.Consumer.Durable], err = c.consume(ctx, s); err != nil {
			return nil, err
		}
	}
	col := &collector{bus: c.bus, archive: c.archive, policy: c.policy, observe: c.observe}
	for _, b := range col.consumptions() {
		handlers[b.Consumer.Durable] = func(ctx context.Context, d bus.Delivery) error { return b.Handle(ctx, []bus.Delivery{d})[0] }
		if err := c.bus.ConsumeBatches(ctx, b.Consumer, b.Most, b.Handle); err != nil {
			return nil, err
		}
	}
	sweep := &sweeper{ledgers: c.bus, every: c.sweepEvery, log: c.log}
	go sweep.run(ctx)
	return handlers, nil
}

// consume starts one durable, and gives its handler.
func (c *pagesConfig) consume(ctx context.Context, s bus.Consumption) (handler, error) {
	handle := forPurged(c.log, s.Handle)
	return handle, c.bus.Consume(ctx, s.Consumer, handle)
}

// emptyDir makes dir, and removes what a killed process left in it.
func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty the spool directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the spool directory: %w", err)
	}
	return nil
}
