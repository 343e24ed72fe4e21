package pipeline

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is JetStream, as all rooms need it: *bus.Bus.
type Bus interface {
	pagesBus
	LettersBus
	Forgetter
}

// Config is everything that the pipeline needs. All fields are required unless they say otherwise.
type Config struct {
	Bus       Bus
	Archive   Archive
	Keeper    Keeper        // Archive's
	Retention time.Duration // as in Keeping
	Provider  Provider
	Policy    session.Policy
	Retry     Retry
	SpoolDir  string                                       // private directory for documents in the making; emptied at Start
	Software  string                                       // name and version, for manifests and documents
	SignKey   ed25519.PrivateKey                           // signs manifests; nil: they are not signed
	Fetches   int                                          // page files fetched at once; 0: 24
	Observe   func(Step)                                   // called from many goroutines; nil: nobody watches
	Stopped   func(error)                                  // as in FetchConfig
	Doubted   func(error)                                  // as in FetchConfig
	Ingest    func(ctx context.Context, body []byte) error // takes in the body of a refused webhook once more
	Log       *slog.Logger
}

const defaultFetches = 24

// Start starts all rooms. They run until the bus is closed, and the sweep of timers until ctx ends.
func Start(ctx context.Context, c Config) error {
	watch := &guard{Archive: c.Archive, keeper: c.Keeper, log: c.Log}
	p := pagesConfig{
		bus: c.Bus, archive: watch, provider: c.Provider, policy: c.Policy, retry: c.Retry, spoolDir: c.SpoolDir, software: c.Software,
		signKey: c.SignKey, fetches: c.Fetches, observe: c.Observe, stopped: c.Stopped, doubted: c.Doubted, sweepEvery: sweepEvery, log: c.Log,
		unless: watch.unlessPurged,
	}
	handlers, err := startPages(ctx, &p)
	if err != nil {
		return err
	}
	k := &custodian{
		keeping: Keeping{Archive: c.Archive, Keeper: c.Keeper, Retention: c.Retention}, guard: watch, facts: c.Bus, bus: c.Bus, log: c.Log,
		traces: func(ctx context.Context, id string) (string, time.Time, error) { return traces(ctx, c.Archive, id) },
	}
	again := &replayer{bus: c.Bus, archive: watch, pages: p.pages, log: c.Log}
	l := &letters{bus: c.Bus, replay: again.replay, handlers: handlers, ingest: c.Ingest, log: c.Log}
	for _, s := range k.consumptions() {
		if handlers[s.Consumer.Durable], err = p.consume(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range l.consumptions() {
		if _, err := p.consume(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
