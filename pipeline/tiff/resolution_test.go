package tiff_test

import (
	"encoding/binary"
	"math"
	"testing"
)

// All that is made of a page has one resolution, which Decode decides.
func TestDecodeDecidesTheResolution(t *testing.T) {
	p := textPage(1728, 1146)
	strip := g4(p)
	const fields = 10
	at := uint32(8 + 2 + 12*fields + 4 + len(strip))
	page := func(x, y, unit uint32) []byte {
		data := strip
		for _, v := range []uint32{x, 1, y, 1} {
			data = binary.LittleEndian.AppendUint32(data[:len(data):len(data)], v)
		}
		return onePage(4, 1728, 1146, data, field{282, 5, 1, at}, field{283, 5, 1, at + 8}, field{296, 3, 1, unit})
	}
	for _, c := range []struct {
		file   []byte
		x, y   float64
		warned string
	}{
		{page(204, 98, 2), 204, 98, ""},
		{page(1, 1, 1), 204, 98, "is impossible"},
		{page(72, 72, 2), 204, 98, "is impossible"},
		{page(80, 39, 2), 203.2, 99.06, "as per centimetre"},
		{page(204, 98, 3), 204, 98, "as per inch"},
		{page(98, 204, 2), 204, 98, "exchanged"},
		{onePage(4, 1728, 1146, strip), 204, 98, "no resolution"},
	} {
		d := decodeAll(t, c.file)[0]
		if math.Abs(d.Raster.XRes-c.x) > 0.01 || math.Abs(d.Raster.YRes-c.y) > 0.01 || d.Resolution.X != d.Raster.XRes ||
			d.Resolution.Y != d.Raster.YRes {
			t.Errorf("%g x %g, want %g x %g", d.Raster.XRes, d.Raster.YRes, c.x, c.y)
		}
		if c.warned != "" {
			wantWarning(t, d, c.warned)
		} else if len(d.Warnings) > 0 {
			t.Errorf("warnings %q", d.Warnings)
		}
	}
}
