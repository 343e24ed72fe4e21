package pdf

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Drawn at its own resolution a page has the pixels of its image, not one more: renderers multiply the MediaBox with the resolution and
// round up.
func TestAPageHasItsPixelsAtItsResolution(t *testing.T) {
	for _, pixels := range []int{
		1, 100, 1216, 1700, 1728, 2048, 2156, 2200, 2292, 2432, 2550, 3300, 3456, 4864, 10_368, 14_592, 19_842, 60_000,
	} {
		for _, res := range []float64{72, 98, 100, 150, 196, 200, 203, 204, 300, 391, 392, 400, 408, 600, 1200} {
			points := side(pixels, res)
			box := newMediaBox(points, points)
			if box.width <= minUnits {
				continue
			}
			units, err := strconv.ParseFloat(number(box.width), 64)
			if err != nil {
				t.Fatal(err)
			}
			for _, drawn := range []float64{units * box.unit * (res / 72), units * box.unit * res / 72} {
				if n := int(math.Ceil(drawn)); n != pixels {
					t.Errorf("%d pixels at %g an inch: the side is %g units of %g points, which makes %d pixels", pixels, res, units, box.unit, n)
				}
			}
		}
	}
}

func TestPopplerDrawsNoColumnMore(t *testing.T) {
	for _, res := range []float64{100, 200, 204, 300, 400} {
		page := ImagePage{Width: 1728, Height: 1146, XRes: res, YRes: res, Strip: white(1146)}
		path := save(t, build(t, Meta{}, page))
		look := filepath.Join(t.TempDir(), "look")
		run(t, "poppler-utils", "pdftoppm", "-mono", "-singlefile", "-r", fmt.Sprint(res), path, look)
		image, err := os.ReadFile(look + ".pbm")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(image, []byte("P4\n1728 1146\n")) {
			t.Errorf("at %g an inch: %.15q", res, image)
		}
	}
}

// Ghostscript makes PDF/A of our documents, whatever the numbers look like.
func TestGhostscriptMakesPDFA(t *testing.T) {
	m := Meta{
		Title: "Fax x (partial: missing_pages)", Author: "(334) 304-5554", Subject: `From (334) 304-5554 to a\b`, Producer: "faxstream test",
	}
	path := save(t, build(t, m, ImagePage{Width: 1728, Height: 100, Strip: white(100)}))
	said := run(t, "ghostscript", "gs", "-q", "-dPDFA=2", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sColorConversionStrategy=RGB",
		"-dPDFACompatibilityPolicy=1", "-o", filepath.Join(t.TempDir(), "again.pdf"), path)
	if strings.TrimSpace(said) != "" {
		t.Errorf("Ghostscript says: %s", said)
	}
}
