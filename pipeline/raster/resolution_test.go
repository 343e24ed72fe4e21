package raster_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

func TestResolutionIsDecidedFromTagsWidthAndLength(t *testing.T) {
	type tags = raster.ResolutionTags
	const none, inch, cm = raster.UnitNone, raster.UnitInch, raster.UnitCentimetre
	for _, c := range []struct {
		tags    tags
		x, y    float64
		assumed string // a part of it
	}{
		// Tags that can be true.
		{tags{204, 196, inch, 1728, 2292, false}, 204, 196, ""},
		{tags{204, 98, 0, 1728, 1146, false}, 204, 98, ""},
		{tags{203, 391, inch, 1728, 4584, false}, 203, 391, ""},
		{tags{200, 100, inch, 1728, 1100, false}, 200, 100, ""},
		{tags{204, 196, inch, 1728, 300, false}, 204, 196, ""},
		{tags{80, 77, cm, 1728, 2292, false}, 203.2, 195.58, ""},
		{tags{300, 300, inch, 2550, 3300, false}, 300, 300, ""},
		{tags{300, 300, inch, 1728, 2200, false}, 300, 300, ""}, // a narrow sheet
		{tags{72, 72, inch, 612, 792, true}, 72, 72, ""},
		{tags{204, 196, inch, 24, 8, false}, 204, 196, ""},
		{tags{1200, 1200, inch, 14592, 19842, false}, 1200, 1200, ""},
		{tags{408, 391, inch, 3456, 4584, false}, 408, 391, ""},
		{tags{200, 200, inch, 3400, 2200, false}, 200, 200, ""}, // 17 x 11 inches
		// None.
		{tags{0, 0, inch, 1728, 1146, false}, 204, 98, "no resolution"},
		{tags{0, 0, inch, 1728, 2292, false}, 204, 196, "no resolution"},
		{tags{0, 0, inch, 1728, 4584, false}, 204, 391, "no resolution"},
		{tags{0, 0, inch, 1728, 20_000, false}, 204, 196, "no resolution"},
		{tags{0, 0, inch, 2432, 3240, false}, 204, 391, "no resolution"},
		{tags{0, 0, inch, 1728, 2200, true}, 200, 200, "no resolution"},
		{tags{0, 0, inch, 2592, 3300, false}, 300, 300, "no resolution"},
		{tags{0, 0, inch, 3456, 4584, false}, 408, 391, "no resolution"},
		{tags{0, 0, inch, 14592, 19842, false}, 1200, 1200, "no resolution"},
		{tags{0, 0, inch, 2550, 3300, false}, 300, 300, "no resolution"},
		{tags{0, 0, inch, 1654, 2339, false}, 200, 200, "no resolution"},
		{tags{0, 0, inch, 999, 999, false}, 200, 200, "no resolution"},
		{tags{204, 0, inch, 1728, 1146, false}, 204, 98, "is impossible"},
		// What cannot be.
		{tags{1, 1, none, 1728, 1146, false}, 204, 98, "1 x 1 without a unit is impossible"},
		{tags{1, 1, inch, 1728, 2292, false}, 204, 196, "1 x 1 per inch is impossible"},
		{tags{72, 72, inch, 1728, 2292, false}, 204, 196, "72 x 72 per inch is impossible"},
		{tags{72, 72, inch, 2550, 3300, false}, 300, 300, "is impossible"},
		{tags{1e9, 1e9, inch, 1728, 1146, false}, 204, 98, "is impossible"},
		// Units.
		{tags{80, 77, inch, 1728, 2292, false}, 203.2, 195.58, "read as per centimetre"},
		{tags{80.3, 38.6, inch, 1728, 1146, false}, 203.96, 98.04, "read as per centimetre"},
		{tags{204, 196, cm, 1728, 2292, false}, 204, 196, "read as per inch"},
		{tags{204, 98, none, 1728, 1146, false}, 204, 98, "read as per inch"},
		{tags{118.11, 118.11, inch, 2550, 3300, false}, 300, 300, "read as per centimetre"},
		{tags{300, 300, cm, 2550, 3300, false}, 300, 300, "read as per inch"},
		{tags{300, 300, none, 2550, 3300, false}, 300, 300, "read as per inch"},
		// Exchanged.
		{tags{98, 204, inch, 1728, 1146, false}, 204, 98, "X and Y exchanged"},
		{tags{196, 204, inch, 1728, 2292, false}, 204, 196, "X and Y exchanged"},
		{tags{391, 204, inch, 1728, 4584, false}, 204, 391, "X and Y exchanged"},
		{tags{100, 200, inch, 1728, 1100, false}, 200, 100, "X and Y exchanged"},
		{tags{38.6, 80.3, inch, 1728, 1146, false}, 203.96, 98.04, "as per centimetre with X and Y exchanged"},
	} {
		r := c.tags.Decide()
		if math.Abs(r.X-c.x) > 0.1 || math.Abs(r.Y-c.y) > 0.1 || (r.Assumed == "") != (c.assumed == "") ||
			!strings.Contains(r.Assumed, c.assumed) {
			t.Errorf("%+v: %+v, want %g x %g, %q", c.tags, r, c.x, c.y, c.assumed)
		}
	}
}

// Whatever the tags are, every output gets a resolution that a sheet can have.
func FuzzResolution(f *testing.F) {
	f.Add(204.0, 196.0, 2, 1728, 2292, false)
	f.Add(math.Inf(1), math.NaN(), 3, 1, 1, true)
	f.Add(1e-300, 1e300, 1, 14592, 200_000, false)
	f.Fuzz(func(t *testing.T, x, y float64, unit, width, height int, tones bool) {
		if width < 1 || height < 1 || width > 20_000 || height > 200_000 {
			return
		}
		r := raster.ResolutionTags{X: x, Y: y, Unit: raster.Unit(unit), Width: width, Height: height, Tones: tones}.Decide()
		if !(r.X >= 50 && r.X <= 2500 && r.Y >= 50 && r.Y <= 2500 && r.Y/r.X > 0.39 && r.Y/r.X < 2.61) {
			t.Errorf("%g x %g: %s", x, y, fmt.Sprintf("%+v", r))
		}
	})
}
