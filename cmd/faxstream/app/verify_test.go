package app

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Streamed pages are compared with the whole file after the close; what comes of it is told, and a damaged page is repaired.
func TestStreamedPagesAreComparedWithTheWholeFile(t *testing.T) {
	pages := apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))
	whole := apptest.Fixture(t, "three-pages-fine-g4")
	damaged := bytes.Clone(pages[1])
	damaged[len(damaged)/2] ^= 0x3c
	if d := apptest.Decoded(t, apptest.Parse(t, damaged), 0); len(d.BadRows) == 0 {
		t.Fatal("the damage does not show")
	}
	policy := apptest.ImpatientPolicy()
	policy.Reconcile = session.ReconcileAll
	policy.Grace = apptest.Patience // a page that a slow machine archives after it is compared by itself, in a report of its own
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
			r.Start(t, r.Bus, r.Store, policy, apptest.ImpatientRetry())
			f := faxplustest.Fax{Session: "fax", Streamed: true, Pages: [][]byte{pages[0], c.second, pages[2]}}
			r.Sim.Add(f)
			r.Sim.Script(f.Session, 0, apptest.AnswerWith(c.whole))
			for _, b := range apptest.Bodies(f, "http://x") {
				r.Record(t, b)
			}
			s := r.Await(t, f.Session, func(s session.State) bool {
				return s.Revision() == c.revision && s.Verification() == c.verification && !s.WholeOpen
			})
			if s.Status() != session.StatusComplete {
				t.Errorf("the fax is %s", s.Status())
			}
			var m archive.Manifest
			if err := json.Unmarshal(r.object(t, s.Document.Manifest.Key), &m); err != nil {
				t.Fatal(err)
			}
			if m.Verified && c.revision == 1 {
				t.Error("the manifest says verified, but the revision was made before the verdict")
			}
			document := apptest.Parse(t, r.object(t, s.Document.TIFF.Key))
			if got, want := apptest.PixelsOfPage(t, document, 1), apptest.PixelsOf(t, c.shown); got != want {
				t.Errorf("page 2 of the document is %s, want %s", got, want)
			}
			checkReport(t, r, s, c.verification)
			for _, f := range check(t, archived(t, r), "test") {
				if f.Orphans > 0 || len(f.Faults) > 0 {
					t.Errorf("a normal run leaves %d orphans and the faults %+v", f.Orphans, f.Faults)
				}
			}
		})
	}
}

// checkReport wants a report of the right sum in the archive, wherever there was a file to compare with.
func checkReport(t *testing.T, r *rig, s session.State, verification string) {
	t.Helper()
	reports, err := filepath.Glob(filepath.Join(r.Dir, "archive", "faxes", "fax", "r1", "verified.*.json"))
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
	var report archive.Report
	if err := json.Unmarshal(apptest.ReadFile(t, reports[0]), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Pages) != 3 {
		t.Fatalf("the report is on %d pages", len(report.Pages))
	}
	second := report.Pages[1]
	if second.Verdict == "differs" || second.Verdict == "repaired" {
		streamed, file := r.object(t, second.Streamed.Original.Key), r.object(t, second.File.Original.Key)
		if slices.Equal(streamed, file) ||
			apptest.PixelsOf(t, file) != apptest.PixelsOf(t, apptest.Split(t, apptest.Fixture(t, "three-pages-fine-g4"))[1]) {
			t.Error("not both images of page 2 are kept")
		}
	}
}

// object reads from the archive.
func (r *rig) object(t *testing.T, key string) []byte {
	t.Helper()
	body, _, err := r.Store.Open(t.Context(), key)
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
