package tiff_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// TestGeneratedFaxesDecodeToTheirSource reads the files that gen.sh of the
// corpus makes from three bitmaps. It runs where FAXSTREAM_GENERATED names the
// folder in which gen.sh has run; that takes a minute and 300 MB.
func TestGeneratedFaxesDecodeToTheirSource(t *testing.T) {
	dir := os.Getenv("FAXSTREAM_GENERATED")
	if dir == "" {
		t.Skip("FAXSTREAM_GENERATED does not name a folder with the files of gen.sh")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tif"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	sources := map[string]*raster.Page{}
	for _, name := range []string{"text", "halftone", "dense"} {
		data, err := os.ReadFile(filepath.Join(dir, name+".none.tif"))
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = decodeAll(t, data)[0].Raster
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(file)
		for i, d := range decodeAll(t, data) {
			if len(d.BadRows) > 0 {
				t.Errorf("%s page %d: bad rows %v in a faultless file, warnings %q", base, i+1, d.BadRows, d.Warnings)
			}
			source := sources[base[:strings.IndexByte(base, '.')]]
			if strings.HasPrefix(base, "fax2tiff") {
				source = sources["text"]
				d.Raster.Height = min(d.Raster.Height, source.Height) // its ImageLength counts the RTC
			}
			if source != nil && d.Raster.SHA256() != source.SHA256() {
				t.Errorf("%s page %d: %d x %d with %d black pixels, want %d x %d with %d", base, i+1,
					d.Raster.Width, d.Raster.Height, d.Raster.BlackPixels(), source.Width, source.Height, source.BlackPixels())
			}
		}
	}
}
