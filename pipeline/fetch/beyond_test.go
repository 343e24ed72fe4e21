package fetch_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// claiming is a Desk where every session owns what it claims.
type claiming struct{ *pipelinetest.Desk }

func (claiming) Claim(_ context.Context, _, _, id string) (string, error) { return id, nil }

// wholeOnly is a provider that has one whole file and nothing else.
type wholeOnly struct {
	fetch.Provider
	file []byte
}

func (p wholeOnly) File(_ context.Context, _ string, into fetch.File) error {
	_, err := into.Write(p.file)
	return err
}

// ordered carries out an order for a whole file of three pages. It returns what the order ended with, the events, and the observed steps.
func ordered(t *testing.T, order session.WholeOrdered) (session.WholeDone, *pipelinetest.Desk, []stage.Step) {
	t.Helper()
	d, _ := pipelinetest.NewDesk(t)
	var steps []stage.Step
	w := fetch.New(fetch.Config{
		Bus: claiming{d}, Provider: wholeOnly{file: pipelinetest.Testdata(t, "three-pages-fine-g4.tiff")}, Log: slog.New(slog.DiscardHandler),
		Pages: intake.Pages{
			Facts: d, Archive: d, Decoder: intake.NewDecoder(1),
			Observe: func(_ context.Context, s stage.Step) {
				d.Mu.Lock()
				defer d.Mu.Unlock()
				steps = append(steps, s)
			},
		},
	})
	body, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.New("no durable takes orders for whole files")
	for _, c := range w.Consumptions(1) {
		if c.Consumer.Durable == "whole" {
			err = c.Handle(t.Context(), bus.Delivery{Data: body, Time: time.Now(), Tries: 1})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	done := session.WholeDone{Session: order.Session, ToToken: "15550100", N: order.N, Object: &session.Object{}}
	if err := json.Unmarshal(d.Events[done.Subject()], &done); err != nil {
		t.Fatalf("the order did not end: %v", err)
	}
	return done, d, steps
}

// Pages of the whole file that the close does not count were sent: they are published though nobody asked for them, and a metric and the
// end of the order say which they are. A page beyond the count that was streamed is not cut a second time.
func TestPagesBeyondTheCountAreTaken(t *testing.T) {
	for _, c := range []struct {
		name            string
		counted         int
		wanted, compare session.Ranges
		beyond, cut     session.Ranges
	}{
		{name: "as counted", counted: 3, wanted: session.Span(2, 2), cut: session.Span(2, 2)},
		{name: "the count is unknown", wanted: session.Span(2, 2), cut: session.Span(2, 2)},
		{name: "fewer are counted", counted: 1, wanted: session.Span(1, 1), beyond: session.Span(2, 3), cut: session.Span(1, 3)},
		{name: "one beyond was streamed", counted: 1, compare: session.Span(1, 2), beyond: session.Span(2, 3), cut: session.Span(3, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			done, d, steps := ordered(t, session.WholeOrdered{
				Session: "new", N: 1, To: "+15550100", Wanted: c.wanted, Compare: c.compare, Counted: c.counted, Revision: 1, TryFor: time.Minute,
			})
			var cut session.Ranges
			for page := 1; page <= 3; page++ {
				if _, ok := d.Events[(session.PageArchived{ToToken: "15550100", Session: "new", Page: page}).Subject()]; ok {
					cut = cut.Add(page)
				}
			}
			if done.Pages != 3 || done.Beyond.Text() != c.beyond.Text() || cut.Text() != c.cut.Text() {
				t.Errorf("of %d pages in the file %q are beyond the count and %q published, want %q and %q",
					done.Pages, done.Beyond.Text(), cut.Text(), c.beyond.Text(), c.cut.Text())
			}
			marked := 0
			for _, s := range steps {
				if s.Stage == stage.Whole && s.Reason == session.RecoveredBeyond {
					marked++
				}
			}
			if want := min(len(c.beyond), 1); marked != want {
				t.Errorf("%d steps say that the file has more pages than counted, want %d", marked, want)
			}
		})
	}
}
