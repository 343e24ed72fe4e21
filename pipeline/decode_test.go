package pipeline

import (
	"slices"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Of several images of a page every process chooses the same one: fewest bad rows, then most rows, then the lowest hash.
func TestBetterIsTheSameEverywhere(t *testing.T) {
	of := func(rows, bad int, sum string) image {
		m := image{Decoded: &tiff.Decoded{Raster: raster.New(8, rows)}, sum: sum}
		if bad > 0 {
			m.BadRows = []ccitt.RowRange{{First: 1, Last: 1}, {First: 4, Last: 2 + bad}}
		}
		return m
	}
	want := []image{of(20, 0, "b"), of(20, 0, "c"), of(10, 0, "a"), of(30, 3, "a"), of(20, 3, "a"), of(30, 4, "a")}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, func(a, b image) int {
		switch {
		case better(a, b):
			return -1
		case better(b, a):
			return 1
		}
		return 0
	})
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("place %d: %d rows, %d bad, hash %s", i, got[i].Raster.Height, badRows(got[i]), got[i].sum)
		}
	}
}

// A page's event and the manifest tell what its rows are like: text, upright, without a border; and a white page is blank.
func TestPagesTellTheirQuality(t *testing.T) {
	wb := newWorkbench(t, localArchive(t))
	white := raster.New(1728, 2200)
	strip := tiff.G4Strip(ccitt.AppendG4(nil, white.Pix, white.Width, white.Height, white.Stride))
	wb.page("s", 1, testdata(t, "letter-fine-g3-2d-fill-lsb.tiff"))
	wb.page("s", 2, stripFile(t, tiff.PageMeta{Width: white.Width, Height: white.Height, XRes: 204, YRes: 196}, strip))
	text, blank := wb.facts["s"][1].Quality, wb.facts["s"][2].Quality
	if text == nil || text.Blank || text.Ink < 1000 || text.Ink > 200_000 || !text.SkewKnown || text.Skew < -100 || text.Skew > 100 || text.Border > 0 {
		t.Errorf("a page of text is %+v", text)
	}
	if blank == nil || !blank.Blank || blank.Ink > 0 {
		t.Errorf("a white page is %+v", blank)
	}
	m := wb.assemble(wb.order("s", nil))
	if q := m.Pages[0].Quality; q == nil || *q != *text {
		t.Errorf("the manifest says %+v", q)
	}
}
