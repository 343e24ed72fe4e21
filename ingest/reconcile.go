package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Lister says which faxes the provider has. faxplus.Client is one.
type Lister interface {
	// List gives up to limit records of a category from a window of time; when limit come there may be more.
	List(ctx context.Context, category string, after, before time.Time, limit int) ([]faxplus.Record, error)
	// Record gives one by its listed id; a *faxplus.Error with Status 404 when there is none.
	Record(ctx context.Context, id string) (faxplus.Record, error)
}

// Sessions knows the faxes that are here.
type Sessions interface {
	// Owner gives the session that one of the provider's names for a fax belongs to; empty when nobody has claimed it.
	Owner(ctx context.Context, kind, value string) (string, error)
	// Load gives a session's ledger; one that was never opened has a zero Opened.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Record stores f durably, as a Recorder does.
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)
}

// Notes keeps small documents that survive restarts and are shared by all processes.
type Notes interface {
	// Note gives nil and revision 0 for a note that nobody has written.
	Note(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// PutNote writes it if revision is still the newest; ok is false when it is not.
	PutNote(ctx context.Context, key string, data []byte, revision uint64) (next uint64, ok bool, err error)
}

// ReconcilerConfig says whom a Reconciler asks and how often. The first four are required.
type ReconcilerConfig struct {
	Provider Lister
	Sessions Sessions
	Notes    Notes
	Open     *OpenSessions
	// Every is the time from one pass to the next; default 15 min. An account that gets a fax a minute has then one
	// request or two in a pass.
	Every time.Duration
	// Overlap is how far behind the last pass the next one begins; default 2 h, longer than nearly every call, since a fax
	// may be listed by its start only when it is over.
	Overlap time.Duration
	// Grace is how long after its end, as far as that can be told, a fax may wait for its webhook; default 10 min.
	Grace time.Duration
	// Hold is for how long after it was first seen a fax that cannot be decided is asked for again; default 72 h, longer
	// than a session stays open.
	Hold       time.Duration
	Rate       int                   // most requests in a minute; default 30. Abusive polling is watched.
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // for the metrics; nil: not registered
}

// Reconciler finds the faxes whose webhooks all got lost, and feeds them in as their close would have come, under the
// listed id. Start with NewReconciler; Run makes a pass again and again, Check makes one by hand.
//
// A pass lists inbox and spam from where the last complete pass ended, minus Overlap, until now. The position is a note,
// so that neither a restart nor a day of downtime leaves a gap, and moves only after a pass that read everything. Faxes
// that cannot be decided yet (on the line, too young, perhaps one of the open sessions) stay in the note and are asked
// for one by one until they can be.
//
// Of several processes one makes the pass: whoever moves the note's due time by its revision. Should two do it all the
// same, nothing comes twice, because a fact has a subject of its own and is only ever created.
type Reconciler struct {
	cfg      ReconcilerConfig
	metrics  *reconcileMetrics
	turn     chan struct{} // holds one token: one pass at a time
	asked    time.Time     // of the last request; whoever has the token may use it
	position atomic.Int64  // of the note as last read, Unix seconds; 0: not known
}

// NewReconciler checks cfg and gives the reconciler. It asks nobody anything.
func NewReconciler(cfg ReconcilerConfig) (*Reconciler, error) {
	if cfg.Provider == nil || cfg.Sessions == nil || cfg.Notes == nil || cfg.Open == nil {
		return nil, errors.New("ingest: a reconciler needs Provider, Sessions, Notes and Open")
	}
	cfg.Every = cmp.Or(cfg.Every, 15*time.Minute)
	cfg.Overlap = cmp.Or(cfg.Overlap, 2*time.Hour)
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Minute)
	cfg.Hold = cmp.Or(cfg.Hold, 72*time.Hour)
	cfg.Rate = cmp.Or(cfg.Rate, 30)
	if cfg.Every < 0 || cfg.Overlap < 0 || cfg.Grace < 0 || cfg.Hold < 0 || cfg.Rate < 0 {
		return nil, errors.New("ingest: a reconciler's times and rate must be positive")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reconciler{cfg: cfg, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	var err error
	r.metrics, err = newReconcileMetrics(cfg.Registerer, r.lag)
	return r, err
}

// lag is how far behind the position is, in seconds; 0 while it is not known.
func (r *Reconciler) lag() float64 {
	at := r.position.Load()
	if at == 0 {
		return 0
	}
	return max(0, time.Since(time.Unix(at, 0)).Seconds())
}

const noteKey = "reconciler"

// progress is the note.
type progress struct {
	Position  time.Time            `json:"position"`            // every fax that was listed with a start before it is decided, but for Undecided
	Due       time.Time            `json:"due"`                 // when the next pass begins, whoever makes it
	Undecided map[string]time.Time `json:"undecided,omitempty"` // listed id to when it was first seen
}

// maxUndecided bounds the note to some 50 KiB. An account that has more is not served by a pass that goes on as if it knew.
const maxUndecided = 500

// Run makes a pass whenever one is due, until ctx ends.
func (r *Reconciler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := time.NewTimer(r.step(ctx))
		select {
		case <-ctx.Done():
			next.Stop()
		case <-next.C:
		}
	}
}

// step makes a pass if one is due and gives how long to wait before the next step.
func (r *Reconciler) step(ctx context.Context) time.Duration {
	soon := min(r.cfg.Every, time.Minute)
	p, revision, err := r.load(ctx)
	if err != nil {
		r.warn(ctx, "the reconciler's position cannot be read; it tries again", err)
		return soon
	}
	now := time.Now().UTC()
	if wait := p.Due.Sub(now); wait > 0 {
		return min(wait, r.cfg.Every) // a shorter interval, or a clock that was set back, must not wait for an old due time
	}
	p.Due = now.Add(r.cfg.Every)
	revision, ok, err := r.save(ctx, p, revision)
	if err != nil {
		r.warn(ctx, "the reconciler's turn cannot be stored; it tries again", err)
		return soon
	}
	if !ok {
		return soon // another process was first; its due time is read in the next step
	}
	report, undecided := r.pass(ctx, p.Position.Add(-r.cfg.Overlap), now, p.Undecided, false)
	if report.err != nil {
		r.warn(ctx, "the provider's list was not read whole; the same window comes again", report.err)
		return max(time.Until(p.Due), retryAfter(report.err))
	}
	p.Position, p.Undecided = now, undecided
	if _, ok, err = r.save(ctx, p, revision); err != nil || !ok {
		r.warn(ctx, "the reconciler's position was not moved; the same window comes again", err)
	}
	return time.Until(p.Due)
}

func (r *Reconciler) warn(ctx context.Context, message string, err error) {
	if ctx.Err() == nil { // else it is the stop
		r.cfg.Logger.Warn(message, "err", err)
	}
}

// retryAfter is how long the provider asks us to wait.
func retryAfter(err error) time.Duration {
	if e := (*faxplus.Error)(nil); errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// load reads the note. On an account that was never looked at the position is now: what came before us is not ours.
func (r *Reconciler) load(ctx context.Context) (p progress, revision uint64, err error) {
	data, revision, err := r.cfg.Notes.Note(ctx, noteKey)
	if err == nil && data != nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return progress{}, 0, fmt.Errorf("read the reconciler's position: %w", err)
	}
	if p.Position.IsZero() {
		p.Position = time.Now().UTC()
	}
	r.position.Store(p.Position.Unix())
	return p, revision, nil
}

func (r *Reconciler) save(ctx context.Context, p progress, revision uint64) (next uint64, ok bool, err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, false, err
	}
	if next, ok, err = r.cfg.Notes.PutNote(ctx, noteKey, data, revision); ok {
		r.position.Store(p.Position.Unix())
	}
	return next, ok, err
}

