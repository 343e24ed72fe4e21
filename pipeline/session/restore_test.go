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

// Only a fax of which nothing is open may leave, and a restored ledger is the same fax only if nothing that matters is lost.
func TestARestoredLedgerIsComparedWithTheOneThatWas(t *testing.T) {
	quiet := func(h *history) {
		h.state.Effects = nil // as after the next event
		h.state.IdleAt = time.Time{}
	}
	h := play(t, streaming(), announced(1, 2), archivedPages(1, 2), success(2), assembled(1))
	restored := restoreOf(t, h)
	if h.state.Finished() {
		t.Error("a fax with a timer is finished")
	}
	quiet(h)
	if !h.state.Finished() {
		t.Fatalf("the fax is not finished: %+v", h.state)
	}
	if differs, err := h.state.Unlike(restored, streaming()); err != nil || differs != "" {
		t.Errorf("the restored fax has another %s, %v", differs, err)
	}
	all := streaming()
	all.Reconcile = ReconcileAll
	if differs, err := h.state.Unlike(restored, all); err != nil || differs != "" {
		t.Errorf("a comparison that is due for both differs: %s, %v", differs, err)
	}
	for want, change := range map[string]func(s *State){
		"direction and numbers":          func(s *State) { s.To = "+1" },
		"document":                       func(s *State) { s.Document = &DocAssembled{Revision: 1, Status: StatusPartial} },
		"close":                          func(s *State) { s.Close = nil },
		"other closes":                   func(s *State) { s.OtherCloses = []Closed{{Session: testSession}} },
		"order of the document":          func(s *State) { s.Planned = "" },
		"pages":                          func(s *State) { s.Cut = s.Cut.Add(2) },
		"comparison with the whole file": func(s *State) { s.Agreed = Span(1, 2) },
		"hold":                           func(s *State) { s.Held = true },
		"work":                           func(s *State) { s.Work.Note = "call" },
		"open work":                      func(s *State) { s.Effects = []Effect{{Ask: &RecordAsked{}}} },
	} {
		other := restored.clone()
		change(&other)
		if differs, err := h.state.Unlike(other, streaming()); err != nil || differs != want {
			t.Errorf("a restored fax with another %s: %q, %v", want, differs, err)
		}
	}
	for what, change := range map[string]func(s *State){
		"an order":        func(s *State) { s.Ordered++ },
		"a whole file":    func(s *State) { s.WholeOpen = true },
		"a question":      func(s *State) { s.Asking = true },
		"a page":          func(s *State) { s.Unbound = Span(1, 1) },
		"an effect":       func(s *State) { s.Effects = []Effect{{Rebind: Span(1, 1)}} },
		"a timer":         func(s *State) { s.GraceAt = testStart },
		"a choice":        func(s *State) { s.Differing = Span(1, 1) },
		"another session": func(s *State) { s.FoldedInto = "s2" },
		"no document":     func(s *State) { s.Document = nil },
		"neither an end":  func(s *State) { s.Close = nil },
	} {
		open := h.state.clone()
		change(&open)
		if open.Finished() {
			t.Errorf("a fax with %s is finished", what)
		}
	}
}

// A missing page is missing for the same reason after a restore, or the ledger stays.
func TestTheReasonOfAMissingPageMatters(t *testing.T) {
	lacking := func(announced step) *history {
		return play(t, streaming(), announced, archivedPages(1), success(2), due(TimerGrace), wholeFailed(1, ReasonNotYet), assembled(1))
	}
	h := lacking(announced(1))
	restored := restoreOf(t, h)
	h.state.Effects, h.state.IdleAt = nil, time.Time{}
	if differs, err := h.state.Unlike(restored, streaming()); err != nil || differs != "" {
		t.Errorf("the restored fax has another %s, %v", differs, err)
	}
	h.play(failing(2, ReasonTooLarge, true))
	h.state.Effects = nil
	if differs, err := h.state.Unlike(restored, streaming()); err != nil || differs != "reasons of missing pages" {
		t.Errorf("a page that is too large: %q, %v", differs, err)
	}
	h = lacking(announced(1, 2)) // the archive does not know that page 2 was announced
	restored = restoreOf(t, h)
	h.state.Effects, h.state.IdleAt = nil, time.Time{}
	if differs, err := h.state.Unlike(restored, streaming()); err != nil || differs != "announced pages" {
		t.Errorf("an announced page that is missing: %q, %v", differs, err)
	}
}
