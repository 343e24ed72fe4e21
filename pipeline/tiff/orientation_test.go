package tiff_test

import (
	"bytes"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// The frame's open side is stored below and belongs above.
func TestFieldPageUpsideDownIsTurned(t *testing.T) {
	d := decodeAll(t, fieldFile(t, "orientation3.tif"))[0]
	wantWarning(t, d, "Orientation 3")
	u, tones := d.Upright()
	if d.Orientation != 3 || tones != nil || u.Width != 24 || u.Height != 8 {
		t.Fatalf("orientation %d, %d x %d", d.Orientation, u.Width, u.Height)
	}
	open := string([]byte{0x80, 0x00, 0x01}) // a row with the frame's sides only
	if string(d.Raster.Row(7)) != open || string(d.Raster.Row(0)) == open || string(u.Row(0)) != open || string(u.Row(7)) == open {
		t.Errorf("upright rows %x ... %x, stored %x ... %x", u.Row(0), u.Row(7), d.Raster.Row(0), d.Raster.Row(7))
	}
}

func TestTurnedPagesAreStoredAsTheyAreAndShownUpright(t *testing.T) {
	p := textPage(1728, 60)
	for o := raster.Orientation(1); o <= 9; o++ {
		d := decodeAll(t, onePage(4, 1728, 60, g4(p), field{274, 3, 1, uint32(o)}))[0]
		want := o
		if !o.Known() {
			want = raster.Upright
			wantWarning(t, d, "Orientation 9 is none")
		}
		u, _ := d.Upright()
		if d.Orientation != want || d.Raster.SHA256() != p.SHA256() || u.SHA256() != p.Upright(want).SHA256() || d.CleanG4 == nil {
			t.Errorf("orientation %d: %d, %d x %d", o, d.Orientation, u.Width, u.Height)
		}
		if o == 1 && (u != d.Raster || len(d.Warnings) > 1) {
			t.Errorf("an upright page is copied, or warned of: %q", d.Warnings)
		}
	}
}

func TestTurnedGrayPagesAreShownUpright(t *testing.T) {
	page := tonesPage(17, 9, 3)
	s, err := tiff.TonesStrip(page)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := tiff.NewWriter(&buf)
	if _, err := w.AddPage(tiff.PageMeta{Width: 17, Height: 9, Orientation: 6}, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d := decodeAll(t, buf.Bytes())[0]
	u, tones := d.Upright()
	if d.Orientation != 6 || farthest(d.Tones, page) != 0 || farthest(tones, page.Upright(6)) != 0 || u.Width != 9 {
		t.Errorf("orientation %d, upright %d x %d", d.Orientation, u.Width, u.Height)
	}
}
