package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// What a pass makes of a listed fax.
const (
	OutcomeKnown      = "known"       // a session has it
	OutcomeFed        = "fed_in"      // no webhook announced it: now it is announced
	OutcomeMissing    = "missing"     // the same in a dry run: it would be fed in
	OutcomeInProgress = "in_progress" // on the line; a later pass decides
	OutcomeYoung      = "too_young"   // over, but its webhook may still come; a later pass decides
	OutcomeOpen       = "open"        // probably the one open session with its numbers and start; a later pass decides
	OutcomeAmbiguous  = "ambiguous"   // several faxes and open sessions with the same numbers and start; a later pass decides
	OutcomeUnusable   = "unusable"    // its id cannot be a session's: look at it at the provider
	OutcomeGivenUp    = "given_up"    // not decided for ReconcilerConfig.Hold: look at it at the provider
	OutcomeOutgoing   = "outgoing"    // a sent fax in a list of received ones
)

func outcomes() []string {
	return []string{
		OutcomeKnown, OutcomeFed, OutcomeMissing, OutcomeInProgress, OutcomeYoung, OutcomeOpen, OutcomeAmbiguous,
		OutcomeUnusable, OutcomeGivenUp, OutcomeOutgoing,
	}
}

// Finding is a listed fax and what a pass made of it.
type Finding struct {
	ID       string    `json:"id"` // listed
	Start    time.Time `json:"start_time,omitzero"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Status   string    `json:"status"` // the provider's
	Pages    int       `json:"pages"`
	Outcome  string    `json:"outcome"`
	Sessions []string  `json:"sessions,omitempty"` // whose it is, or may be
}

// Report is what a pass found, in the order of the faxes' starts.
type Report struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	DryRun bool      `json:"dry_run"`
	Faxes  []Finding `json:"faxes"`
	Error  string    `json:"error,omitempty"` // why Faxes is not all
	err    error
}

func (r *Report) fail(err error) {
	if r.err = err; err != nil {
		r.Error = err.Error()
	}
}

// Count is how many faxes have an outcome.
func (r *Report) Count(outcome string) int {
	n := 0
	for _, f := range r.Faxes {
		if f.Outcome == outcome {
			n++
		}
	}
	return n
}

// decision decides on the records of one pass.
type decision struct {
	r         *Reconciler
	now       time.Time
	dry       bool
	firstSeen map[string]time.Time // the undecided faxes of the last pass
	undecided map[string]time.Time // of this one
	findings  []Finding
}

// all decides on every record. What is fed in is stored when it returns. It goes on to the next record only when the
// stores answered for the last one.
func (d *decision) all(ctx context.Context, records map[string]faxplus.Record) error {
	order := make([]faxplus.Record, 0, len(records))
	for _, rec := range records {
		order = append(order, rec)
	}
	slices.SortFunc(order, func(a, b faxplus.Record) int {
		if c := a.StartTime.Compare(b.StartTime); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	var err error
	for _, rec := range order {
		f := Finding{ID: rec.ID, Start: rec.StartTime, From: rec.From, To: rec.To, Status: rec.Status, Pages: rec.Pages}
		if f.Outcome, f.Sessions, err = d.one(ctx, rec); err != nil {
			err = fmt.Errorf("fax %.64q: %w", rec.ID, err)
			break
		}
		d.findings = append(d.findings, f)
	}
	d.mark()
	return err
}

// one decides on a record by itself.
func (d *decision) one(ctx context.Context, rec faxplus.Record) (outcome string, sessions []string, err error) {
	fact, ok := rec.Closed()
	switch {
	case rec.Direction == session.Outgoing:
		return OutcomeOutgoing, nil, nil
	case !ok:
		return OutcomeUnusable, nil, nil
	}
	owner, lostClose, err := d.owner(ctx, rec)
	switch {
	case err != nil:
		return "", nil, err
	case owner != "" && !lostClose:
		return OutcomeKnown, []string{owner}, nil
	case !rec.Terminal():
		return OutcomeInProgress, nil, nil
	case d.now.Before(d.over(rec)):
		return OutcomeYoung, nil, nil
	}
	if !lostClose {
		if like := d.r.cfg.Open.like(rec.From, rec.To, rec.StartTime); len(like) > 0 {
			slices.Sort(like)
			return OutcomeOpen, like, nil
		}
	}
	if d.dry {
		return OutcomeMissing, nil, nil
	}
	repeat, err := d.r.cfg.Sessions.Record(ctx, fact)
	if err != nil {
		return "", nil, err
	}
	if repeat { // fed in before; its ledger is about to be
		return OutcomeKnown, []string{rec.ID}, nil
	}
	d.r.cfg.Logger.Warn("a fax that no webhook announced was found at the provider and taken in", "session", rec.ID,
		"from", session.MaskNumber(rec.From), "to", session.MaskNumber(rec.To), "start", rec.StartTime, "status", rec.Status)
	return OutcomeFed, []string{rec.ID}, nil
}

// owner gives the session that a listed fax is known by: its id's, or its file's. lostClose: it has the listed id itself,
// so that there is no doubt, and its close never came.
func (d *decision) owner(ctx context.Context, rec faxplus.Record) (owner string, lostClose bool, err error) {
	for _, name := range [][2]string{{session.AliasListed, rec.ID}, {session.AliasFile, rec.File}} {
		if name[1] == "" {
			continue
		}
		if owner, err = d.r.cfg.Sessions.Owner(ctx, name[0], name[1]); owner != "" || err != nil {
			return owner, false, err
		}
	}
	st, _, err := d.r.cfg.Sessions.Load(ctx, rec.ID)
	if err != nil || st.Opened.IsZero() {
		return "", false, err
	}
	return rec.ID, st.Close == nil && st.FoldedInto == "", nil
}

const (
	longestCall = 2 * time.Hour // beyond it a page count is not believed to say how long a fax took
	unsure      = 6 * time.Hour // since the start: then a fax of unknown status is over, whatever the word means
)

// over is when a fax has been over for the grace, as far as that can be told.
func (d *decision) over(rec faxplus.Record) time.Time {
	start := rec.StartTime
	if start.IsZero() { // the provider does not say
		start = d.seen(rec.ID)
	}
	if !rec.StatusKnown() {
		return start.Add(unsure)
	}
	return start.Add(min(time.Duration(rec.Pages)*perPage, longestCall) + d.r.cfg.Grace)
}

// seen is when a fax was first seen undecided.
func (d *decision) seen(id string) time.Time {
	if at, ok := d.firstSeen[id]; ok {
		return at
	}
	return d.now
}

// mark tells ambiguous from open, gives up what is too old, raises the alerts, and notes what is undecided.
func (d *decision) mark() {
	claims := map[string]int{} // by session: how many faxes may be it
	for _, f := range d.findings {
		if f.Outcome == OutcomeOpen {
			for _, s := range f.Sessions {
				claims[s]++
			}
		}
	}
	log := d.r.cfg.Logger
	for i := range d.findings {
		f := &d.findings[i]
		if f.Outcome == OutcomeOpen && (len(f.Sessions) > 1 || claims[f.Sessions[0]] > 1) {
			f.Outcome = OutcomeAmbiguous
		}
		switch f.Outcome {
		case OutcomeInProgress, OutcomeYoung, OutcomeOpen, OutcomeAmbiguous:
			seen := d.seen(f.ID)
			if d.now.Sub(seen) > d.r.cfg.Hold {
				log.Error("a listed fax could not be decided for too long: look at it at the provider", "fax", f.ID, "first_seen", seen, "was", f.Outcome, "sessions", f.Sessions)
				f.Outcome = OutcomeGivenUp
				continue
			}
			d.undecided[f.ID] = seen
		}
		switch f.Outcome {
		case OutcomeAmbiguous:
			log.Error("nobody can say which open session a listed fax is; it waits until their closes or records name their files", "fax", f.ID, "sessions", f.Sessions)
		case OutcomeUnusable:
			log.Error("a listed fax has an id that no session can have: look at it at the provider", "fax", fmt.Sprintf("%.64q", f.ID), "start", f.Start)
		}
	}
}

type reconcileMetrics struct {
	faxes  *prometheus.CounterVec
	passes *prometheus.CounterVec
}

func newReconcileMetrics(reg prometheus.Registerer, lag func() float64) (*reconcileMetrics, error) {
	m := &reconcileMetrics{
		faxes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_reconciled_faxes_total",
			Help: "Faxes in the provider's lists by what was made of them; one counts in every pass that sees it.",
		}, []string{"outcome"}),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_reconcile_passes_total",
			Help: "Comparisons with the provider's lists; failed: not read whole, the same window comes again.",
		}, []string{"outcome"}),
	}
	for _, outcome := range outcomes() {
		m.faxes.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"complete", "failed"} {
		m.passes.WithLabelValues(outcome)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.faxes, m.passes, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_reconcile_lag_seconds",
		Help: "Age of the last complete comparison with the provider's lists; 0 while none is known or it is off.",
	}, lag)} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("ingest: metrics: %w", err)
		}
	}
	return m, nil
}

// pass counts a pass; one that was cut off by its caller is neither complete nor failed.
func (m *reconcileMetrics) pass(r Report, cutOff bool) {
	for _, f := range r.Faxes {
		m.faxes.WithLabelValues(f.Outcome).Inc()
	}
	switch {
	case r.err == nil:
		m.passes.WithLabelValues("complete").Inc()
	case !cutOff:
		m.passes.WithLabelValues("failed").Inc()
	}
}
