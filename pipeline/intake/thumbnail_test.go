package intake_test

import (
	"bytes"
	"image/png"
	"slices"
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

// The bad rows of a page are those that its decoder reports; a whole page has none.
func TestBadRowsOfAnOriginal(t *testing.T) {
	data := pipelinetest.Testdata(t, "letter-fine-g3.tiff")
	small := intake.NewThumbnails(intake.NewMemory(0, ""))
	if rows, err := small.BadRows(t.Context(), bytes.NewReader(data)); err != nil || len(rows) > 0 {
		t.Errorf("a page as it was sent: %v, %v", rows, err)
	}
	for i := len(data) / 2; i < len(data)/2+40; i++ {
		data[i] ^= 0x5A
	}
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
	rows, err := small.BadRows(t.Context(), bytes.NewReader(data))
	if err != nil || len(rows) == 0 || !slices.Equal(rows, d.BadRows) {
		t.Errorf("a damaged page: %v, %v; want %v", rows, err, d.BadRows)
	}
	if _, err := small.BadRows(t.Context(), strings.NewReader("no TIFF")); err == nil {
		t.Error("no page has bad rows")
	}
}
