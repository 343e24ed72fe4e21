package document_test

import (
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// The event of a page and the manifest have its quality: text, upright, without a border; and a white page is blank.
func TestPagesTellTheirQuality(t *testing.T) {
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	white := raster.New(1728, 2200)
	strip := tiff.G4Strip(ccitt.AppendG4(nil, white.Pix, white.Width, white.Height, white.Stride))
	wb.Page("s", 1, pipelinetest.Testdata(t, "letter-fine-g3-2d-fill-lsb.tiff"))
	wb.Page("s", 2, pipelinetest.StripFile(t, tiff.PageMeta{Width: white.Width, Height: white.Height, XRes: 204, YRes: 196}, strip))
	text, blank := wb.Facts["s"][1].Quality, wb.Facts["s"][2].Quality
	if text == nil || text.Blank || text.Ink < 1000 || text.Ink > 200_000 || !text.SkewKnown || text.Skew < -100 || text.Skew > 100 ||
		text.Border > 0 {
		t.Errorf("a page of text is %+v", text)
	}
	if blank == nil || !blank.Blank || blank.Ink > 0 {
		t.Errorf("a white page is %+v", blank)
	}
	m := wb.Assemble(wb.Order("s", nil))
	if q := m.Pages[0].Quality; q == nil || *q != *text {
		t.Errorf("the manifest says %+v", q)
	}
}
