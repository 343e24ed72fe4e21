package raster_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Scans of real pages, looked at by a person. How far they lean was found by another way: the slope, in steps of 0.02
// degrees, at which the squares of the rows' black pixels, each of them moved on its own, have the largest sum.
func TestQualityOfRealPages(t *testing.T) {
	const corpus = "../../../shared/corpus/files"
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("no corpus at ../shared/corpus from the project's root")
	}
	for _, c := range []struct {
		file  string // anywhere in the corpus
		blank bool
		skew  int // in thousandths of a degree, or unknown
		// border, per million: at least and at most
		least, most int
	}{
		{"1pagefax.tif", true, unknown, 0, 0},
		{"scan-mono-iccgray.tif", false, -1260, 0, 0},
		{"g3test.tif", false, 860, 0, 0},
		{"fax2d.tif", false, -980, 0, 100},
		{"eurotext.tif", false, 760, 0, 0},
		{"CCITT-G4-300dpi-StripByteCounts0.tif", false, 320, 0, 0},
		{"Imaging247.TIFF", false, 80, 0, 0},
		{"packbits-fillorder-2.tif", false, 0, 0, 0},
		{"phototest.tif", false, 0, 0, 0},
		{"8071_093.3B.tif", false, 360, 120_000, 150_000},            // a magazine on an open copier: black below and on the right
		{"min-is-white-with-profile.tif", false, unknown, 0, 0},      // scribbling
		{"fivepages-scan-causingerrors.tif", false, unknown, 0, 100}, // one large digit
		{"sample-monob-raw.tiff", false, unknown, 0, 1_000_000},      // a photograph
	} {
		q := firstPage(t, corpus, c.file).Quality()
		if q.Blank != c.blank || q.Border < c.least || q.Border > c.most {
			t.Errorf("%s: blank %v, border %d to %d expected: %+v", c.file, c.blank, c.least, c.most, q)
		}
		if q.SkewKnown != (c.skew != unknown) || q.SkewKnown && max(q.Skew-c.skew, c.skew-q.Skew) > 50 {
			t.Errorf("%s: skew of %d expected: %+v", c.file, c.skew, q)
		}
	}
}

const unknown = 1 << 20

func firstPage(t *testing.T, corpus, name string) *raster.Page {
	t.Helper()
	var found []string
	err := filepath.WalkDir(corpus, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%s in the corpus: %v, %v", name, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := file.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := page.Decode(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return decoded.Raster
}
