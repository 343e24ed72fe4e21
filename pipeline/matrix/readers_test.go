package matrix_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// A reader is a command line that shows all pages of $DOC, a page of which is a line "NUMBER WIDTH HEIGHT XRES YRES" of the file pages
// (from 1, pixels, pixels per inch). It writes page-1.pnm and so on, and prints the two sizes that the program tells for each page, in
// this unit: "per inch" and "per mm" are pixels, "points" is the sheet; "" when it prints none.
type reader struct {
	program, debian string
	name, line      string
	unit            string
	loses           int // pixels at the end of the last row of a page in black and white, which the program shows white
}

// A docPage is a page of our documents, bilevel or not.
type docPage struct {
	sheet *raster.Page
	tones *raster.Tones
}

func (p docPage) picture() picture {
	if p.tones != nil {
		return ofTones(p.tones)
	}
	return ofPage(p.sheet)
}

func (p docPage) size() (width, height int, xres, yres float64) {
	if p.tones != nil {
		return p.tones.Width, p.tones.Height, p.tones.XRes, p.tones.YRes
	}
	return p.sheet.Width, p.sheet.Height, p.sheet.XRes, p.sheet.YRes
}

// faxPages are a page of each width and each resolution of a fax.
func faxPages() (pages []docPage) {
	for i, width := range faxWidths {
		pages = append(pages, docPage{sheet: newSheet(width, 300+i, 204, faxResolutions[i])})
	}
	return pages
}

func tonePages() []docPage {
	return []docPage{{tones: newTones(toneWide, toneHigh, 1, 200, 200)}, {tones: newTones(toneWide, toneHigh, 3, 204, 98)}}
}

func TestReadersOfTIFF(t *testing.T) {
	if testing.Short() {
		t.Skip("many programs: runs without -short")
	}
	java := javaClasses(t)
	docs := []struct {
		name  string
		pages []docPage
		strip func(p *raster.Page) tiff.Strip
	}{
		{"Group 4", faxPages(), func(p *raster.Page) tiff.Strip {
			return tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
		}},
		{"Group 3", faxPages(), g3Strip(ccitt.G3Options{})},
		{"Group 3 as spandsp", faxPages(), g3Strip(ccitt.G3Options{TwoD: true, Fill: true, LSBFirst: true, RTC: true})},
		{"gray and colour", tonePages(), nil},
	}
	for _, doc := range docs {
		file := classF(t, doc.pages, doc.strip)
		for _, r := range tiffReaders() {
			t.Run(doc.name+"/"+r.name, func(t *testing.T) { r.reads(t, "doc.tif", file, doc.pages, java) })
		}
	}
}

func g3Strip(o ccitt.G3Options) func(p *raster.Page) tiff.Strip {
	return func(p *raster.Page) tiff.Strip { return tiff.G3Strip(g3(p, o), o) }
}

// classF writes pages with our TIFF writer.
func classF(t *testing.T, pages []docPage, strip func(p *raster.Page) tiff.Strip) []byte {
	t.Helper()
	var file bytes.Buffer
	w := tiff.NewWriter(&file)
	for i, p := range pages {
		width, height, x, y := p.size()
		m := tiff.PageMeta{Width: width, Height: height, XRes: x, YRes: y, Page: i + 1, Pages: len(pages), Description: "to +1 555 0100"}
		var s tiff.Strip
		if p.tones == nil {
			s = strip(p.sheet)
		} else {
			var err error
			if s, err = tiff.TonesStrip(p.tones); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.AddPage(m, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestReadersOfPDF(t *testing.T) {
	if testing.Short() {
		t.Skip("many programs: runs without -short")
	}
	java := javaClasses(t)
	pages := append(faxPages(), tonePages()...)
	var file bytes.Buffer
	w := pdf.NewWriter(&file, pdf.Meta{Title: "Fax from +1 555 0100"})
	for _, p := range pages {
		width, height, x, y := p.size()
		image := pdf.ImagePage{Width: width, Height: height, XRes: x, YRes: y}
		if p.tones != nil {
			s, err := tiff.TonesStrip(p.tones)
			if err != nil {
				t.Fatal(err)
			}
			image.Strip, image.Samples = s.Bytes(), s.Samples()
		} else {
			image.Strip = ccitt.AppendG4(nil, p.sheet.Pix, p.sheet.Width, p.sheet.Height, p.sheet.Stride)
		}
		if _, err := w.AddImage(image); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range pdfReaders() {
		t.Run(r.name, func(t *testing.T) { r.reads(t, "doc.pdf", file.Bytes(), pages, java) })
	}
}

// reads fails when the reader does not show all pages as they are.
func (r reader) reads(t *testing.T, name string, file []byte, pages []docPage, java string) {
	need(t, r.program, r.debian)
	switch r.program {
	case "java":
		needJava(t)
	case "node":
		java = pdfjsModules(t)
	}
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, name, file)
	var list strings.Builder
	for i, p := range pages {
		width, height, x, y := p.size()
		fmt.Fprintf(&list, "%d %d %d %g %g\n", i+1, width, height, x, y)
	}
	save(t, dir, "pages", []byte(list.String()))
	out := shell(t, dir, "DOC="+name+" JAVA="+java+"\n"+r.line)
	sizes := strings.Split(strings.TrimSpace(out), "\n")
	if r.unit != "" && len(sizes) != len(pages) {
		t.Fatalf("sizes of %d pages, want %d: %q", len(sizes), len(pages), out)
	}
	for i, p := range pages {
		want := p.picture()
		if p.tones == nil {
			copy(want.pix[len(want.pix)-r.loses:], bytes.Repeat([]byte{255}, r.loses))
		}
		if diff := readPNM(t, filepath.Join(dir, fmt.Sprintf("page-%d.pnm", i+1))).differs(want, 0); diff != "" {
			t.Errorf("page %d: %s", i+1, diff)
		}
		if r.unit != "" {
			r.checkSize(t, p, sizes[i])
		}
	}
	if _, err := os.Stat(filepath.Join(dir, fmt.Sprintf("page-%d.pnm", len(pages)+1))); err == nil {
		t.Error("there are more pages than were written")
	}
}

// checkSize compares what a program says of the size of a page's pixels or sheet.
func (r reader) checkSize(t *testing.T, p docPage, line string) {
	t.Helper()
	var across, down float64
	if _, err := fmt.Sscan(line, &across, &down); err != nil {
		t.Fatalf("size %q: %v", line, err)
	}
	width, height, x, y := p.size()
	switch r.unit {
	case "per inch":
	case "per mm":
		x, y = x/25.4, y/25.4
	case "points":
		x, y = float64(width)*72/x, float64(height)*72/y
	default:
		t.Fatalf("unit %q", r.unit)
	}
	if !near(across, x) || !near(down, y) {
		t.Errorf("%g x %g %s, want %g x %g", across, down, r.unit, x, y)
	}
}

// pdfjsModules is the folder of node's modules that the Makefile installs.
func pdfjsModules(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(os.Getenv("FAXSTREAM_TOOLS"), "pdfjs", "node_modules")
	if _, err := os.Stat(filepath.Join(dir, "pdfjs-dist")); err == nil {
		return dir
	}
	const help = "pdf.js is missing: make tools, and FAXSTREAM_TOOLS=$PWD/.tools/bin"
	if os.Getenv("CI") == "true" {
		t.Fatal(help)
	}
	t.Skip(help)
	return ""
}
