package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Streamed pages are compared with the whole file after the close; what comes of it is told, and a damaged page is repaired.
func TestStreamedPagesAreComparedWithTheWholeFile(t *testing.T) {
	pages := split(t, fixture(t, "three-pages-fine-g4"))
	whole := fixture(t, "three-pages-fine-g4")
	damaged := bytes.Clone(pages[1])
	damaged[len(damaged)/2] ^= 0x3c
	if d := decoded(t, parse(t, damaged), 0); len(d.BadRows) == 0 {
		t.Fatal("the damage does not show")
	}
	policy := impatientPolicy
	policy.Reconcile = session.ReconcileAll
	policy.Grace = patience // a page that a slow machine archives after it is compared by itself, in a report of its own
	for name, c := range map[string]struct {
		second       []byte // what page 2 is streamed as
		whole        []byte // nil: 404
		verification string
		revision     int
		shown        []byte // page 2 of the document, in the end
	}{
		"the same pixels":         {pages[1], whole, session.VerificationVerified, 1, pages[1]},
		"another page":            {pages[0], whole, session.VerificationDiffers, 1, pages[0]},
		"damaged on the way":      {damaged, whole, session.VerificationVerified, 2, pages[1]},
		"no whole file":           {pages[1], nil, session.VerificationPending, 1, pages[1]},
		"a shorter whole file":    {pages[1], pages[0], session.VerificationUnavailable, 1, pages[1]},
		"a whole file of nothing": {pages[1], []byte("II*\x00\x08\x00\x00\x00\x00\x00"), session.VerificationUnavailable, 1, pages[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(t, r.bus, r.store, policy, impatientRetry)
			f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: [][]byte{pages[0], c.second, pages[2]}}
			r.sim.Add(f)
			r.sim.Script(f.Session, 0, fetchOf(c.whole))
			for _, b := range bodies(f, "http://x") {
				r.record(t, b)
			}
			s := r.await(t, f.Session, func(s session.State) bool {
				return s.Revision() == c.revision && s.Verification() == c.verification && !s.WholeOpen
			})
			if s.Status() != session.StatusComplete {
				t.Errorf("the fax is %s", s.Status())
			}
			var m pipeline.Manifest
			if err := json.Unmarshal(r.object(t, s.Document.Manifest.Key), &m); err != nil {
				t.Fatal(err)
			}
			if m.Verified && c.revision == 1 {
				t.Error("the manifest says verified, but the revision was made before the verdict")
			}
			document := parse(t, r.object(t, s.Document.TIFF.Key))
			if got, want := raster16(t, document, 1), rasterOf(t, c.shown); got != want {
				t.Errorf("page 2 of the document is %s, want %s", got, want)
			}
			checkReport(t, r, s, c.verification)
		})
	}
}

// checkReport wants a report of the right sum in the archive, wherever there was a file to compare with.
func checkReport(t *testing.T, r *rig, s session.State, verification string) {
	t.Helper()
	reports, err := filepath.Glob(filepath.Join(r.dir, "archive", "faxes", "fax", "r1", "verified.*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if verification == session.VerificationPending {
		if len(reports) > 0 {
			t.Errorf("without a whole file there are reports: %v", reports)
		}
		return
	}
	if len(reports) != 1 {
		t.Fatalf("reports: %v", reports)
	}
	var report pipeline.Report
	if err := json.Unmarshal(readFile(t, reports[0]), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Pages) != 3 {
		t.Fatalf("the report is on %d pages", len(report.Pages))
	}
	second := report.Pages[1]
	if second.Verdict == "differs" || second.Verdict == "repaired" {
		streamed, file := r.object(t, second.Streamed.Original.Key), r.object(t, second.File.Original.Key)
		if slices.Equal(streamed, file) || rasterOf(t, file) != rasterOf(t, split(t, fixture(t, "three-pages-fine-g4"))[1]) {
			t.Error("not both images of page 2 are kept")
		}
	}
}

// object reads from the archive.
func (r *rig) object(t *testing.T, key string) []byte {
	t.Helper()
	body, _, err := r.store.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
