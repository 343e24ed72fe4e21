package session

import (
	"slices"
	"testing"
	"time"
)

// A session whose ledger is lost comes back from its newest revision: what was known changes nothing, what is new does.
func TestRestoredSessionsGoOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []step // up to the last document
		again   []step // the webhooks, once more
		more    []step
		want    []string // of more
	}{
		{
			"complete",
			[]step{announced(1, 2), archivedPages(1, 2), success(2), assembled(1)},
			[]step{announced(1, 2), success(2)},
			[]step{announced(3), archivedPages(3), assembled(2)},
			[]string{"grace timer", "ready 2 complete 1-3"},
		},
		{
			"partial, a page missing",
			[]step{announced(1, 2), archivedPages(1), success(2), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1)},
			[]step{success(2), announced(1, 2)},
			[]step{archivedPages(2), assembled(2)},
			[]string{"ready 2 complete 1-2"},
		},
		{
			"recovered",
			[]step{announced(1, 2), archivedPages(1), success(2), due(TimerGrace), cutPages(2), wholeCut(1, 2, nil), assembled(1)},
			[]step{announced(1, 2), success(2)},
			nil, nil,
		},
		{
			"never streamed", []step{success(2), due(TimerGrace), cutPages(1, 2), wholeCut(1, 2, nil), assembled(1)}, []step{success(2)}, nil, nil,
		},
		{
			"partial without a close",
			[]step{announced(1), archivedPages(1), due(TimerIdle), assembled(1)},
			[]step{announced(1)},
			[]step{success(1), assembled(2)},
			[]string{"ready 2 complete 1-1"},
		},
		{
			"partially received, then success",
			[]step{announced(1), archivedPages(1), closing(Closed{Status: "partially_received", Pages: 1, File: "f"}), assembled(1)},
			[]step{closing(Closed{Status: "partially_received", Pages: 1, File: "f"})},
			[]step{success(1), assembled(2)},
			[]string{"ready 2 complete 1-1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := play(t, streaming(), c.history...)
			restored := restoreOf(t, h)
			h.state, h.said = restored, nil
			for _, s := range c.again {
				s(h)
			}
			for _, said := range h.said {
				if said != "grace timer" && said != "idle timer" {
					t.Errorf("what was known asks for %q", said)
				}
			}
			if h.state.Status() != restored.Status() || h.state.Revision() != 1 {
				t.Errorf("the fax is %s, revision %d; it was %s", h.state.Status(), h.state.Revision(), restored.Status())
			}
			h.said = nil
			for _, s := range c.more {
				s(h)
			}
			if !slices.Equal(h.said, c.want) {
				t.Errorf("asked for %q, want %q", h.said, c.want)
			}
		})
	}
}

// restoreOf is what Restore makes of the last order of a history, as its plan and manifest keep it.
func restoreOf(t *testing.T, h *history) State {
	t.Helper()
	var ready *DocReady
	for _, e := range h.state.Effects {
		if e.Ready != nil {
			ready = e.Ready
		}
	}
	if ready == nil {
		t.Fatal("no document was ordered")
	}
	var pages []PageArchived
	for page := range ready.Pages.All() {
		f := PageArchived{Session: testSession, Page: page, Source: SourceFetch, BodySHA256: "b"}
		if h.state.Cut.Has(page) {
			f.Source, f.BodySHA256 = SourceWholeFile, ""
		}
		pages = append(pages, f)
	}
	doc := *h.state.Document
	return Restore(*ready, doc, pages, testStart.Add(time.Minute))
}
