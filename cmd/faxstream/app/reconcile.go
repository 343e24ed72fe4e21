package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// reconciler looks for faxes that no webhook announced. It knows the open sessions from the ledgers that pass through cfg.Open.
func (a *App) reconciler(c Config, cfg ingest.ReconcilerConfig) (*ingest.Reconciler, error) {
	cfg.Sessions, cfg.Notes, cfg.Zone, cfg.Logger = a.bus, a.bus, a.zone, a.log
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

// outageNote has the last moment at which a process found the archive or the provider away. Who fetches and archives pages finds an outage
// at once; a process that only makes ledgers may not, and must not order the whole files of faxes whose pages wait for its end.
const outageNote = "outage"

const (
	outageLook     = time.Second     // between two looks at what this process knows
	outageNoteEach = 5 * time.Second // of an outage that goes on
	maxAhead       = time.Minute     // of another process's clock: what is later is no moment that anybody saw
)

// outageSeen is in the note.
type outageSeen struct {
	At time.Time `json:"at"`
}

// fetchingStopped notes that fetching stops, or goes on.
func (a *App) fetchingStopped(err error) {
	if a.stopped.Store(stoppage{err}); err == nil {
		a.resumed.Store(time.Now())
	}
}

// elsewhere is what other processes know of archive and provider.
func (a *App) elsewhere(ctx context.Context) session.Outage {
	if a.cfg.NATS.URL == "" {
		return session.Outage{} // there are none
	}
	seen, _, err := a.outageSeen(ctx)
	return session.Outage{Now: err != nil || time.Since(seen) < 2*outageNoteEach, Ended: seen} // what cannot be asked is not known
}

func (a *App) outageSeen(ctx context.Context) (at time.Time, revision uint64, err error) {
	data, revision, err := a.bus.Note(ctx, outageNote)
	var seen outageSeen
	if err != nil || json.Unmarshal(data, &seen) != nil || time.Until(seen.At) > maxAhead {
		return time.Time{}, revision, err
	}
	return seen.At, revision, nil
}

// lastOutage is the last moment at which this process knew archive or provider to be away; zero: it knows of none.
func (a *App) lastOutage() time.Time {
	o := a.archive.lastKnown()
	s, _ := a.stopped.Load().(stoppage)
	resumed, _ := a.resumed.Load().(time.Time)
	if o = o.And(session.Outage{Now: s.error != nil, Ended: resumed}); o.Now {
		return time.Now()
	}
	return o.Ended
}

// startNotingOutages tells other processes of the outages that this one finds.
func (a *App) startNotingOutages(ctx context.Context) {
	if a.cfg.NATS.URL == "" || !a.cfg.has(RoleWorker) {
		return // an outage that others meet, such as keys that may not write, keeps no page from coming
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.running.Go(func() {
		tick := time.NewTicker(outageLook)
		defer tick.Stop()
		var noted time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			at := a.lastOutage()
			if !at.After(noted) || time.Since(at) < outageLook && at.Sub(noted) < outageNoteEach {
				continue
			}
			err := a.noteOutage(ctx, at)
			if err == nil {
				noted = at
			} else if ctx.Err() == nil {
				a.log.Warn("NATS does not store that the archive or the provider is away: it is tried again", "err", err)
			}
		}
	})
	a.closers = append(a.closers, func() error { cancel(); return nil })
}

// noteOutage stores the moment, unless there is a later one.
func (a *App) noteOutage(ctx context.Context, at time.Time) error {
	for {
		seen, revision, err := a.outageSeen(ctx)
		if err != nil || !at.After(seen) {
			return err
		}
		data, err := json.Marshal(outageSeen{at.UTC()})
		if err != nil {
			return err
		}
		if _, ok, err := a.bus.PutNote(ctx, outageNote, data, revision); ok || err != nil {
			return err
		}
	}
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
