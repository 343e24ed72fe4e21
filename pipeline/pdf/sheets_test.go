package pdf

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// drawn is a page whose outermost pixels are black, with lines of something like text.
func drawn(width, height int) *raster.Page {
	p := raster.New(width, height)
	for y := range height {
		row := p.Row(y)
		if in := y % 33; in < 20 {
			for x := 8; x < len(row)-8; x++ {
				if glyph := (x*7 + y/33*13) % 23; glyph%5 != 0 {
					row[x] = 0x18 << (in * glyph / 20 % 4) >> (in / 5 % 3)
				}
			}
		}
		row[0] |= 0x80
		row[(width-1)/8] |= 0x80 >> ((width - 1) % 8)
	}
	for _, y := range []int{0, height - 1} {
		row := p.Row(y)
		for i := range row {
			row[i] = 0xFF
		}
		row[len(row)-1] &= 0xFF << (-width & 7)
	}
	return p
}

// sheets that a fax comes on, in millimetres.
var sheets = []struct {
	name          string
	width, height float64
}{
	{"A4", 210, 297},
	{"letter", 215.9, 279.4},
	{"legal", 215.9, 355.6},
	{"B4", 250, 353},
	{"A3", 297, 420},
	{"20 cm", 215.9, 200},
	{"3 m", 215.9, 3000}, // in the coarsest resolution alone is it drawn: the others take poppler 2 s each
}

// TestEverySheetInEveryResolution has poppler say of each kind of page how large it is, what its pixels are and how it looks
// at its own resolution.
func TestEverySheetInEveryResolution(t *testing.T) {
	if testing.Short() {
		t.Skip("many drawings: runs without -short")
	}
	for _, res := range [][2]float64{{204, 98}, {204, 196}, {204, 391}, {300, 300}, {400, 400}} {
		t.Run(fmt.Sprintf("%gx%g", res[0], res[1]), func(t *testing.T) {
			t.Parallel()
			var rasters []*raster.Page
			var pages []any
			for _, s := range sheets {
				p := drawn(int(math.Round(s.width/25.4*res[0])), int(math.Round(s.height/25.4*res[1])))
				rasters = append(rasters, p)
				pages = append(pages, ImagePage{
					Width: p.Width, Height: p.Height, XRes: res[0], YRes: res[1],
					Strip: ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride),
				})
			}
			path := save(t, build(t, Meta{}, pages...))
			judgeSizes(t, path, res)
			judgeStrips(t, path, pages)
			if res[1] > 98 {
				rasters = rasters[:len(rasters)-1]
			}
			judgeLooks(t, path, res, rasters)
		})
	}
}

// judgeSizes compares the sheets' sizes and the images' pixels per inch.
func judgeSizes(t *testing.T, path string, res [2]float64) {
	t.Helper()
	info := run(t, "poppler-utils", "pdfinfo", "-l", strconv.Itoa(len(sheets)), path)
	sizes := regexp.MustCompile(`(?m)^Page +\d+ size: +([\d.]+) x ([\d.]+)`).FindAllStringSubmatch(info, -1)
	list := strings.Split(run(t, "poppler-utils", "pdfimages", "-list", path), "\n")
	for i, s := range sheets {
		for side, mm := range []float64{s.width, s.height} {
			if v, err := strconv.ParseFloat(sizes[i][1+side], 64); err != nil || math.Abs(v/(mm/25.4*72)-1) > 0.005 {
				t.Errorf("%s: %s points, want %.2f within 0.5 %%", s.name, sizes[i][1+side], mm/25.4*72)
			}
		}
		if ppi := strings.Fields(list[2+i])[12:14]; ppi[0] != fmt.Sprint(res[0]) || ppi[1] != fmt.Sprint(res[1]) {
			t.Errorf("%s: %s pixels per inch, want %g", s.name, ppi, res)
		}
	}
}

// judgeStrips: what poppler takes out of the document are the strips that went in.
func judgeStrips(t *testing.T, path string, pages []any) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "image")
	run(t, "poppler-utils", "pdfimages", "-all", path, root)
	for i, s := range sheets {
		strip, err := os.ReadFile(fmt.Sprintf("%s-%03d.ccitt", root, i))
		if err != nil || !bytes.Equal(strip, pages[i].(ImagePage).Strip) {
			t.Errorf("%s: the strip comes back as %d bytes of others (%v)", s.name, len(strip), err)
		}
	}
}

// judgeLooks: poppler draws the first pages pixel for pixel.
func judgeLooks(t *testing.T, path string, res [2]float64, rasters []*raster.Page) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "look")
	run(
		t, "poppler-utils", "pdftoppm", "-mono", "-l", strconv.Itoa(len(rasters)), "-rx", fmt.Sprint(res[0]), "-ry", fmt.Sprint(res[1]), path,
		root,
	)
	for i, want := range rasters {
		drawing, err := os.ReadFile(fmt.Sprintf("%s-%d.pbm", root, i+1))
		if err != nil {
			t.Fatal(err)
		}
		if size, rows := pbm(drawing); size != fmt.Sprintf("%d %d", want.Width, want.Height) || !bytes.Equal(rows, want.Pix) {
			t.Errorf("%s: poppler draws other pixels, %s of them, want %d x %d", sheets[i].name, size, want.Width, want.Height)
		}
	}
}

// pbm takes a raw PBM apart: its size, and its rows with nothing set past their ends.
func pbm(file []byte) (size string, rows []byte) {
	m := regexp.MustCompile(`^P4\s(?:#[^\n]*\n)?\s*(\d+)\s+(\d+)\s`).FindSubmatch(file)
	rows = file[len(m[0]):]
	width, _ := strconv.Atoi(string(m[1])) // digits
	if stride := (width + 7) / 8; width%8 != 0 {
		for at := stride - 1; at < len(rows); at += stride {
			rows[at] &= 0xFF << (-width & 7)
		}
	}
	return string(m[1]) + " " + string(m[2]), rows
}
