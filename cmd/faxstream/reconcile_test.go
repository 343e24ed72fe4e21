package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// silent is a fax that was over an hour ago and of which no webhook came.
func silent(t *testing.T, id string) faxplustest.Fax {
	t.Helper()
	whole := fixture(t, "three-pages-fine-g4")
	return faxplustest.Fax{Session: id, Pages: split(t, whole), Whole: whole, Streamed: true, StartTime: time.Now().UTC().Add(-time.Hour).Truncate(time.Second)}
}

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
	rec, err := ingest.NewReconciler(ingest.ReconcilerConfig{Provider: r.client, Sessions: r.bus, Notes: r.bus, Open: open, Rate: 60_000})
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
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	err := r.bus.Ledgers(ctx, func(s session.State) {
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
	needsWholeFiles(t)
	for _, spam := range []bool{false, true} {
		t.Run(fmt.Sprintf("spam %t", spam), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(t, r.bus, r.store, impatientPolicy, impatientRetry)
			f := silent(t, "fax")
			f.Spam = spam
			r.sim.Add(f)
			rec := r.reconciler(t)
			r.check(t, rec, ingest.OutcomeFed)
			s := r.await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil })
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
	needsWholeFiles(t)
	for name, order := range map[string][]int{"in order": {1, 2, 3, 0}, "the close first": {0, 3, 2, 1}, "the close alone": {0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(t, r.bus, r.store, impatientPolicy, impatientRetry)
			f := silent(t, "fax")
			r.sim.Add(f)
			rec := r.reconciler(t)
			r.check(t, rec, ingest.OutcomeFed)
			r.await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil })
			for _, page := range order {
				if page == 0 {
					r.record(t, faxplustest.ClosedEvent(f, "http://x"))
				} else {
					r.record(t, faxplustest.PageEvent(f, page, "http://x"))
				}
			}
			// Another fax, whose webhooks come after them, is complete: theirs were worked on too.
			other := silent(t, "other")
			other.FileID, other.StartTime = "other.tiff", other.StartTime.Add(-20*time.Minute)
			r.sim.Add(other)
			for _, body := range bodies(other, "http://x") {
				r.record(t, body)
			}
			r.await(t, "other", func(s session.State) bool { return s.Document != nil })
			r.await(t, f.Session, func(s session.State) bool { return len(s.Effects) == 0 || s.Close != nil })
			if got, want := r.documents(t), []string{f.ListedID(), "other"}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("documents of %v, want %v", got, want)
			}
			if s := r.await(t, f.ListedID(), func(s session.State) bool { return s.Document != nil }); s.Status() != session.StatusComplete {
				t.Errorf("the fax is %s", s.Status())
			}
		})
	}
}

// The other way round: the webhooks came, and the list names the fax by another id.
func TestAFaxWhoseWebhooksCameIsKnownByItsFile(t *testing.T) {
	needsWholeFiles(t)
	r := newRig(t)
	r.start(t, r.bus, r.store, impatientPolicy, impatientRetry)
	f := silent(t, "fax")
	r.sim.Add(f)
	for _, body := range bodies(f, "http://x") {
		r.record(t, body)
	}
	r.await(t, f.Session, func(s session.State) bool { return s.Document != nil })
	r.check(t, r.reconciler(t), ingest.OutcomeKnown)
	if got := r.documents(t); !slices.Equal(got, []string{"fax"}) {
		t.Errorf("documents of %v", got)
	}
}

func TestReconcileRunsByItself(t *testing.T) {
	sim, flags := newSimulator(t, faxplustest.Config{})
	f := silent(t, "fax")
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--list-every=1s", "--list-rate=6000", "--close-grace=1s")...)
	if got := p.awaitDocuments(f.ListedID())[f.ListedID()]; got.Status != session.StatusComplete || got.Archived != 3 {
		t.Errorf("the fax is %+v", got)
	}
	metrics := string(fetch(t, p.ready.Admin+"/metrics"))
	for _, want := range []string{`faxstream_reconciled_faxes_total{outcome="fed_in"} 1`, `faxstream_reconcile_passes_total{outcome="failed"} 0`, "faxstream_reconcile_lag_seconds "} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("metrics without %s", want)
		}
	}
}

func TestReconcileByHand(t *testing.T) {
	sim, flags := newSimulator(t, faxplustest.Config{})
	f := silent(t, "fax")
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--list-every=0", "--close-grace=1s")...)
	reconcile := func(args ...string) (int, string, string) {
		var stdout, stderr strings.Builder
		code := run(testContext(t), append([]string{"reconcile", "--server", p.ready.Admin}, args...), func(string) string { return "" }, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	for _, args := range [][]string{{}, {"--since=soon"}} {
		if code, _, _ := reconcile(args...); code != exitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	code, out, _ := reconcile("--since=30m")
	if lines := strings.Count(out, "\n"); code != exitOK || lines != 1 {
		t.Errorf("since before it started: exit code %d, %s", code, out)
	}
	code, out, notes := reconcile("--since=48h", "--dry-run")
	if code != exitOK || !strings.Contains(out, f.ListedID()) || !strings.Contains(out, " missing\n") || !strings.Contains(notes, "1 faxes listed") {
		t.Errorf("dry run: exit code %d, %s%s", code, out, notes)
	}
	if n := sim.Tries("fax", 0); n != 0 {
		t.Errorf("a dry run fetched the file %d times", n)
	}
	for _, want := range []string{ingest.OutcomeFed, ingest.OutcomeKnown} {
		var line ingest.Finding
		code, out, _ := reconcile("--since=48h", "--json")
		if err := json.Unmarshal([]byte(out), &line); err != nil || code != exitOK || line.Outcome != want || line.ID != f.ListedID() || line.Pages != 3 {
			t.Errorf("exit code %d, %s (%v), want %s", code, out, err, want)
		}
		p.awaitDocuments(f.ListedID())
	}
}

func TestReconcileSaysThatTheProviderCannotBeAsked(t *testing.T) {
	p := serve(t, nil, "--dir="+t.TempDir(), "--faxplus-url=http://127.0.0.1:1", "--faxplus-page-path=none", "--list-every=0")
	var stdout, stderr strings.Builder
	code := run(testContext(t), []string{"reconcile", "--server", p.ready.Admin, "--since=1h"}, func(string) string { return "" }, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "not every fax was looked at") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}
