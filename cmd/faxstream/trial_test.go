package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
)

var (
	chaosSeed  = flag.Uint64("chaos-seed", 1, "first seed of TestChaos")
	chaosFaxes = flag.Int("chaos-faxes", 60, "how many faxes TestChaos sends besides one for each fault")
)

// smallFax is a fax of 1 to 5 small pages of noise, no two alike.
func smallFax(t *testing.T, id string, seed uint64) faxplustest.Fax {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	f := faxplustest.Fax{Session: id, Streamed: true}
	pages := make([]*raster.Page, 1+rng.IntN(5))
	for i := range pages {
		p := raster.New(200, 100)
		p.XRes, p.YRes = 204, 98
		for n := range p.Pix {
			p.Pix[n] = byte(rng.Uint32())
		}
		pages[i] = p
	}
	if err := (&faxGenerator{coding: codingG3}).scan(&f, pages); err != nil {
		t.Fatal(err)
	}
	return f
}

// faxesInChaos gives one fax for each fault by itself and n with a mixture of faults.
func faxesInChaos(t *testing.T, seed uint64, n int) []faxplustest.Fax {
	t.Helper()
	var faxes []faxplustest.Fax
	for i, fault := range faxplustest.AllFaults() {
		f := smallFax(t, fmt.Sprintf("%s-%d", fault, seed), seed+uint64(i))
		f.Faults = []faxplustest.Fault{fault}
		faxes = append(faxes, f)
	}
	for i := range uint64(n) {
		f := smallFax(t, fmt.Sprintf("chaos-%d", seed+i), seed+i)
		f.Faults = faxplustest.Chaos(seed, f.Session)
		faxes = append(faxes, f)
	}
	return faxes
}

// Whatever the provider does wrong, each fax becomes what can be made of it, and no page shows what was not sent.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("has deadlines of seconds, which a slow build misses: runs without -short")
	}
	sim, err := startSimulator("127.0.0.1:0", faxplustest.Config{Seed: *chaosSeed}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cmd := demoCmd{Dir: t.TempDir(), Chaos: true}.serve(sim.url)
	a, err := startApp(t.Context(), cmd, appEnv{getenv: os.Getenv, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
		if err := sim.stop(); err != nil {
			t.Error(err)
		}
	}()
	faxes := faxesInChaos(t, *chaosSeed, *chaosFaxes)
	trials, err := runTrials(t.Context(), a, sim, faxes, 2*cmd.WholeFor, func(session.DocAssembled) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range trials {
		if wrong := tr.wrong(); wrong != "" {
			t.Errorf("fax %s of %d pages with %v: %s (go test -run TestChaos ./cmd/faxstream -args -chaos-seed=%d -chaos-faxes=%d)",
				tr.fax.Session, len(tr.fax.Pages), tr.fax.Faults, wrong, *chaosSeed, *chaosFaxes)
			continue
		}
		if !tr.quiet() {
			t.Errorf("fax %s with %v does not come to rest: %+v", tr.fax.Session, tr.fax.Faults, tr.state)
		}
		checkImages(t, cmd.path("archive"), tr)
	}
}

// checkImages wants every page of the newest document to show one of the images that it may show.
func checkImages(t *testing.T, archive string, tr *trial) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(archive, filepath.FromSlash(tr.state.Document.Manifest.Key)))
	if err != nil {
		t.Fatal(err)
	}
	var m pipeline.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived {
			got[p.Page] = fmt.Sprintf("%dx%d %.16s", p.Width, p.Height, p.RasterSHA256)
		}
	}
	for _, page := range slices.Sorted(maps.Keys(tr.truth.Pages)) {
		files := tr.truth.Pages[page]
		shown := func(file []byte) bool { return rasterOf(t, file) == got[page] }
		if got[page] == "" || len(files) > 0 && !slices.ContainsFunc(files, shown) {
			t.Errorf("fax %s with %v: page %d is %q in the manifest, which is none of its %d images", tr.fax.Session, tr.fax.Faults, page, got[page], len(files))
		}
	}
}
