package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

func TestReconcileRunsByItself(t *testing.T) {
	t.Parallel()
	sim, flags := newSimulator(t, faxplustest.Config{})
	f := apptest.Silent(t, "fax")
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--list-every=1s", "--list-rate=6000", "--close-grace=1s")...)
	if got := p.awaitDocuments(f.ListedID())[f.ListedID()]; got.Status != session.StatusComplete || got.Archived != 3 {
		t.Errorf("the fax is %+v", got)
	}
	metrics := string(apptest.Fetch(t, p.ready.Admin+"/metrics"))
	for _, want := range []string{
		`faxstream_reconciled_faxes_total{outcome="fed_in"} 1`, `faxstream_reconcile_passes_total{outcome="failed"} 0`,
		"faxstream_reconcile_lag_seconds ",
	} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("metrics without %s", want)
		}
	}
}

func TestReconcileByHand(t *testing.T) {
	t.Parallel()
	sim, flags := newSimulator(t, faxplustest.Config{})
	f := apptest.Silent(t, "fax")
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--list-every=0", "--close-grace=1s")...)
	reconcile := func(args ...string) (int, string, string) {
		var stdout, stderr strings.Builder
		code := run(
			apptest.Context(t), append([]string{"reconcile", "--server", p.ready.Admin}, args...), func(string) string { return "" }, &stdout,
			&stderr,
		)
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
	if code != exitOK || !strings.Contains(out, f.ListedID()) || !strings.Contains(out, " missing\n") ||
		!strings.Contains(notes, "1 faxes listed") {
		t.Errorf("dry run: exit code %d, %s%s", code, out, notes)
	}
	if n := sim.Tries("fax", 0); n != 0 {
		t.Errorf("a dry run fetched the file %d times", n)
	}
	for _, want := range []string{ingest.OutcomeFed, ingest.OutcomeKnown} {
		var line ingest.Finding
		code, out, _ := reconcile("--since=48h", "--json")
		if err := json.Unmarshal([]byte(out), &line); err != nil || code != exitOK || line.Outcome != want || line.ID != f.ListedID() ||
			line.Pages != 3 {
			t.Errorf("exit code %d, %s (%v), want %s", code, out, err, want)
		}
		p.awaitDocuments(f.ListedID())
	}
}

func TestReconcileSaysThatTheProviderCannotBeAsked(t *testing.T) {
	t.Parallel()
	p := serve(t, nil, "--dir="+t.TempDir(), "--faxplus-url=http://127.0.0.1:1", "--faxplus-page-path=none", "--list-every=0")
	var stdout, stderr strings.Builder
	code := run(
		apptest.Context(t), []string{"reconcile", "--server", p.ready.Admin, "--since=1h"}, func(string) string { return "" }, &stdout, &stderr,
	)
	if code != exitFailed || !strings.Contains(stderr.String(), "some faxes were not compared") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}