// Check makes a pass by hand over the faxes that started since then; with dry nothing is fed in. It neither reads nor
// moves the position. Where the report has an Error, the provider or a store failed halfway, and Faxes is not all.
func (r *Reconciler) Check(ctx context.Context, since time.Time, dry bool) Report {
	report, _ := r.pass(ctx, since, time.Now().UTC(), nil, dry)
	return report
}

// pass reads a window and the undecided faxes, and decides on all of them.
func (r *Reconciler) pass(ctx context.Context, after, until time.Time, undecided map[string]time.Time, dry bool) (Report, map[string]time.Time) {
	report := Report{Since: after.UTC(), Until: until, DryRun: dry, Faxes: []Finding{}}
	select {
	case <-ctx.Done():
		report.fail(context.Cause(ctx))
		return report, undecided
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	}
	l := listing{r: r, now: until, records: map[string]faxplus.Record{}, gone: map[string]time.Time{}}
	listed := l.window(ctx, after)
	if listed == nil {
		listed = l.again(ctx, undecided)
	}
	// What came is decided in any case: a list that always fails must not hide the other.
	d := decision{r: r, now: until, dry: dry, firstSeen: undecided, undecided: l.gone}
	decided := d.all(ctx, l.records)
	report.Faxes = append(report.Faxes, d.findings...)
	if len(d.undecided) > maxUndecided {
		decided = errors.Join(decided, fmt.Errorf("%d faxes cannot be decided, more than %d are not remembered", len(d.undecided), maxUndecided))
	}
	report.fail(errors.Join(listed, decided))
	r.metrics.pass(report, ctx.Err() != nil)
	r.cfg.Logger.Info("faxes at the provider compared with those here", "since", report.Since, "faxes", len(report.Faxes),
		"fed_in", report.Count(OutcomeFed), "undecided", len(d.undecided), "dry_run", dry, "complete", report.err == nil)
	return report, d.undecided
}
