package app

import (
	"context"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// reconciler looks for faxes that no webhook announced. It knows the open sessions from the ledgers that pass through cfg.Open.
func (a *App) reconciler(c Config, cfg ingest.ReconcilerConfig) (*ingest.Reconciler, error) {
	cfg.Sessions, cfg.Notes, cfg.Zone, cfg.Logger = a.ledgers(), a.bus, a.zone, a.log
	cfg.Every, cfg.Overlap, cfg.Grace, cfg.Rate = c.ListEvery, c.ListOverlap, c.ListGrace, c.ListRate
	return ingest.NewReconciler(cfg)
}

// reader is JetStream for what only reads ledgers: it finds a fax whose ledger has left JetStream too.
type reader struct {
	*bus.Bus
	from recovery.Ledgers
}

func (r reader) Load(ctx context.Context, id string) (session.State, uint64, error) {
	return r.from.Load(ctx, id)
}

func (a *App) ledgers() reader {
	return reader{a.bus, recovery.Ledgers{Bus: a.bus, Archive: a.archive}}
}

// notes are those of JetStream. The zone reads and writes them only after startZone.
type notes struct{ app *App }

func (n notes) Note(ctx context.Context, key string) ([]byte, uint64, error) {
	return n.app.bus.Note(ctx, key)
}

func (n notes) PutNote(ctx context.Context, key string, data []byte, revision uint64) (uint64, bool, error) {
	return n.app.bus.PutNote(ctx, key, data, revision)
}

// startZone gives the zone of the provider's times what an earlier process has learned. JetStream is open.
func (a *App) startZone(ctx context.Context) {
	if err := a.zone.Load(ctx); err != nil {
		a.log.Warn("what an earlier process learned of the provider's time zone cannot be read; it is tried again", "err", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.running.Go(func() { a.zone.Run(ctx) })
	a.closers = append(a.closers, func() error { cancel(); return nil })
}

// startReconciler starts its regular runs, unless they are switched off.
func (a *App) startReconciler(ctx context.Context, c Config, r *ingest.Reconciler) {
	if c.ListEvery == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.running.Go(func() { r.Run(ctx) })
	a.closers = append(a.closers, func() error { cancel(); return nil })
}

// teed passes every ledger that the board sees to a second function too.
type teed struct {
	from dashboard.Ledgers
	also func(session.State)
}

func (t teed) Ledgers(ctx context.Context, f func(session.State), caught func()) error {
	return t.from.Ledgers(ctx, func(s session.State) {
		t.also(s)
		f(s)
	}, caught)
}
