package text

import (
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// A box around ink on the upright PNG is around the same ink on the page as stored, in every orientation and scale.
func TestBoxesLieOnTheInk(t *testing.T) {
	for o := raster.Orientation(1); o <= 8; o++ {
		stored := raster.New(40, 24)
		for y := 5; y < 9; y++ {
			for x := 11; x < 21; x++ {
				stored.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
		for _, scale := range [][2]int{{1, 1}, {1, 2}, {2, 1}} {
			ink := inkOf(stored.Upright(o))
			ink = Box{ink.Left * scale[0], ink.Top * scale[1], ink.Right * scale[0], ink.Bottom * scale[1]}
			im := Image{Width: 40, Height: 24, Orientation: int(o), PNG: true, ScaleX: scale[0], ScaleY: scale[1]}
			got, err := Place([]Word{{Text: "ink", Box: &ink}}, im)
			if want := (Box{11, 5, 21, 9}); err != nil || *got[0].Box != want {
				t.Errorf("orientation %d, scale %v: %+v is at %+v, want %+v: %v", o, scale, ink, got[0].Box, want, err)
			}
		}
	}
}

// inkOf is the box around the black pixels.
func inkOf(p *raster.Page) Box {
	b := Box{p.Width, p.Height, 0, 0}
	for y := range p.Height {
		for x := range p.Width {
			if p.Row(y)[x/8]&(0x80>>(x%8)) != 0 {
				b = Box{min(b.Left, x), min(b.Top, y), max(b.Right, x+1), max(b.Bottom, y+1)}
			}
		}
	}
	return b
}

// Engines round, so a box may reach two pixels beyond the image; one that reaches farther is of another image.
func TestBoxesMustLieOnTheImage(t *testing.T) {
	im := Image{Width: 100, Height: 50}
	for _, row := range []struct{ box, want Box }{
		{Box{-2, -1, 101, 52}, Box{0, 0, 100, 50}},
		{Box{7, 7, 7, 7}, Box{7, 7, 8, 8}},
		{Box{100, 50, 101, 51}, Box{99, 49, 100, 50}},
	} {
		if got, err := Place([]Word{{Text: "a", Box: &row.box}}, im); err != nil || *got[0].Box != row.want {
			t.Errorf("%+v is at %+v, want %+v: %v", row.box, got, row.want, err)
		}
	}
	for _, off := range []Box{{-3, 0, 5, 5}, {0, 0, 103, 5}, {0, 40, 5, 53}, {9, 0, 5, 5}, {0, 9, 5, 5}} {
		_, err := Place([]Word{{Text: "a"}, {Text: "bee", Box: &off}}, im)
		if err == nil || !strings.Contains(err.Error(), `word 2 ("bee")`) || !strings.Contains(err.Error(), "100 x 50 pixels") {
			t.Errorf("%+v: %v", off, err)
		}
	}
	if got, err := Place([]Word{{Text: "a"}}, im); err != nil || got[0].Box != nil {
		t.Errorf("a word without a box: %+v, %v", got, err)
	}
}
