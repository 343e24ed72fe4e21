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

// Lister lists the faxes of the provider. faxplus.Client is one.
type Lister interface {
	// List returns up to limit records of a category from a time window. If it returns limit records, there may be more.
	List(ctx context.Context, category string, after, before time.Time, limit int) ([]faxplus.Record, error)
	// Record returns the record with this listed id, or a *faxplus.Error with Status 404 if there is none.
	Record(ctx context.Context, id string) (faxplus.Record, error)
}

// Sessions finds the faxes that faxstream has.
type Sessions interface {
	// Owner returns the session that has claimed one of the provider's names for a fax; empty: nobody has claimed it.
	Owner(ctx context.Context, kind, value string) (string, error)
	// Load returns a session's ledger. A session that was never opened has a zero Opened.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Record stores f durably, as a Recorder does.
	Record(ctx context.Context, f session.Fact) (repeat bool, err error)
}

// Notes stores small documents that survive restarts. All processes share them.
type Notes interface {
	// Note returns nil and revision 0 if nobody has written the note.
	Note(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// PutNote writes the note if revision is still the newest; else ok is false.
	PutNote(ctx context.Context, key string, data []byte, revision uint64) (next uint64, ok bool, err error)
}

// ReconcilerConfig says what a Reconciler asks and how often. The first four fields are required.
type ReconcilerConfig struct {
	Provider Lister
	Sessions Sessions
	Notes    Notes
	Open     *OpenSessions
	// Zone is the one with which Provider converts times; nil: they are always UTC.
	Zone *Zone
	// Every is the time from one pass to the next; default 15 min. With one fax a minute, a pass then needs one or two
	// requests.
	Every time.Duration
	// Overlap is how far before the end of the last pass the next one begins; default 2 h. That is longer than nearly
	// every call: a fax may appear in the list only after its end, but with the time of its start.
	Overlap time.Duration
	// Grace is how long after its (estimated) end a fax may wait for its webhook; default 10 min.
	Grace time.Duration
	// Hold is how long an undecided fax is asked for again after it was first seen; default 72 h, longer than a session
	// stays open.
	Hold       time.Duration
	Rate       int                   // most requests in a minute; default 30. The provider watches for abusive polling.
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // for the metrics; nil: not registered
}

// Reconciler finds the faxes whose webhooks were all lost. It records a close for each of them, under the listed id. Start
// with NewReconciler; Run makes passes at intervals, Check makes one pass by hand.
//
// A pass lists inbox and spam from the end of the last complete pass, minus Overlap, until now. The position is stored in
// a note, so that a restart or a day of downtime leaves no gap. It moves only after a pass that read everything. Faxes
// that cannot be decided yet (on the line, too young, perhaps one of the open sessions) stay in the note. The next passes
// ask for them one by one.
//
// A pass that asks in the wrong time zone reads another window than it means to. So the note has the zone of the passes up
// to the position. If another zone is known now, the next pass reads everything since the first start again, at most a week.
//
// If there are several processes, one makes the pass: the one that moves the due time in the note. If two processes make
// a pass at the same time, no fax is recorded twice: a fact has its own subject and can only be created.
type Reconciler struct {
	cfg      ReconcilerConfig
	metrics  *reconcileMetrics
	turn     chan struct{} // holds one token: one pass at a time
	asked    time.Time     // of the last request; only the holder of the token uses it
	position atomic.Int64  // position in the note as last read, Unix seconds; 0: unknown
}

// NewReconciler checks cfg and returns the reconciler. It makes no request.
func NewReconciler(cfg ReconcilerConfig) (*Reconciler, error) {
	if cfg.Provider == nil || cfg.Sessions == nil || cfg.Notes == nil || cfg.Open == nil {
		return nil, errors.New("ingest: a reconciler needs Provider, Sessions, Notes and Open")
	}
	if cfg.Zone == nil {
		var err error
		if cfg.Zone, err = NewZone(ZoneConfig{Configured: time.UTC}); err != nil {
			return nil, err
		}
	}
	cfg.Every = cmp.Or(cfg.Every, 15*time.Minute)
	cfg.Overlap = cmp.Or(cfg.Overlap, 2*time.Hour)
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Minute)
	cfg.Hold = cmp.Or(cfg.Hold, 72*time.Hour)
	cfg.Rate = cmp.Or(cfg.Rate, 30)
	if cfg.Every < 0 || cfg.Overlap < 0 || cfg.Grace < 0 || cfg.Hold < 0 || cfg.Rate < 0 {
		return nil, errors.New("ingest: the times and the rate of a reconciler must be positive")
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

// lag returns the age of the position in seconds; 0 while it is unknown.
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
	Position  time.Time            `json:"position"`            // listed faxes with an earlier start are decided, except Undecided
	Due       time.Time            `json:"due"`                 // when the next pass begins, in any process
	Undecided map[string]time.Time `json:"undecided,omitempty"` // listed id: when it was first seen
	Since     time.Time            `json:"since,omitzero"`      // the first position; zero in notes of older versions
	Zone      string               `json:"zone,omitempty"`      // in which the passes up to Position asked; empty: UTC
}

// maxAgain is how far back a pass reads after another zone became known. It is one pass, which has to hold every record.
const maxAgain = 7 * 24 * time.Hour

// after returns where a pass in this zone begins.
func (p progress) after(zone string, overlap time.Duration, now time.Time) time.Time {
	after := p.Position.Add(-overlap)
	if zone == p.Zone {
		return after
	}
	first := now.Add(-maxAgain)
	if since := p.Since.Add(-overlap); since.After(first) {
		first = since
	}
	if first.Before(after) {
		return first
	}
	return after
}

// maxUndecided limits the note to about 50 KiB. With more undecided faxes a pass fails.
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

// step makes a pass if one is due, and returns how long to wait before the next step.
func (r *Reconciler) step(ctx context.Context) time.Duration {
	soon := min(r.cfg.Every, time.Minute)
	p, revision, err := r.load(ctx)
	if err != nil {
		r.warn(ctx, "NATS does not say until when faxes were compared with the provider's lists: it is asked again", err)
		return soon
	}
	now := time.Now().UTC()
	if wait := p.Due.Sub(now); wait > 0 {
		return min(wait, r.cfg.Every) // after a shorter interval, or a clock that was set back, an old due time is too late
	}
	p.Due = now.Add(r.cfg.Every)
	revision, ok, err := r.save(ctx, p, revision)
	if err != nil {
		r.warn(ctx, "NATS does not store when faxes are compared with the provider's lists: it is tried again", err)
		return soon
	}
	if !ok {
		return soon // another process was first; the next step reads its due time
	}
	zone := r.cfg.Zone.name() // before the pass: if it changes meanwhile, the next pass reads again
	after := p.after(zone, r.cfg.Overlap, now)
	if zone != p.Zone {
		r.cfg.Logger.Warn("another time zone of the provider is known than in earlier comparisons; faxes are looked for again, "+
			"for older ones run: faxstream reconcile --since TIME", "since", after, "was", cmp.Or(p.Zone, "UTC"), "is", cmp.Or(zone, "UTC"))
	}
	report, undecided := r.pass(ctx, after, now, p.Undecided, false)
	if report.err != nil {
		r.warn(ctx, "the provider's lists cannot be read: the next comparison looks at the same time again", report.err)
		return max(time.Until(p.Due), retryAfter(report.err))
	}
	before := p.Zone
	p.Position, p.Undecided, p.Zone = now, undecided, zone
	if err = r.move(ctx, p, before, revision); err != nil {
		r.warn(ctx, "NATS does not store until when faxes were compared with the provider's lists: the next comparison begins there again", err)
	}
	return time.Until(p.Due)
}

// errOther: a process that knows another zone of the provider is at work.
var errOther = errors.New("another process compares in another time zone of the provider")

// move stores the position of a pass. Another process may have begun a pass meanwhile, if this one took longer than the time between two:
// then the due time of that one stays. A position that is later than this one stays too: who came there has read all that this pass read.
func (r *Reconciler) move(ctx context.Context, p progress, before string, revision uint64) error {
	for {
		_, ok, err := r.save(ctx, p, revision)
		if ok || err != nil {
			return err
		}
		there, newer, err := r.load(ctx)
		switch {
		case err != nil:
			return err
		case there.Position.After(p.Position):
			return nil
		case there.Zone != before && there.Zone != p.Zone:
			return errOther
		}
		p.Due, revision = there.Due, newer
	}
}

func (r *Reconciler) warn(ctx context.Context, message string, err error) {
	if ctx.Err() == nil { // else the process stops
		r.cfg.Logger.Warn(message, "err", err)
	}
}

// retryAfter returns how long the provider asks us to wait; 0 if it does not say.
func retryAfter(err error) time.Duration {
	if e := (*faxplus.Error)(nil); errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// load reads the note. Without a note the position is now: older faxes are not ours.
func (r *Reconciler) load(ctx context.Context) (p progress, revision uint64, err error) {
	data, revision, err := r.cfg.Notes.Note(ctx, noteKey)
	if err == nil && data != nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return progress{}, 0, fmt.Errorf("read the note %q: %w", noteKey, err)
	}
	if p.Position.IsZero() {
		p.Position = time.Now().UTC()
		p.Since, p.Zone = p.Position, r.cfg.Zone.name()
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

// Check makes a pass by hand over the faxes that started since then. With dry it records nothing. It neither reads nor
// moves the position. If the report has an Error, the provider or a store failed during the pass, and Faxes is not
// complete.
func (r *Reconciler) Check(ctx context.Context, since time.Time, dry bool) Report {
	report, _ := r.pass(ctx, since, time.Now().UTC(), nil, dry)
	return report
}

// pass reads a time window and the undecided faxes, and decides on all of them.
func (r *Reconciler) pass(
	ctx context.Context, after, until time.Time, undecided map[string]time.Time, dry bool,
) (Report, map[string]time.Time) {
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
	// Decide on what was read in any case: a category whose list always fails must not hide the other one.
	d := decision{r: r, now: until, dry: dry, firstSeen: undecided, undecided: l.gone}
	decided := d.all(ctx, l.records)
	report.Faxes = append(report.Faxes, d.findings...)
	if len(d.undecided) > maxUndecided {
		decided = errors.Join(decided, fmt.Errorf("%d faxes are undecided; at most %d are remembered", len(d.undecided), maxUndecided))
	}
	report.fail(errors.Join(listed, decided))
	r.metrics.pass(report, ctx.Err() != nil)
	r.cfg.Logger.Info("compared the provider's faxes with ours", "since", report.Since, "faxes", len(report.Faxes),
		"fed_in", report.Count(OutcomeFed), "undecided", len(d.undecided), "dry_run", dry, "complete", report.err == nil)
	return report, d.undecided
}
