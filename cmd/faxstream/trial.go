package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// trial is one simulated fax, what must become of it, and what has.
type trial struct {
	fax   faxplustest.Fax
	truth faxplustest.Truth
	state session.State
}

// wrong says how the fax differs from what it must be; empty when it does not.
func (t *trial) wrong() string {
	s, wrong := t.state, []string{}
	if !slices.Contains(t.truth.Statuses, s.Status()) {
		wrong = append(wrong, fmt.Sprintf("it is %s, want %s", s.Status(), strings.Join(t.truth.Statuses, " or ")))
	}
	for _, page := range slices.Sorted(maps.Keys(t.truth.Pages)) {
		if status, _, reason := s.PageStatus(page); !s.Expected().Has(page) || status != session.PageStatusArchived {
			wrong = append(wrong, fmt.Sprintf("page %d is %s (%s), want it archived", page, status, reason))
		}
	}
	for _, page := range t.truth.Missing {
		if status, _, _ := s.PageStatus(page); !s.Expected().Has(page) || status != session.PageStatusMissing {
			wrong = append(wrong, fmt.Sprintf("page %d is %s, want it missing", page, status))
		}
	}
	return strings.Join(wrong, "; ")
}

// with gives the trial with a newer state.
func (t *trial) with(s session.State) *trial { return &trial{t.fax, t.truth, s} }

// quiet reports whether the fax has a document and nothing is under way that could soon change it.
func (t *trial) quiet() bool {
	s := t.state
	return s.Document != nil && s.Ordered == s.Revision() && !s.WholeOpen && s.GraceAt.IsZero()
}

// runTrials sends the faxes and returns when every one is what it must be and nothing is under way any more, or when
// nothing has come of any of them for stall, which is longer than any wait of the app. assembled is called for each new document.
func runTrials(
	ctx context.Context, a *app, sim *simulator, faxes []faxplustest.Fax, stall time.Duration, assembled func(session.DocAssembled),
) ([]*trial, error) {
	ctx, cancel := context.WithCancel(ctx)
	sent, watched, states := make(chan error, 1), make(chan error, 1), make(chan session.State)
	go func() { sent <- sim.sendAll(ctx, a.webhookURL+ingest.Path, faxes) }()
	go func() {
		watched <- a.bus.Ledgers(ctx, func(s session.State) {
			select {
			case states <- s:
			case <-ctx.Done():
			}
		}, func() {})
	}()
	defer func() {
		cancel()
		for sent != nil || watched != nil {
			select {
			case <-sent:
				sent = nil
			case <-watched:
				watched = nil
			}
		}
	}()
	var trials []*trial
	bySession := map[string]*trial{}
	for _, f := range faxes {
		t := &trial{fax: f, truth: sim.Truth(f)}
		trials, bySession[f.Session] = append(trials, t), t
	}
	over := func(t *trial) bool { return t.wrong() == "" && t.quiet() }
	idle := time.NewTimer(stall)
	defer idle.Stop()
	for sent != nil || !all(trials, over) {
		select {
		case s := <-states:
			t := bySession[s.Session]
			if t == nil {
				continue
			}
			if t.wrong() != t.with(s).wrong() || s.Revision() != t.state.Revision() {
				idle.Reset(stall)
			}
			if s.Revision() > t.state.Revision() {
				assembled(*s.Document)
			}
			t.state = s
		case err := <-sent:
			if sent = nil; err != nil {
				return nil, err
			}
		case err := <-watched:
			watched = nil
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, err
		case <-idle.C:
			return trials, nil
		}
	}
	return trials, nil
}

func all[T any](list []T, f func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !f(v) })
}

// printTrials prints a line for each fax: what went wrong with it, and what became of it.
func printTrials(w io.Writer, trials []*trial) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSESSION\tPAGES\tFAULTS\tSTATUS\tMUST BE\t")
	for _, tr := range trials {
		var faults []string
		for _, f := range tr.fax.Faults {
			faults = append(faults, string(f))
		}
		verdict := tr.wrong()
		if verdict == "" {
			verdict = "ok"
		}
		fmt.Fprintf(t, "%.8s\t%d\t%s\t%s\t%s\t%s\n",
			tr.fax.Session, len(tr.fax.Pages), strings.Join(faults, " "), tr.state.Status(), strings.Join(tr.truth.Statuses, "|"), verdict)
	}
	return t.Flush()
}
