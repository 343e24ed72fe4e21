package matrix_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// A writer is a command line that makes out.tif of the pages of writerInputs.
type writer struct {
	name string
	line string
	is   string // the page that out.tif holds: bilevel, gray, colour; and, of these, two
	// tolerance of lossy codings and of conversions between kinds of colour, as in picture.differs; for bilevel pages it is 0.
	tolerance int
	noSize    bool // the program cannot write a resolution
	extra     int  // white rows that the program counts behind the page: the lines of its end mark
}

// A writing is what one package of Debian writes.
type writing struct {
	program, debian string
	writers         []writer
}

const (
	wide, high = 1728, 286 // of the bilevel page; an eighth of a page, as long as no writer looks at the length
	xres, yres = 204.0, 98.0
	toneWide   = 203 // of the gray and the colour page; no multiple of 8 or 16
	toneHigh   = 149
)

// writerInputs puts the known pages into dir, as all that the programs read: PNM, PostScript, raw T.4 and TIFF.
func writerInputs(t *testing.T, dir string) map[string][]picture {
	t.Helper()
	first, second := newSheet(wide, high, xres, yres), newSheet(1003, 131, xres, yres)
	gray, colour := newTones(toneWide, toneHigh, 1, xres, yres), newTones(toneWide, toneHigh, 3, xres, yres)
	save(t, dir, "page.pbm", pbm(first))
	save(t, dir, "second.pbm", pbm(second))
	save(t, dir, "page.pgm", pnm(gray))
	save(t, dir, "page.ppm", pnm(colour))
	save(t, dir, "page.g3", g3(first, ccitt.G3Options{}))
	save(t, dir, "page.g32d", g3(first, ccitt.G3Options{TwoD: true}))
	save(t, dir, "page.g4", ccitt.AppendG4(nil, first.Pix, first.Width, first.Height, first.Stride))
	save(t, dir, "page.ps", bilevelPostScript(first))
	save(t, dir, "two.ps", append(bilevelPostScript(first), bilevelPostScript(second)...))
	save(t, dir, "gray.ps", postScript(gray.Width, gray.Height, 8, "image", gray.Pix))
	save(t, dir, "colour.ps", postScript(colour.Width, colour.Height, 8, "false 3 colorimage", colour.Pix))
	save(t, dir, "page.tif", document(t, []*raster.Page{first}, nil))
	save(t, dir, "two.tif", document(t, []*raster.Page{first, second}, nil))
	save(t, dir, "gray.tif", document(t, nil, []*raster.Tones{gray}))
	save(t, dir, "colour.tif", document(t, nil, []*raster.Tones{colour}))
	return map[string][]picture{
		"bilevel": {ofPage(first)}, "two": {ofPage(first), ofPage(second)}, "gray": {ofTones(gray)}, "colour": {ofTones(colour)},
	}
}

func g3(p *raster.Page, o ccitt.G3Options) []byte {
	return ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o)
}

// postScript is a page that shows an image with samples of so many bits, a pixel of the image on each of the device's.
func postScript(width, height, bits int, show string, pix []byte) []byte {
	return fmt.Appendf(nil, "<</PageSize[%d 72 mul %g div %d 72 mul %g div]>>setpagedevice\n"+
		"%[1]d 72 mul %[2]g div %[3]d 72 mul %[4]g div scale\n"+
		"%[1]d %[3]d %[5]d [%[1]d 0 0 -%[3]d 0 %[3]d] currentfile/ASCIIHexDecode filter %[6]s\n%[7]x>\nshowpage\n",
		width, xres, height, yres, bits, show, pix)
}

func bilevelPostScript(p *raster.Page) []byte {
	pix := bytes.Clone(p.Pix)
	for i := range pix {
		pix[i] = ^pix[i]
	}
	return postScript(p.Width, p.Height, 1, "image", pix)
}

// document is a TIFF that our writer makes.
func document(t *testing.T, pages []*raster.Page, tones []*raster.Tones) []byte {
	t.Helper()
	var file bytes.Buffer
	w := tiff.NewWriter(&file)
	add := func(m tiff.PageMeta, s tiff.Strip) {
		if _, err := w.AddPage(m, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pages {
		add(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes},
			tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)))
	}
	for _, p := range tones {
		s, err := tiff.TonesStrip(p)
		if err != nil {
			t.Fatal(err)
		}
		add(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}, s)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestWriters(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of programs: runs without -short")
	}
	inputs := t.TempDir()
	pages := writerInputs(t, inputs)
	java := javaClasses(t)
	for _, tool := range writings() {
		t.Run(tool.debian, func(t *testing.T) {
			need(t, tool.program, tool.debian)
			if tool.program == "java" {
				needJava(t)
			}
			for _, w := range tool.writers {
				t.Run(w.name, func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					shell(t, dir, "IN="+inputs+" JAVA="+java+"\n"+w.line)
					w.check(t, decoded(t, filepath.Join(dir, "out.tif")), pages[w.is])
				})
			}
		})
	}
}

func (w writer) check(t *testing.T, got []*tiff.Decoded, want []picture) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d pages, want %d", len(got), len(want))
	}
	for i, d := range got {
		pic := ofPage(d.Raster)
		if d.Tones != nil {
			pic = ofTones(d.Tones)
		}
		pic = pic.without(w.extra)
		if diff := pic.differs(want[i], w.tolerance); diff != "" {
			t.Errorf("page %d: %s; warnings %q", i+1, diff, d.Warnings)
		}
		if len(d.BadRows) > 0 {
			t.Errorf("page %d: bad rows %v, warnings %q", i+1, d.BadRows, d.Warnings)
		}
		if !w.noSize && (!near(d.Raster.XRes, xres) || !near(d.Raster.YRes, yres)) {
			t.Errorf("page %d: %g x %g pixels per inch, want %g x %g", i+1, d.Raster.XRes, d.Raster.YRes, xres, yres)
		}
	}
}
