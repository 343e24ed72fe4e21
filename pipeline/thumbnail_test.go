package pipeline_test

import (
	"bytes"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/faxstream/faxstream/pipeline"
)

// A thumbnail has the proportions of the sheet, whatever the resolution; what is no page has none.
func TestThumbnails(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := randomPage(rng)
	p.XRes, p.YRes = 204, 98
	small, err := pipeline.NewThumbnails().PNG(t.Context(), tiffFile(rng, p))
	if err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	sheet := float64(p.Width) / p.XRes / (float64(p.Height) / p.YRes)
	b := im.Bounds()
	if got := float64(b.Dx()) / float64(b.Dy()); max(b.Dx(), b.Dy()) > pipeline.ThumbnailSide || got < sheet*0.7 || got > sheet*1.4 {
		t.Errorf("the thumbnail is %v of a sheet with the proportions %.2f", b, sheet)
	}
	if _, err := pipeline.NewThumbnails().PNG(t.Context(), []byte("no TIFF")); err == nil {
		t.Error("there is a thumbnail of no page")
	}
}
