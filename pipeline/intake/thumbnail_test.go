package intake_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// A thumbnail has the proportions of the sheet, with any resolution. Bytes that are not a page give an error.
func TestThumbnails(t *testing.T) {
	data := pipelinetest.Testdata(t, "letter-standard-g4.tiff")
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := file.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := page.Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := d.Raster
	small, err := intake.NewThumbnails(intake.NewMemory(0, "")).PNG(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	sheet := float64(p.Width) / p.XRes / (float64(p.Height) / p.YRes)
	b := im.Bounds()
	if got := float64(b.Dx()) / float64(b.Dy()); max(b.Dx(), b.Dy()) > intake.ThumbnailSide || got < sheet*0.7 || got > sheet*1.4 {
		t.Errorf("the thumbnail is %v of a sheet with the proportions %.2f", b, sheet)
	}
	if _, err := intake.NewThumbnails(intake.NewMemory(0, "")).PNG(t.Context(), strings.NewReader("no TIFF")); err == nil {
		t.Error("there is a thumbnail of no page")
	}
}
