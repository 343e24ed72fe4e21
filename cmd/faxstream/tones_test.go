package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/cmd/faxstream/faxgen"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// A fax of a black and white page, a colour page, and the same in JPEG as libtiff writes it, gray and in colour: streamed, and
// cut from the whole file. No page is thrown to one bit.
func TestGrayAndColourPagesStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("large images: runs without -short")
	}
	f := colourFax(t)
	sim, flags := newSimulator(t, faxplustest.Config{})
	sim.Add(f)
	t.Run("streamed", func(t *testing.T) {
		p := serve(t, nil, append(flags, "--dir="+t.TempDir(), patientGrace)...)
		for _, b := range apptest.Bodies(f, p.target()) {
			apptest.Post(t, p.target(), b)
		}
		if d := p.awaitDocuments(f.Session)[f.Session]; d.Status != session.StatusComplete {
			t.Fatalf("the fax is %s (%s)", d.Status, d.Reason)
		}
		checkFax(t, p, f)
		var sent []*tiff.Decoded
		for _, page := range f.Pages {
			sent = append(sent, apptest.Decoded(t, apptest.Parse(t, page), 0))
		}
		checkTones(t, p, f.Session, sent)
	})
	t.Run("whole file", func(t *testing.T) {
		p := serve(t, nil, append(flags, "--dir="+t.TempDir(), "--faxplus-page-path=none")...)
		all := apptest.Bodies(f, p.target())
		apptest.Post(t, p.target(), all[len(all)-1])
		if d := p.awaitDocuments(f.Session)[f.Session]; d.Status != session.StatusComplete {
			t.Fatalf("the fax is %s (%s)", d.Status, d.Reason)
		}
		var sent []*tiff.Decoded
		for i := range f.Pages {
			sent = append(sent, apptest.Decoded(t, apptest.Parse(t, f.Whole), i)) // libtiff coded JPEG anew when it joined the pages
		}
		checkTones(t, p, f.Session, sent)
	})
}

// colourFax has four pages.
func colourFax(t *testing.T) faxplustest.Fax {
	t.Helper()
	cp := tool(t, "tiffcp", "apt-get install libtiff-tools")
	f := apptest.Generated(t, 41, 1)[0]
	p := apptest.DecodePage(t, apptest.Parse(t, f.Pages[0]), 0)
	gray := &raster.Tones{Width: p.Width, Height: p.Height, Samples: 1, XRes: p.XRes, YRes: p.YRes, Pix: make([]byte, p.Width*p.Height)}
	for i := range gray.Pix {
		gray.Pix[i] = 0xe8 - byte(i%p.Width/20)
		if x := i % p.Width; p.Row(i / p.Width)[x/8]&(0x80>>(x%8)) != 0 {
			gray.Pix[i] = 0x30
		}
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	colour, err := faxgen.Order{Count: 1, Seed: 41, Coding: "colour"}.Faxes()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"1.tiff": f.Pages[0], "2.tiff": colour[0].Pages[0], "gray.tiff": tonesFile(t, gray)} {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"-c", "jpeg", path("gray.tiff"), path("3.tiff")},
		{"-c", "jpeg", "-r", "160", path("2.tiff"), path("4.tiff")},
		{path("1.tiff"), path("2.tiff"), path("3.tiff"), path("4.tiff"), path("whole.tiff")},
	} {
		if out, err := exec.Command(cp, args...).CombinedOutput(); err != nil {
			t.Fatalf("tiffcp %v: %v\n%s", args, err, out)
		}
	}
	f.Pages = nil
	for i := range 4 {
		f.Pages = append(f.Pages, apptest.ReadFile(t, path(fmt.Sprintf("%d.tiff", i+1))))
	}
	f.Whole = apptest.ReadFile(t, path("whole.tiff"))
	return f
}

func tonesFile(t *testing.T, p *raster.Tones) []byte {
	t.Helper()
	strip, err := tiff.TonesStrip(p)
	if err != nil {
		t.Fatal(err)
	}
	return apptest.OnePage(t, tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}, strip)
}

// checkTones compares the document in both forms and the images for OCR with the pages sent.
func checkTones(t *testing.T, p *process, id string, sent []*tiff.Decoded) {
	t.Helper()
	dir := t.TempDir()
	pdf, tif := filepath.Join(dir, "document.pdf"), filepath.Join(dir, "document.tiff")
	get(t, p, pdf, id, "--as=pdf")
	get(t, p, tif, id, "--as=tiff")
	apptest.Judge(t, "qpdf", "qpdf", "--check", pdf)
	apptest.Judge(t, "tiffinfo", "libtiff-tools", "-D", tif)
	apptest.Judge(t, "pdfimages", "poppler-utils", "-png", pdf, filepath.Join(dir, "page"))
	document := apptest.Parse(t, apptest.ReadFile(t, tif))
	var m archive.Manifest
	if err := json.Unmarshal(apptest.Fetch(t, p.api("/faxes/"+id+"/manifest.json")), &m); err != nil {
		t.Fatal(err)
	}
	for i, samples := range []int{0, 3, 1, 3} {
		if got, want := apptest.Pixels(apptest.Decoded(t, document, i)), apptest.Pixels(sent[i]); got != want {
			t.Errorf("page %d of document.tiff is not the page that was sent", i+1)
		}
		if m.Pages[i].Samples != samples {
			t.Errorf("the manifest says %d samples of page %d", m.Pages[i].Samples, i+1)
		}
		if samples == 0 {
			continue
		}
		want := sent[i].Tones
		ocr := filepath.Join(dir, fmt.Sprintf("ocr-%d.png", i+1))
		get(t, p, ocr, id, "--as=png", fmt.Sprintf("--page=%d", i+1))
		for _, file := range []string{filepath.Join(dir, fmt.Sprintf("page-%03d.png", i)), ocr} {
			if !sameTones(openImage(t, file), want) {
				t.Errorf("page %d: %s is another image", i+1, filepath.Base(file))
			}
		}
	}
}

func sameTones(img image.Image, want *raster.Tones) bool {
	b := img.Bounds()
	if b.Dx() != want.Width || b.Dy() != want.Height {
		return false
	}
	for y := range want.Height {
		row := want.Row(y)
		for x := range want.Width {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			i := x * want.Samples
			if c.R != row[i] || want.Samples == 3 && (c.G != row[i+1] || c.B != row[i+2]) {
				return false
			}
		}
	}
	return true
}
