package intake

import (
	"slices"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Of several images of a page every process chooses the same one: fewest bad rows, then most rows, then the lowest hash.
func TestBetterIsTheSameEverywhere(t *testing.T) {
	of := func(rows, bad int, sum string) Image {
		m := Image{Decoded: &tiff.Decoded{Raster: raster.New(8, rows)}, SHA256: sum}
		if bad > 0 {
			m.BadRows = []ccitt.RowRange{{First: 1, Last: 1}, {First: 4, Last: 2 + bad}}
		}
		return m
	}
	want := []Image{of(20, 0, "b"), of(20, 0, "c"), of(10, 0, "a"), of(30, 3, "a"), of(20, 3, "a"), of(30, 4, "a")}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, func(a, b Image) int {
		switch {
		case a.rank().better(b.rank()):
			return -1
		case b.rank().better(a.rank()):
			return 1
		}
		return 0
	})
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("place %d: %d rows, %d bad, hash %s", i, got[i].Raster.Height, got[i].CountBadRows(), got[i].SHA256)
		}
	}
}
