package document_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
	"github.com/faxstream/faxstream/pipeline/verify"
)

// settled checks that there is one revision and its event, and that the software that made it can verify it.
func settled(t *testing.T, d *pipelinetest.Desk) archive.Manifest {
	t.Helper()
	var m archive.Manifest
	made, data, err := archive.LoadJSON(t.Context(), d, "faxes/fax/r1/manifest.json", &m)
	if err != nil || !made {
		t.Fatalf("no manifest: %v", err)
	}
	f, err := verify.Checker{
		Archive: d, Software: m.Software, ScratchDir: t.TempDir(),
		Log: slog.New(slog.DiscardHandler),
	}.Session(t.Context(), "fax")
	if err != nil || len(f.Faults) > 0 || f.Remade != 1 {
		t.Errorf("the archive is not right: %+v, %v", f, err)
	}
	want := m.Event(archive.NewObject("faxes/fax/r1/manifest.json", int64(len(data)), sha256.Sum256(data)))
	payload, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.Events[want.Subject()], payload) || len(d.Events) != 1 {
		t.Errorf("events: %s, want %s", d.Events, payload)
	}
	for _, wrong := range d.Wrong {
		t.Error(wrong)
	}
	return m
}

// Each write of an assembly fails once, or fails though it was done; then the same program or a newer one is given the order again.
func TestAssemblyHealsAtEveryWrite(t *testing.T) {
	t.Parallel()
	clean, order := pipelinetest.NewDesk(t)
	now := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	if err := pipelinetest.Assemble(t.Context(), clean.AssemblerOf(t, "v1"), order, now); err != nil {
		t.Fatal(err)
	}
	settled(t, clean)
	points := map[string]string{
		"plan": "plan.json", "TIFF": ".tiff", "PDF": ".pdf", "index": "index/", "manifest": "manifest.json",
		"event": "event",
	}
	for point, mark := range points {
		for _, persists := range []bool{false, true} {
			for _, next := range []string{"v1", "v2"} {
				t.Run(fmt.Sprintf("%s, persists %v, then %s", point, persists, next), func(t *testing.T) {
					t.Parallel()
					d, _ := pipelinetest.NewDesk(t)
					var hit atomic.Bool // writes run in parallel
					d.Before = func(what string) (persist, fail bool) {
						if !strings.Contains(what, mark) || hit.Swap(true) {
							return true, false
						}
						return persists, true
					}
					err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, now)
					if !errors.Is(err, pipelinetest.ErrDesk) {
						t.Fatalf("the fault gives %v", err)
					}
					later := now.Add(time.Hour) // the order is delivered again
					if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, next), order, later); err != nil {
						t.Fatal(err)
					}
					m := settled(t, d)
					committed := point == "event" || point == "manifest" && persists
					if want := map[bool]string{true: "v1", false: next}[committed]; m.Software != want {
						t.Errorf("%s made the revision, want %s", m.Software, want)
					}
					if next == "v1" && (point != "plan" || persists) && !maps.EqualFunc(d.Objects, clean.Objects, bytes.Equal) {
						t.Error("the archive is not that of an assembly without a fault")
					}
				})
			}
		}
	}
}

// Two programs of different versions make the same revision at the same time, up to its commit. One of them commits it, and both publish
// the same event.
func TestTwoAssemblersOnOneRevision(t *testing.T) {
	t.Parallel()
	d, order := pipelinetest.NewDesk(t)
	var both sync.WaitGroup
	both.Add(2)
	d.Before = func(what string) (persist, fail bool) {
		if strings.HasSuffix(what, "manifest.json") {
			both.Done()
			both.Wait() // neither has looked for the other's manifest by now
		}
		return true, false
	}
	var group sync.WaitGroup
	for _, software := range []string{"v1", "v2"} {
		a := d.AssemblerOf(t, software)
		group.Go(func() {
			if err := pipelinetest.Assemble(t.Context(), a, order, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	settled(t, d)
}

// Another program archives another plan of the revision while we make the documents of ours: that one counts, and nothing is left of ours.
func TestTheFirstPlanCounts(t *testing.T) {
	t.Parallel()
	d, order := pipelinetest.NewDesk(t)
	other := order
	other.Pages = order.Pages.Minus(session.Span(1, 1))
	other.Status, other.Reason, other.Missing = session.StatusPartial, session.PartialMissing, session.PageReasons{1: session.ReasonDamaged}
	plan, err := archive.NewPlan(other, d.Pages, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := archive.IndentJSON(plan)
	if err != nil {
		t.Fatal(err)
	}
	d.Before = func(what string) (persist, fail bool) {
		if strings.HasSuffix(what, "plan.json") {
			d.Mu.Lock()
			defer d.Mu.Unlock()
			d.Objects["faxes/fax/r1/plan.json"] = text
		}
		return true, false
	}
	a := d.AssemblerOf(t, "v1")
	if err := pipelinetest.Assemble(t.Context(), a, order, time.Now()); err != nil {
		t.Fatal(err)
	}
	if m := settled(t, d); m.Missing() != 1 || m.Plan.SHA256 != pipelinetest.SHA(text) {
		t.Errorf("%d pages are missing, the plan is %v", m.Missing(), m.Plan)
	}
	if n := len(slices.DeleteFunc(slices.Collect(maps.Keys(d.Objects)), func(key string) bool {
		return !strings.Contains(key, "/document.")
	})); n != 2 {
		t.Errorf("the archive has %d documents, want a TIFF and a PDF", n)
	}
	if left, err := os.ReadDir(a.Builder.ScratchDir); err != nil || len(left) > 0 {
		t.Errorf("the scratch directory has %v, %v", left, err)
	}
}

// The check comes to an end with any bytes in place of a manifest, and finds a fault unless they are the manifest.
func FuzzCheckManifest(f *testing.F) {
	d, order := pipelinetest.NewDesk(f)
	a := d.AssemblerOf(f, "v1")
	var err error
	if a.Key, _, err = sign.NewKey(); err != nil {
		f.Fatal(err)
	}
	if err := pipelinetest.Assemble(f.Context(), a, order, time.Now()); err != nil {
		f.Fatal(err)
	}
	const key = "faxes/fax/r1/manifest.json"
	manifest := d.Objects[key]
	f.Add(manifest)
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(manifest, []byte(`"tiff_offset": 8`), []byte(`"tiff_offset": -9223372036854775808`), 1))
	f.Add(bytes.Replace(manifest, []byte(`"original": {`), []byte(`"Original": null, "original": {`), 1))
	f.Add(manifest[:bytes.LastIndex(manifest, []byte("  \"signature\":"))])
	keys := []ed25519.PublicKey{a.Key.Public().(ed25519.PublicKey)}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		spoilt := &pipelinetest.Desk{Objects: maps.Clone(d.Objects)}
		spoilt.Objects[key] = text
		found, err := verify.Checker{
			Archive: spoilt, Keys: keys, Software: "v1", ScratchDir: dir,
			Log: slog.New(slog.DiscardHandler),
		}.Session(t.Context(), "fax")
		if err != nil || len(found.Faults) == 0 != bytes.Equal(text, manifest) {
			t.Errorf("%+v, %v", found, err)
		}
	})
}
