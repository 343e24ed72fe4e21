package pipeline

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/collect"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/letters"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/replay"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Bus is JetStream, as all rooms need it: *bus.Bus.
type Bus interface {
	pagesBus
	letters.Bus
	hold.Forgetter
}

// Part is a part of the pipeline. Each may run in many processes at once, which share its work.
type Part string

// Parts.
const (
	Fetching   Part = "fetching"   // pages and whole files, and comparisons: fetch
	Collecting Part = "collecting" // ledgers of facts, and timers that are due: collect
	Assembling Part = "assembling" // documents, and what people order: document, letters, replay, hold and desk
)

// Config is everything that the pipeline needs. All fields are required unless they say otherwise.
type Config struct {
	Bus        Bus
	Archive    archive.Store
	Remover    hold.Remover  // of the same store as Archive
	Retention  time.Duration // as in hold.Rules
	Provider   fetch.Provider
	Policy     session.Policy
	Retry      fetch.Retry
	ScratchDir string                                       // private directory for unfinished documents and long files; emptied at Start
	Memory     *intake.Memory                               // for all work on pages; nil: without a limit
	Software   string                                       // name and version, for manifests and documents
	SignKey    ed25519.PrivateKey                           // signs manifests; nil: they are not signed
	Fetches    int                                          // page files fetched at once, at most; 0: 64
	Observe    stage.Observer                               // called from many goroutines; nil: not called
	Stopped    func(error)                                  // as in fetch.Config
	Doubted    func(error)                                  // as in fetch.Config
	LedgerAge  time.Duration                                // after it the ledgers of ended faxes leave JetStream; 0: never
	Busy       func() bool                                  // so much work waits that ledgers stay for now; nil: never
	Cleaned    func(recovery.Cleaned)                       // what became of old ledgers; nil: not called
	Outage     func(context.Context) session.Outage         // of the archive, and as others know; nil: never
	Ingest     func(ctx context.Context, body []byte) error // takes in the body of a refused webhook again
	Parts      []Part                                       // that this process takes; nil: all
	Log        *slog.Logger
}

const defaultFetches = 64 // 128 pages a second from a provider that takes 500 ms for each

// Start starts the rooms of the parts and returns. They run until the bus is closed; the sweep of timers runs until ctx ends. An error: the
// scratch directory or a durable cannot be made.
func Start(ctx context.Context, c Config) error {
	watch := &hold.Guard{Store: c.Archive, Remover: c.Remover, Log: c.Log}
	p := pagesConfig{
		bus: c.Bus, archive: watch, provider: c.Provider, policy: c.Policy, retry: c.Retry, scratchDir: c.ScratchDir, memory: c.Memory,
		software: c.Software, signKey: c.SignKey, fetches: c.Fetches, observe: c.Observe, stopped: c.Stopped, doubted: c.Doubted,
		outage: c.Outage, sweepEvery: collect.SweepEvery, log: c.Log, unless: watch.SkipPurged, parts: c.Parts,
		ledgerAge: c.LedgerAge, cleanEvery: recovery.CleanEvery, busy: c.Busy, cleaned: c.Cleaned,
	}
	handlers, err := startPages(ctx, &p)
	if err != nil {
		return err
	}
	k := &hold.Custodian{
		Rules: hold.Rules{Archive: c.Archive, Remover: c.Remover, Retention: c.Retention},
		Guard: watch, Facts: c.Bus, Forgetter: c.Bus, Log: c.Log,
		Traces: func(ctx context.Context, id string) (string, time.Time, error) {
			return recovery.Traces(ctx, c.Archive, id)
		},
	}
	reading := reader{c.Bus, recovery.Ledgers{Bus: c.Bus, Archive: watch}}
	again := &replay.Replayer{Bus: reading, Archive: watch, Pages: p.pages, Log: c.Log}
	l := &letters.Worker{Bus: reading, Replay: again.Replay, Handlers: handlers, Ingest: c.Ingest, Log: c.Log}
	searchable := &document.Searchables{
		Bus: c.Bus, Archive: watch, Log: c.Log,
		Layers: document.Layers{Archive: watch, ScratchDir: c.ScratchDir, Software: c.Software},
	}
	clerk := &desk.Clerk{Archive: watch, Facts: c.Bus}
	deriving := &document.Deriving{
		Facts: c.Bus, Archive: watch, Made: &document.Derivations{Archive: watch}, Log: c.Log,
		Deriver: document.Deriver{Archive: watch, Decoder: p.pages.Decoder, ScratchDir: c.ScratchDir, Software: c.Software},
	}
	orders := slices.Concat(k.Consumptions(), clerk.Consumptions())
	for _, s := range slices.Concat(searchable.Consumptions(), deriving.Consumptions()) {
		s.Handle = watch.SkipPurged(s.Handle)
		orders = append(orders, s)
	}
	for _, s := range orders {
		if handlers[s.Consumer.Durable], err = p.consume(ctx, Assembling, s); err != nil {
			return err
		}
	}
	for _, s := range l.Consumptions() {
		if _, err := p.consume(ctx, Assembling, s); err != nil {
			return err
		}
	}
	return nil
}

// reader is a Bus for rooms that only read ledgers: they find a fax whose ledger has left JetStream too.
type reader struct {
	Bus
	ledgers recovery.Ledgers
}

func (r reader) Load(ctx context.Context, id string) (session.State, uint64, error) {
	return r.ledgers.Load(ctx, id)
}
