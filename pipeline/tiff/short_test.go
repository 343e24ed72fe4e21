package tiff_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// Rows that ImageLength promises and that are not there are missing whatever the compression, and whether the data just
// end or say that they do.
func TestRowsBehindAnEarlyEndMarkAreMissing(t *testing.T) {
	const width = 1728
	p := textPage(width, 2000)
	g3 := func(o ccitt.G3Options) func(rows int) []byte {
		return func(rows int) []byte { return ccitt.AppendG3(nil, p.Pix, width, rows, p.Stride, o) }
	}
	for name, c := range map[string]struct {
		compression uint32
		data        func(rows int) []byte
		more        []field
		tolerant    bool // an end mark says that there are no more rows
	}{
		"mmr":          {4, func(rows int) []byte { return ccitt.AppendG4(nil, p.Pix, width, rows, p.Stride) }, nil, true},
		"mh":           {3, g3(ccitt.G3Options{RTC: true}), nil, true},
		"mr":           {3, g3(ccitt.G3Options{TwoD: true, RTC: true}), []field{{292, 4, 1, 1}}, true},
		"uncompressed": {1, func(rows int) []byte { return p.Pix[:rows*p.Stride] }, nil, false},
		"deflate":      {8, func(rows int) []byte { return deflateOf(t, p.Pix[:rows*p.Stride]) }, nil, false},
	} {
		for _, rows := range []int{2000, 1994, 1993, 50} {
			t.Run(fmt.Sprint(name, " with ", rows), func(t *testing.T) {
				var want []ccitt.RowRange
				if rows < 2000 && !(c.tolerant && rows >= 1994) {
					want = []ccitt.RowRange{{First: rows, Last: 1999}}
				}
				wantMissing(t, onePage(c.compression, width, 2000, c.data(rows), c.more...), p, rows, want)
			})
		}
	}
}

func wantMissing(t *testing.T, file []byte, p *raster.Page, rows int, want []ccitt.RowRange) {
	t.Helper()
	d := decodeAll(t, file)[0]
	longest := 0
	if len(want) > 0 {
		longest = want[0].Last - want[0].First + 1
	}
	if fmt.Sprint(d.BadRows) != fmt.Sprint(want) || d.LongestBadRun != longest || d.Raster.Height != p.Height {
		t.Errorf("height %d, bad rows %v, the longest %d; want %v; warnings %q", d.Raster.Height, d.BadRows, d.LongestBadRun, want, d.Warnings)
	}
	if rows < p.Height && (d.CleanG4 != nil || len(d.Warnings) == 0) {
		t.Errorf("%d bytes to copy, warnings %q", len(d.CleanG4), d.Warnings)
	}
	for y := range d.Raster.Height {
		if row := string(d.Raster.Row(y)); y < rows && row != string(p.Row(y)) || y >= rows && row != string(make([]byte, p.Stride)) {
			t.Fatalf("row %d differs", y)
		}
	}
}

// Only the page's end may lack rows: those of a strip before it would be a gap in the page.
func TestAnEndMarkExcusesNoGap(t *testing.T) {
	const width, height, half = 1728, 600, 300
	p := textPage(width, height)
	for _, short := range []int{0, 1} {
		var strips [2][]byte
		for i := range strips {
			rows := half
			if i == short {
				rows -= 3
			}
			strips[i] = ccitt.AppendG4(nil, p.Pix[i*half*p.Stride:], width, rows, p.Stride)
		}
		const fields, arrays = 7, 16
		offset := uint32(8 + 2 + 12*fields + 4)
		var data []byte
		for _, n := range []int{arrays, arrays + len(strips[0])} {
			data = binary.LittleEndian.AppendUint32(data, offset+uint32(n))
		}
		for _, s := range strips {
			data = binary.LittleEndian.AppendUint32(data, uint32(len(s)))
		}
		data = append(append(data, strips[0]...), strips[1]...)
		d := decodeAll(t, handMade(0, data, field{256, 4, 1, width}, field{257, 4, 1, height}, field{259, 3, 1, 4}, field{262, 3, 1, 0},
			field{273, 4, 2, offset}, field{278, 4, 1, half}, field{279, 4, 2, offset + 8}))[0]
		want := "[]"
		if short == 0 {
			want = "[{297 299}]"
		}
		if fmt.Sprint(d.BadRows) != want {
			t.Errorf("strip %d lacks three rows: bad rows %v, want %s; warnings %q", short+1, d.BadRows, want, d.Warnings)
		}
	}
}
