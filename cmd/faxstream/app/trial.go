package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Trial is one simulated fax: its expected result, and its state.
type Trial struct {
	Fax   faxplustest.Fax
	Truth faxplustest.Truth
	State session.State
}

// Wrong says how the fax differs from its expected result; empty: it does not.
func (t *Trial) Wrong() string {
	s, wrong := t.State, []string{}
	if !slices.Contains(t.Truth.Statuses, s.Status()) {
		wrong = append(wrong, fmt.Sprintf("the fax is %s, expected %s", s.Status(), strings.Join(t.Truth.Statuses, " or ")))
	}
	for _, page := range slices.Sorted(maps.Keys(t.Truth.Pages)) {
		if status, _, reason := s.PageStatus(page); !s.Expected().Has(page) || status != session.PageStatusArchived {
			wrong = append(wrong, fmt.Sprintf("page %d is %s (%s), expected archived", page, status, reason))
		}
	}
	for _, page := range t.Truth.Missing {
		if status, _, _ := s.PageStatus(page); !s.Expected().Has(page) || status != session.PageStatusMissing {
			wrong = append(wrong, fmt.Sprintf("page %d is %s, expected missing", page, status))
		}
	}
	return strings.Join(wrong, "; ")
}

// with gives the trial with a newer state.
func (t *Trial) with(s session.State) *Trial { return &Trial{t.Fax, t.Truth, s} }

// quiet reports whether the fax has a document and no work is left that could change it soon.
func (t *Trial) quiet() bool {
	s := t.State
	return s.Document != nil && s.Ordered == s.Revision() && !s.WholeOpen && s.GraceAt.IsZero()
}

// RunTrials sends the faxes. It returns when every fax is as expected and no work is left, or when none of them has changed for stall,
// which is longer than any wait of the app. assembled is called for each new document.
func RunTrials(
	ctx context.Context, a *App, sim *faxgen.Simulator, faxes []faxplustest.Fax, stall time.Duration, assembled func(session.DocAssembled),
) ([]*Trial, error) {
	ctx, cancel := context.WithCancel(ctx)
	sent, watched, states := make(chan error, 1), make(chan error, 1), make(chan session.State)
	go func() { sent <- sim.SendAll(ctx, a.webhookURL+ingest.Path, faxes) }()
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
	var trials []*Trial
	bySession := map[string]*Trial{}
	for _, f := range faxes {
		t := &Trial{Fax: f, Truth: sim.Truth(f)}
		trials, bySession[f.Session] = append(trials, t), t
	}
	over := func(t *Trial) bool { return t.Wrong() == "" && t.quiet() }
	idle := time.NewTimer(stall)
	defer idle.Stop()
	for sent != nil || !all(trials, over) {
		select {
		case s := <-states:
			t := bySession[s.Session]
			if t == nil {
				continue
			}
			if t.Wrong() != t.with(s).Wrong() || s.Revision() != t.State.Revision() {
				idle.Reset(stall)
			}
			if s.Revision() > t.State.Revision() {
				assembled(*s.Document)
			}
			t.State = s
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
