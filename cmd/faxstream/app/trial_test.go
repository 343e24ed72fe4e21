package app

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

var (
	chaosSeed  = flag.Uint64("chaos-seed", 1, "first seed of TestChaos")
	chaosFaxes = flag.Int("chaos-faxes", 60, "how many faxes TestChaos sends besides one for each fault")
)

// faxesInChaos gives one fax for each fault by itself and n with a mixture of faults.
func faxesInChaos(t *testing.T, seed uint64, n int) []faxplustest.Fax {
	t.Helper()
	var faxes []faxplustest.Fax
	for i, fault := range faxplustest.AllFaults() {
		f := apptest.SmallFax(t, fmt.Sprintf("%s-%d", fault, seed), seed+uint64(i))
		f.Faults = []faxplustest.Fault{fault}
		faxes = append(faxes, f)
	}
	for i := range uint64(n) {
		f := apptest.SmallFax(t, fmt.Sprintf("chaos-%d", seed+i), seed+i)
		f.Faults = faxplustest.Chaos(seed, f.Session)
		faxes = append(faxes, f)
	}
	return faxes
}

// Whatever the provider does wrong, each fax becomes what can be made of it, and no page shows what was not sent.
func TestChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("has deadlines of seconds, which a slow build misses: runs without -short")
	}
	dir := t.TempDir()
	for _, tr := range runTrials(t, dir, *chaosSeed, faxesInChaos(t, *chaosSeed, *chaosFaxes)) {
		if wrong := tr.Wrong(); wrong != "" {
			t.Errorf("fax %s of %d pages with %v: %s (go test -run TestChaos ./cmd/faxstream/app -args -chaos-seed=%d -chaos-faxes=%d)",
				tr.Fax.Session, len(tr.Fax.Pages), tr.Fax.Faults, wrong, *chaosSeed, *chaosFaxes)
			continue
		}
		if !tr.quiet() {
			t.Errorf("fax %s with %v does not come to rest: %+v", tr.Fax.Session, tr.Fax.Faults, tr.State)
		}
		checkImages(t, filepath.Join(dir, "archive"), tr)
	}
}

// runTrials sends faxes through a whole faxstream in dir.
func runTrials(t *testing.T, dir string, seed uint64, faxes []faxplustest.Fax, change ...func(*Config)) []*Trial {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	sim, err := faxgen.StartSimulator("127.0.0.1:0", faxplustest.Config{Seed: seed}, log)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DemoConfig(dir, sim.URL, true, log)
	cfg.PageDeadline, cfg.WholeFor = 30*time.Second, 30*time.Second // a busy machine comes to the second try late
	for _, f := range change {
		f(&cfg)
	}
	a, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
		if err := sim.Stop(); err != nil {
			t.Error(err)
		}
	}()
	trials, err := RunTrials(t.Context(), a, sim, faxes, 2*cfg.WholeFor, func(session.DocAssembled) {})
	if err != nil {
		t.Fatal(err)
	}
	return trials
}

// patientGrace lets pages of a busy machine come long after the close: they are not cut from the whole file.
func patientGrace(c *Config) { c.CloseGrace = 20 * time.Second }

// In this demo the provider delivers pages in which black and white are exchanged. Each one that is in a document is shown as differing
// from the whole file, by its name.
func TestBlackPagesOfTheDemoAreShownAsDiffering(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("has deadlines of seconds, which a slow build misses: runs without -short")
	}
	const seed = 7
	faxes, err := faxgen.Order{Count: 12, Seed: seed, Chaos: true}.Faxes()
	if err != nil {
		t.Fatal(err)
	}
	dir, black := t.TempDir(), 0
	for _, tr := range runTrials(t, dir, seed, faxes, patientGrace) {
		if wrong := tr.Wrong(); wrong != "" {
			t.Errorf("fax %s with %v: %s", tr.Fax.Session, tr.Fax.Faults, wrong)
			continue
		}
		for page, pixels := range shownPages(t, filepath.Join(dir, "archive"), tr) {
			if pixels == apptest.PixelsOf(t, tr.Fax.Pages[page-1]) {
				continue
			}
			black++
			if s := tr.State; !s.Disputed().Has(page) || s.Difference(page) != "inverted" || s.Verification() != session.VerificationDiffers {
				t.Errorf("fax %s is %s, verification %s, page %d of it is another image, and its difference is %q",
					tr.Fax.Session, s.Status(), s.Verification(), page, s.Difference(page))
			}
		}
	}
	if black == 0 {
		t.Error("no page is black: the demo shows nothing")
	}
}

// shownPages describes the image of each page in the newest document.
func shownPages(t *testing.T, dir string, tr *Trial) map[int]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(tr.State.Document.Manifest.Key)))
	if err != nil {
		t.Fatal(err)
	}
	var m archive.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived {
			got[p.Page] = fmt.Sprintf("%dx%d %.16s", p.Width, p.Height, p.RasterSHA256)
		}
	}
	return got
}

// checkImages wants every page of the newest document to show one of the images that it may show.
func checkImages(t *testing.T, dir string, tr *Trial) {
	t.Helper()
	got := shownPages(t, dir, tr)
	for _, page := range slices.Sorted(maps.Keys(tr.Truth.Pages)) {
		files := tr.Truth.Pages[page]
		shown := func(file []byte) bool { return apptest.PixelsOf(t, file) == got[page] }
		if got[page] == "" || len(files) > 0 && !slices.ContainsFunc(files, shown) {
			t.Errorf(
				"fax %s with %v: page %d is %q in the manifest, which is none of its %d images", tr.Fax.Session, tr.Fax.Faults, page, got[page],
				len(files),
			)
		}
	}
}
