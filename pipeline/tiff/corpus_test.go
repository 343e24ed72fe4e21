package tiff_test

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

// corpusDir finds the collection of real files beside the project, or skips.
func corpusDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		c := filepath.Join(dir, "..", "shared", "corpus")
		if _, err := os.Stat(filepath.Join(c, "index.csv")); err == nil {
			return c
		}
	}
	t.Skip("no corpus at ../shared/corpus from the project's root")
	return ""
}

// A corpusPage is a row of index.csv.
type corpusPage struct {
	file          string
	page          int
	width, height int
	sha256        string
	black         int
	kind          string
}

func corpusPages(t testing.TB) (dir string, pages []corpusPage) {
	t.Helper()
	dir = corpusDir(t)
	f, err := os.Open(filepath.Join(dir, "index.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	number := func(row []string, name string) int {
		n, err := strconv.Atoi(row[column[name]])
		if err != nil {
			t.Fatalf("index.csv: %s: %v", name, err)
		}
		return n
	}
	for _, row := range rows[1:] {
		p := corpusPage{
			file: row[column["file"]], page: number(row, "page"),
			width: number(row, "width"), height: number(row, "height"),
			sha256: row[column["raster_sha256"]], kind: row[column["kind"]],
		}
		if p.sha256 != "" {
			p.black = number(row, "black_pixels")
		}
		pages = append(pages, p)
	}
	return dir, pages
}

func TestRealFilesDecodeToTheirTrueRaster(t *testing.T) {
	dir, pages := corpusPages(t)
	for _, p := range pages {
		t.Run(p.file+"#"+strconv.Itoa(p.page), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, "files", p.file))
			if err != nil {
				t.Fatal(err)
			}
			f, err := tiff.Parse(data, tiff.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			im, err := f.Page(p.page - 1)
			if err != nil {
				t.Fatal(err)
			}
			d, err := im.Decode(context.Background())
			if p.sha256 == "" { // not bilevel
				if !errors.Is(err, tiff.ErrUnsupported) {
					t.Errorf("a page that is not bilevel: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sum := d.Raster.SHA256()
			if got := hex.EncodeToString(sum[:]); got != p.sha256 {
				report := t.Errorf
				if p.kind != "strict" {
					report = t.Logf
				}
				report("raster %d x %d with %d black pixels, want %d x %d with %d; bad rows %v, warnings %q",
					d.Raster.Width, d.Raster.Height, d.Raster.BlackPixels(), p.width, p.height, p.black, d.BadRows, d.Warnings)
			} else if p.kind == "strict" && len(d.BadRows) > 0 {
				t.Errorf("bad rows %v in a faultless page, warnings %q", d.BadRows, d.Warnings)
			}
		})
	}
}

// ImageGear writes runs of no pixels, which libtiff reads as we do and others do
// not: such a strip must not be copied into a PDF.
func TestRunsWithoutPixelsAreNotCopied(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(corpusDir(t), "files", "sailfishos-mirror+libtiff", "test", "images", "testfax4.tiff"))
	if err != nil {
		t.Fatal(err)
	}
	d := decodeAll(t, data)[0]
	if d.CleanG4 != nil || len(d.Warnings) != 1 || len(d.BadRows) > 0 {
		t.Errorf("%d bytes to copy, warnings %q, bad rows %v", len(d.CleanG4), d.Warnings, d.BadRows)
	}
}
