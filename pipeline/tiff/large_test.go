package tiff_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// The largest sheet of T.30 is A3 at 1,200 per inch.
func TestTheLargestSheetOfT30IsDecoded(t *testing.T) {
	if testing.Short() {
		t.Skip("36 MB of rows: runs without -short")
	}
	p := raster.New(14592, 19842)
	for y := 0; y < p.Height; y += 100 {
		copy(p.Row(y)[100:], bytes.Repeat([]byte{0xf0}, 1000))
	}
	d := decodeAll(t, onePage(4, 14592, 19842, g4(p)))[0]
	if d.Raster.SHA256() != p.SHA256() || len(d.BadRows) > 0 || d.Resolution.X != 1200 || d.CleanG4 == nil {
		t.Errorf("%d x %d, bad rows %v, %+v", d.Raster.Width, d.Raster.Height, d.BadRows, d.Resolution)
	}
}

// T.30 lets a page be longer than any sheet. White rows of Group 4 take a bit.
func TestALongPageIsDecoded(t *testing.T) {
	if testing.Short() {
		t.Skip("258 MB of rows: runs without -short")
	}
	const rows = 141_732 // 3 m at 1,200 lines per inch
	data := append(bytes.Repeat([]byte{0xff}, rows/8), 0xf0, 0x00, 0x10, 0x01)
	d := decodeAll(t, onePage(4, 14592, rows, data))[0]
	if d.Raster.Height != rows || d.RowsFound != rows || len(d.BadRows) > 0 || d.Resolution.X != 1200 {
		t.Errorf("%d rows, %d found, bad rows %v, %+v", d.Raster.Height, d.RowsFound, d.BadRows, d.Resolution)
	}
	if _, err := decodeAllPages(onePage(1, 14592, 2*rows, data)); !errors.Is(err, tiff.ErrLimit) {
		t.Errorf("a page of 6 m: %v", err)
	}
}
