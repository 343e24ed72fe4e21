package app

import (
	"context"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// reconciler looks for faxes that no webhook announced. It knows the open sessions from the ledgers that pass through cfg.Open.
func (a *App) reconciler(c Config, cfg ingest.ReconcilerConfig) (*ingest.Reconciler, error) {
	cfg.Sessions, cfg.Notes, cfg.Logger = a.bus, a.bus, a.log
	cfg.Every, cfg.Overlap, cfg.Grace, cfg.Rate = c.ListEvery, c.ListOverlap, c.ListGrace, c.ListRate
	return ingest.NewReconciler(cfg)
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
