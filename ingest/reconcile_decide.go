package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// The decisions on a listed fax.
const (
	OutcomeKnown      = "known"       // a session has it
	OutcomeFed        = "fed_in"      // no webhook announced it: the pass recorded its close
	OutcomeMissing    = "missing"     // the same in a dry run: nothing is recorded
	OutcomeInProgress = "in_progress" // on the line; a later pass decides
	OutcomeYoung      = "too_young"   // over, but its webhook may still come; a later pass decides
	OutcomeOpen       = "open"        // probably the one open session with its numbers and start; a later pass decides
	OutcomeAmbiguous  = "ambiguous"   // several faxes or open sessions with the same numbers and start; a later pass decides
	OutcomeUnusable   = "unusable"    // its id is not a valid session id: look at it at the provider
	OutcomeGivenUp    = "given_up"    // undecided for longer than ReconcilerConfig.Hold: look at it at the provider
	OutcomeOutgoing   = "outgoing"    // a sent fax in a list of received faxes
)

func outcomes() []string {
	return []string{
		OutcomeKnown, OutcomeFed, OutcomeMissing, OutcomeInProgress, OutcomeYoung, OutcomeOpen, OutcomeAmbiguous,
		OutcomeUnusable, OutcomeGivenUp, OutcomeOutgoing,
	}
}

// Finding is a listed fax and the decision on it.
type Finding struct {
	ID       string    `json:"id"` // the listed id
	Start    time.Time `json:"start_time,omitzero"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Status   string    `json:"status"` // the provider's
	Pages    int       `json:"pages"`
	Outcome  string    `json:"outcome"`            // one of the Outcome constants
	Sessions []string  `json:"sessions,omitempty"` // the sessions that the fax is, or may be
}

// Report has the findings of a pass, in the order of the faxes' start times.
type Report struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	DryRun bool      `json:"dry_run"`
	Faxes  []Finding `json:"faxes"`
	Error  string    `json:"error,omitempty"` // why Faxes is not complete
	err    error
}

func (r *Report) fail(err error) {
	if r.err = err; err != nil {
		r.Error = err.Error()
	}
}

// Count returns how many faxes have this outcome.
func (r *Report) Count(outcome string) int {
	n := 0
	for _, f := range r.Faxes {
		if f.Outcome == outcome {
			n++
		}
	}
	return n
}

// decision has the state of one pass while it decides on the records.
type decision struct {
	r         *Reconciler
	now       time.Time
	dry       bool
	firstSeen map[string]time.Time // the undecided faxes of the last pass
	undecided map[string]time.Time // the undecided faxes of this pass
	findings  []Finding
}

// all decides on every record. The facts of lost faxes are stored when it returns. It ends at the first error of a store.
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

// one decides on a record, without a look at the others.
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
		wall := faxplus.ToWall(rec.StartTime, d.r.cfg.Zone.Location())
		if like := d.r.cfg.Open.like(rec.From, rec.To, rec.StartTime, wall); len(like) > 0 {
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
	if repeat { // an earlier pass recorded it; its ledger does not exist yet
		return OutcomeKnown, []string{rec.ID}, nil
	}
	d.r.cfg.Logger.Warn("found a fax at the provider that no webhook announced; its close is recorded now", "session", rec.ID,
		"from", session.MaskNumber(rec.From), "to", session.MaskNumber(rec.To), "start", rec.StartTime, "status", rec.Status)
	return OutcomeFed, []string{rec.ID}, nil
}

// owner returns the session that has claimed the id or the file of a listed fax; empty: none. lostClose: a session with
// the listed id itself exists, so it is surely this fax, and its close never came.
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
	longestCall = 2 * time.Hour // the longest call that is estimated from a page count
	unsure      = 6 * time.Hour // after its start: then a fax with an unknown status counts as over
)

// over returns the estimated end of a fax plus the grace time.
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

// seen returns when a fax was first undecided.
func (d *decision) seen(id string) time.Time {
	if at, ok := d.firstSeen[id]; ok {
		return at
	}
	return d.now
}

// mark changes open to ambiguous where several faxes or sessions match, gives up faxes that are undecided for too long,
// logs the alerts, and stores which faxes are undecided.
func (d *decision) mark() {
	claims := map[string]int{} // session: number of faxes that match it
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
				log.Error(undecidedTooLong, "fax", f.ID, "first_seen", seen, "was", f.Outcome, "sessions", f.Sessions)
				f.Outcome = OutcomeGivenUp
				continue
			}
			d.undecided[f.ID] = seen
		}
		switch f.Outcome {
		case OutcomeAmbiguous:
			log.Error("a listed fax matches several open sessions, or several faxes match one session; "+
				"it waits until the closes or records of the sessions name their files", "fax", f.ID, "sessions", f.Sessions)
		case OutcomeUnusable:
			log.Error("a listed fax has an id that is not a valid session id: look at it at the provider",
				"fax", fmt.Sprintf("%.64q", f.ID), "start", f.Start)
		}
	}
}

const undecidedTooLong = "a listed fax was undecided for too long and is given up: look at it at the provider"
