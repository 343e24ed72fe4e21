package main

import (
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// largeFax is a fax of 24 pages whose rows or samples are 24 MB each, black and white and in colour by turns, and of some larger ones.
func largeFax(t *testing.T) faxplustest.Fax {
	t.Helper()
	f := faxplustest.Fax{Session: "large", Streamed: true}
	bilevel, colour := largeBilevel(t, 14592, 13160), largeColour(t, 2500, 3200)
	for range 12 {
		f.Pages = append(f.Pages, bilevel, colour)
	}
	f.Pages = append(f.Pages, largeBilevel(t, 14592, 19200), largeColour(t, 3200, 3650)) // 35 MB
	f.Pages = append(f.Pages, f.Pages[24], f.Pages[25])
	return f
}

// largeBilevel is a page of text at 1,200 per inch, in Group 4.
func largeBilevel(t *testing.T, width, height int) []byte {
	t.Helper()
	p := raster.New(width, height)
	p.XRes, p.YRes = 1200, 1200
	for y := 600; y < height-600; y++ {
		if y%200 < 100 {
			for x := 100; x < p.Stride-100; x += 8 {
				copy(p.Row(y)[x:], "\x0f\xff\xf0")
			}
		}
	}
	return apptest.OnePage(t, tiff.PageMeta{Width: width, Height: height, XRes: 1200, YRes: 1200},
		tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)))
}

// largeColour is a page with a gradient, in Deflate.
func largeColour(t *testing.T, width, height int) []byte {
	t.Helper()
	p := &raster.Tones{Width: width, Height: height, Samples: 3, XRes: 300, YRes: 300, Pix: make([]byte, 3*width*height)}
	for i := range p.Pix {
		p.Pix[i] = byte(200 + i/3%width/64 - i%3*20)
	}
	return tonesFile(t, p)
}

// A burst of large pages takes no more memory than --memory says: they wait for each other, and all are there in the end.
func TestLargePagesWaitForMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("some 700 MB of pixels: runs without -short")
	}
	const most = 200 // MB, the default of --memory
	f := largeFax(t)
	sim, flags := newSimulator(t, faxplustest.Config{})
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--close-grace=10m")...)
	idle := p.peakMB()
	for _, b := range apptest.Bodies(f, p.target()) {
		apptest.Post(t, p.target(), b)
	}
	if d := p.awaitDocuments(f.Session)[f.Session]; d.Status != session.StatusComplete {
		t.Errorf("the fax is %s (%s)", d.Status, d.Reason)
	}
	peak := p.peakMB()
	t.Logf("at most %.0f MB in use, %.0f MB before the first page; processor %.1f s", peak, idle, p.cpuSeconds())
	if peak > most {
		t.Errorf("%.0f MB were in use, want at most %d", peak, most)
	}
}
