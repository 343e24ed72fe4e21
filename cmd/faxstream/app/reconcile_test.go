package app

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

func needsWholeFiles(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("several documents from whole files: runs without -short")
	}
}

// reconciler is the rig's, in a hurry.
func (r *rig) reconciler(t *testing.T) *ingest.Reconciler {
	t.Helper()
	open := &ingest.OpenSessions{}
	rec, err := ingest.NewReconciler(ingest.ReconcilerConfig{Provider: r.Client, Sessions: r.Bus, Notes: r.Bus, Open: open, Rate: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (r *rig) check(t *testing.T, rec *ingest.Reconciler, want string) {
	t.Helper()
	report := rec.Check(t.Context(), time.Now().Add(-48*time.Hour), false)
	if report.Error != "" || len(report.Faxes) != 1 || report.Faxes[0].Outcome != want {
		t.Errorf("the reconciler reports %+v, want %s", report, want)
	}
}

// documents gives the sessions that have a document.
func (r *rig) documents(t *testing.T) []string {
	t.Helper()
	var ids []string
	ctx, cancel := context.WithCancel(apptest.Context(t))
	defer cancel()
	err := r.Bus.Ledgers(ctx, func(s session.State) {
		if s.Document != nil || s.Ordered > 0 {
			ids = append(ids, s.Session)
		}
	}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestAFaxWithoutAnyWebhookIsFoundAndComplete(t *testing.T) {
	t.Parallel()
	needsWholeFiles(t)
	for _, spam := range []bool{false, true} {
		t.Run(fmt.Sprintf("spam %t", spam), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
			f := apptest.Silent(t, "fax")
			f.Spam = spam
			r.Sim.Add(f)
			rec := r.reconciler(t)
			r.check(t, rec, ingest.OutcomeFed)
			s := r.Await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil })
			if s.Status() != session.StatusComplete || s.Usable.Len() != 3 || s.Cut.Len() != 3 || s.From == "" || s.Direction != session.Incoming {
				t.Errorf("the fax is %s: %+v", s.Status(), s)
			}
			r.check(t, rec, ingest.OutcomeKnown)
			if got := r.documents(t); len(got) != 1 {
				t.Errorf("documents of %v", got)
			}
		})
	}
}

// Webhooks that come days late bring no second document, in whatever order they come.
func TestLateWebhooksOfAFaxThatWasFoundBringNoSecondDocument(t *testing.T) {
	t.Parallel()
	needsWholeFiles(t)
	for name, order := range map[string][]int{"in order": {1, 2, 3, 0}, "the close first": {0, 3, 2, 1}, "the close alone": {0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
			f := apptest.Silent(t, "fax")
			r.Sim.Add(f)
			rec := r.reconciler(t)
			r.check(t, rec, ingest.OutcomeFed)
			r.Await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil })
			for _, page := range order {
				if page == 0 {
					r.Record(t, faxplustest.ClosedEvent(f, "http://x"))
				} else {
					r.Record(t, faxplustest.PageEvent(f, page, "http://x"))
				}
			}
			// Another fax, whose webhooks come after them, is complete: theirs were worked on too.
			other := apptest.Silent(t, "other")
			other.FileID, other.StartTime = "other.tiff", other.StartTime.Add(-20*time.Minute)
			r.Sim.Add(other)
			for _, body := range apptest.Bodies(other, "http://x") {
				r.Record(t, body)
			}
			r.Await(t, "other", func(s session.State) bool { return s.Document != nil })
			r.Await(t, f.Session, func(s session.State) bool { return len(s.Effects) == 0 || s.Close != nil })
			if got, want := r.documents(t), []string{f.ListedID(), "other"}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("documents of %v, want %v", got, want)
			}
			if s := r.Await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil }); s.Status() != session.StatusComplete {
				t.Errorf("the fax is %s", s.Status())
			}
		})
	}
}

// The other way round: the webhooks came, and the list names the fax by another id.
func TestAFaxWhoseWebhooksCameIsKnownByItsFile(t *testing.T) {
	t.Parallel()
	needsWholeFiles(t)
	r := newRig(t)
	r.Start(t, r.Bus, r.Store, apptest.ImpatientPolicy(), apptest.ImpatientRetry())
	f := apptest.Silent(t, "fax")
	r.Sim.Add(f)
	for _, body := range apptest.Bodies(f, "http://x") {
		r.Record(t, body)
	}
	r.Await(t, f.Session, func(s session.State) bool { return s.Document != nil })
	r.check(t, r.reconciler(t), ingest.OutcomeKnown)
	if got := r.documents(t); !slices.Equal(got, []string{"fax"}) {
		t.Errorf("documents of %v", got)
	}
}
