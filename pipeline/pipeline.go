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

// Config is everything that the pipeline needs. All fields are required unless they say otherwise.
type Config struct {
	Bus interface { // *bus.Bus, or one that fails on demand
		Facts
		Ledgers
		PageFacts
		AllLedgers
		Consumers
	}
	Archive  Archive
	Provider Provider
	Policy   session.Policy
	Retry    Retry
	SpoolDir string             // private directory for documents in the making; emptied at Start
	Software string             // name and version, for manifests and documents
	SignKey  ed25519.PrivateKey // signs manifests; nil: they are not signed
	Fetches  int                // page files fetched at once; 0: 24
	Observe  func(Step)         // called from many goroutines; nil: nobody watches
	Stopped  func(error)        // told why fetching stopped, and nil when it goes on; nil: nobody listens
	Doubted  func(error)        // told that the path of single pages may be wrong, and nil when a page comes; nil: nobody listens
	Log      *slog.Logger

	// Keeper is Archive's, for holds and purges; nil: nothing is done about them. Retention is as in Keeping.
	Keeper    Keeper
	Retention time.Duration

	// Letters is where dead letters and actions are kept; nil: nothing is buried, and nothing is done about letters.
	Letters *bus.Bus
	Ingest  func(ctx context.Context, body []byte) error // takes in the body of a refused webhook once more
}

// Consumers delivers messages to handlers until it is closed.
type Consumers interface {
	Consume(ctx context.Context, c bus.Consumer, handle func(context.Context, bus.Delivery) error) error
	ConsumeBatches(ctx context.Context, c bus.Consumer, most int, handle func(context.Context, []bus.Delivery) []error) error
}

// consumption is a durable and what handles its messages.
type consumption struct {
	consumer bus.Consumer
	handle   func(context.Context, bus.Delivery) error
}

const (
	defaultFetches = 24
	collectAtMost  = 256 // facts in one swap of the ledgers
)

// Start starts the page worker, the whole-file worker, the collector and the assembler. They run until the bus is closed, and the sweep of
// timers until ctx ends.
func Start(ctx context.Context, c Config) error {
	if c.Observe == nil {
		c.Observe = func(Step) {}
	}
	if c.Fetches == 0 {
		c.Fetches = defaultFetches
	}
	if err := emptyDir(c.SpoolDir); err != nil {
		return err
	}
	keeping := Keeping{Archive: c.Archive, Keeper: c.Keeper, Retention: c.Retention}
	watch := &guard{Archive: c.Archive, keeper: c.Keeper, log: c.Log}
	if c.Keeper != nil {
		c.Archive = watch
	}
	dec := newDecoder(runtime.GOMAXPROCS(0))
	w := &worker{
		pages:    pages{facts: c.Bus, archive: c.Archive, decoder: dec, observe: c.Observe},
		archived: c.Bus, aliases: c.Bus, provider: c.Provider, gate: newGate(c.Provider.Probe, min(probeEvery, c.Retry.longest()), c.Stopped, c.Log), path: newPathWatch(c.Doubted),
		retry: c.Retry, log: c.Log,
	}
	col := &collector{facts: c.Bus, ledgers: c.Bus, archive: c.Archive, policy: c.Policy, observe: c.Observe, known: map[string]*ledger{}}
	asm := &assembler{
		facts: c.Bus, pages: c.Bus, archive: c.Archive, decoder: dec, observe: c.Observe, log: c.Log,
		spoolDir: c.SpoolDir, software: c.Software, key: c.SignKey,
	}
	single := []consumption{
		{bus.Consumer{Stream: bus.StreamIn, Durable: "page", Filter: []string{session.TypePageAnnounced + ".>"}, Workers: c.Fetches}, w.announced},
		{bus.Consumer{Stream: bus.StreamTimers, Durable: "retry", Filter: timersOf(session.TimerRetry), Workers: c.Fetches}, w.retryDue},
		{bus.Consumer{Stream: bus.StreamTimers, Durable: "retry-whole", Filter: timersOf(session.TimerWhole), Workers: 2}, w.retryDue},
		{bus.Consumer{Stream: bus.StreamIn, Durable: "whole", Filter: []string{session.TypeWholeOrdered + ".>"}, Workers: 2}, w.ordered},
		{bus.Consumer{Stream: bus.StreamIn, Durable: "ask", Filter: []string{session.TypeRecordAsked + ".>"}, Workers: 1}, w.ask},
		{bus.Consumer{Stream: bus.StreamDocs, Durable: "assemble", Filter: []string{session.TypeDocReady + ".>"}, Workers: 2}, asm.ready},
	}
	if c.Keeper != nil {
		for i := range single {
			single[i].handle = watch.unlessPurged(single[i].handle)
		}
	}
	batches := []bus.Consumer{
		{Stream: bus.StreamIn, Durable: "collect-in", Filter: []string{session.TypePageAnnounced + ".>", session.TypeClosed + ".>", session.TypeSent + ".>", session.TypeRecordSaid + ".>", session.TypeAgain + ".>", session.TypeKept + ".>"}},
		{Stream: bus.StreamPages, Durable: "collect-pages", Filter: []string{session.TypePageArchived + ".>", session.TypePageFailed + ".>"}},
		{Stream: bus.StreamDocs, Durable: "collect-docs", Filter: []string{session.TypeDocAssembled + ".>", session.TypeWholeCut + ".>", session.TypeWholeFailed + ".>", session.TypeDocFailed + ".>", session.TypeDocVerified + ".>"}},
		{Stream: bus.StreamTimers, Durable: "collect-timers", Filter: timersOf(session.TimerGrace, session.TimerIdle, session.TimerVerify)},
	}
	handlers := map[string]func(context.Context, bus.Delivery) error{}
	if c.Letters != nil && c.Keeper != nil {
		k := &custodian{keeping: keeping, guard: watch, facts: c.Bus, bus: c.Letters, log: c.Log}
		single = append(single, []consumption{
			{bus.Consumer{Stream: bus.StreamAudit, Durable: "keep", Filter: []string{session.TypeAuditKeep + ".>"}, Ordered: true}, k.ordered},
			{bus.Consumer{Stream: bus.StreamIn, Durable: "kept", Filter: []string{session.TypeKept + ".>"}, Workers: 2}, k.kept},
		}...)
	}
	for _, s := range single {
		s.handle = forPurged(c.Log, s.handle)
		handlers[s.consumer.Durable] = s.handle
		if err := c.Bus.Consume(ctx, s.consumer, s.handle); err != nil {
			return err
		}
	}
	for _, b := range batches {
		handlers[b.Durable] = func(ctx context.Context, d bus.Delivery) error { return col.collect(ctx, []bus.Delivery{d})[0] }
		if err := c.Bus.ConsumeBatches(ctx, b, collectAtMost, col.collect); err != nil {
			return err
		}
	}
	sweep := &sweeper{ledgers: c.Bus, facts: c.Bus, log: c.Log}
	go sweep.run(ctx)
	if c.Letters == nil {
		return nil
	}
	l := &letters{bus: c.Letters, facts: c.Bus, pages: w.pages, handlers: handlers, ingest: c.Ingest, log: c.Log}
	return l.start(ctx)
}

// timersOf is the subjects on which these kinds of timers fire.
func timersOf(kinds ...string) []string {
	var subjects []string
	for _, k := range kinds {
		subjects = append(subjects, session.TypeTimerDue+"."+k+".>")
	}
	return subjects
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
