package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// noisyWhole is a fax whose whole file has many MB: pages in colour that no code makes smaller.
func noisyWhole(t *testing.T) faxplustest.Fax {
	t.Helper()
	const pages = 16
	random := rand.NewChaCha8([32]byte{})
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	for i := range pages {
		p := &raster.Tones{Width: 1500, Height: 1500, Samples: 3, XRes: 200, YRes: 200, Pix: make([]byte, 3*1500*1500)}
		_, err := random.Read(p.Pix)
		strip, stripErr := tiff.TonesStrip(p)
		if err := errors.Join(err, stripErr); err != nil {
			t.Fatal(err)
		}
		meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 200, YRes: 200, Page: i + 1, Pages: pages}
		if _, err := w.AddPage(meta, strip); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f := faxplustest.Fax{Session: "whole", Whole: b.Bytes()}
	f.PageCount = new(int)
	*f.PageCount = pages
	return f
}

// A whole file is never in memory as a whole: its pages are read from disk one after the other.
func TestALargeWholeFileIsNotInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("108 MB of pixels: runs without -short")
	}
	const most = 200 // MB, the default of --memory
	f := noisyWhole(t)
	sim, flags := newSimulator(t, faxplustest.Config{})
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--faxplus-page-path=none")...)
	bodies := apptest.Bodies(f, p.target())
	apptest.Post(t, p.target(), bodies[len(bodies)-1])
	if d := p.awaitDocuments(f.Session)[f.Session]; d.Status != session.StatusComplete {
		t.Errorf("the fax is %s (%s)", d.Status, d.Reason)
	}
	peak := p.peakMB()
	t.Logf("at most %.0f MB in use for a file of %.0f MB", peak, float64(len(f.Whole))/1e6)
	if peak > most {
		t.Errorf("%.0f MB were in use, want at most %d", peak, most)
	}
}
