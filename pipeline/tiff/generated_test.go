package tiff_test

import (
	"encoding/csv"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// misreadByLibtiff are the generated files that libtiff wrote and does not
// read as they are: the codes of compression 32771. The bitmap that they were
// made from is the only judge of them.
var misreadByLibtiff = map[string]bool{
	"text.c32771.tif": true, "text.c32771.r64.lsb.BE.tif": true,
	"halftone.c32771.tif": true, "halftone.c32771.r64.lsb.BE.tif": true,
	"dense.c32771.tif": true, "dense.c32771.r64.lsb.BE.tif": true,
}

// TestGeneratedFaxesDecodeAsLibtiffAndTheirSourceSay reads the 244 files that
// gen.sh of the corpus makes. Each page is compared with what libtiff reads,
// and with the bitmap it was made from where that is one of three.
func TestGeneratedFaxesDecodeAsLibtiffAndTheirSourceSay(t *testing.T) {
	if testing.Short() {
		t.Skip("runs without -short: 453 pages and as many processes")
	}
	corpus := corpusDir(t)
	dir := os.Getenv("FAXSTREAM_GENERATED")
	if dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("FAXSTREAM_GENERATED is not set: make test sets it")
		}
		t.Skip("FAXSTREAM_GENERATED does not name a folder with the files of gen.sh: make test makes one")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tif"))
	if err != nil || len(files) != 244 {
		t.Fatalf("%d files in %s instead of 244, %v", len(files), dir, err)
	}
	judge := libtiffJudge(t, corpus)
	sources := map[string]*raster.Page{}
	for _, name := range []string{"text", "halftone", "dense"} {
		sources[name] = decodeFile(t, filepath.Join(dir, name+".none.tif"))[0]
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			pages := decodeFile(t, file)
			compareWithSource(t, filepath.Base(file), pages, sources)
			if misreadByLibtiff[filepath.Base(file)] {
				return
			}
			libtiff := judge(t, file)
			if len(libtiff) != len(pages) {
				t.Fatalf("%d pages, libtiff reads %d", len(pages), len(libtiff))
			}
			for i, p := range pages {
				if sum := p.SHA256(); libtiff[i] != hex.EncodeToString(sum[:]) {
					t.Errorf("page %d: %d x %d with %d black pixels, libtiff reads others", i+1, p.Width, p.Height, p.BlackPixels())
				}
			}
		})
	}
}

// decodeFile returns the pages of a file that must be faultless.
func decodeFile(t *testing.T, name string) []*raster.Page {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var pages []*raster.Page
	for i, d := range decodeAll(t, data) {
		if len(d.BadRows) > 0 {
			t.Errorf("page %d: bad rows %v in a faultless file, warnings %q", i+1, d.BadRows, d.Warnings)
		}
		pages = append(pages, d.Raster)
	}
	return pages
}

func compareWithSource(t *testing.T, base string, pages []*raster.Page, sources map[string]*raster.Page) {
	t.Helper()
	source := sources[base[:strings.IndexByte(base, '.')]]
	if strings.HasPrefix(base, "fax2tiff") {
		source = sources["text"]
	}
	if source == nil {
		return // made by ghostscript from all pages of page.ps
	}
	for i, p := range pages {
		same := *p
		if strings.HasPrefix(base, "fax2tiff") {
			same.Height = min(p.Height, source.Height) // its ImageLength counts the RTC
		}
		if same.SHA256() != source.SHA256() {
			t.Errorf("page %d: %d x %d with %d black pixels, made from %d x %d with %d", i+1,
				p.Width, p.Height, p.BlackPixels(), source.Width, source.Height, source.BlackPixels())
		}
	}
}

// libtiffJudge builds the corpus' tiffidx.c and returns a function that has
// libtiff decode a file and gives the SHA-256 of each page's rows, as
// index.csv defines it. A page on which libtiff reports an error fails.
func libtiffJudge(t *testing.T, corpus string) func(t *testing.T, file string) []string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tiffidx")
	cc := exec.Command(tool(t, "gcc", "gcc"), "-O2", "-o", bin, filepath.Join(corpus, "tiffidx.c"), "-ltiff")
	if msg, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v (libtiff-dev is needed): %s", err, msg)
	}
	return func(t *testing.T, file string) []string {
		t.Helper()
		out, err := exec.Command(bin, file).Output()
		if err != nil {
			t.Fatal(err)
		}
		const status, sum, said = 18, 21, 23 // columns
		rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var sums []string
		for i, row := range rows {
			if row[status] != "ok" && row[status] != "ok+warn" {
				t.Errorf("page %d: libtiff says %s: %s", i+1, row[status], row[said])
			}
			sums = append(sums, row[sum])
		}
		return sums
	}
}
