package raster

import (
	"fmt"
	"math"
	"strconv"
)

// A Unit is what a file says its resolution counts per (TIFF 6.0, ResolutionUnit).
type Unit int

const (
	UnitNone       Unit = 1 // only the ratio is meant
	UnitInch       Unit = 2
	UnitCentimetre Unit = 3
)

// ResolutionTags are what a file says of a page's resolution, and what is known
// of the page besides.
type ResolutionTags struct {
	X, Y          float64 // pixels per Unit; 0: missing
	Unit          Unit    // 0: UnitInch
	Width, Height int     // pixels, rows
	Tones         bool    // gray or colour, whose pixels are square (T.4 Annex E)
}

// A Resolution is the one on which all outputs of a page agree.
type Resolution struct {
	X, Y float64 // pixels per inch, never 0

	// Assumed says in words what was decided against the tags or without
	// them; empty when they were believed.
	Assumed string
}

const (
	centimetresPerInch = 2.54
	leastResolution    = 50   // pixels per inch: less is no fax and no scan
	mostResolution     = 2500 // T.4 and T.30 end at 1,200
	widestFax          = 13   // inches: A3, 303 mm, and some
	widestSheet        = 18   // inches: A3 lying
	longestSheet       = 120  // inches: 3 m
	longPage           = 14.4 // inches: a page of legal size, 14 inches, and some
)

// Decide returns the resolution of a page. Tags that can be true are believed.
// Fax pages have one of few widths, each with few resolutions (T.30 table 2,
// T.4 section 2), so that a wrong unit, exchanged numbers and what is missing
// show; where several resolutions are left the length decides. Other pages have
// the width of a sheet in a usual resolution, or 200 pixels per inch.
func (t ResolutionTags) Decide() Resolution {
	if t.Unit == 0 {
		t.Unit = UnitInch
	}
	fax := faxWidth(t.Width)
	for _, r := range t.readings() {
		if fax > 0 && r.fits(fax) {
			return r.Resolution
		}
		if fax == 0 && r.usual(t) {
			return r.Resolution
		}
	}
	if tagged := t.tagged(); t.Unit != UnitNone && tagged.possible(t) {
		return tagged
	}
	return t.assume(fax)
}

// faxWidth returns how many times 8 pixels per mm a fax of this width has: 1 for
// 1728, 2048 and 2432 pixels (A4, B4, A3), 0 for a width that is no fax's.
func faxWidth(width int) float64 {
	for _, times := range [...]float64{0.5, 1, 1.5, 2, 3, 4, 6} {
		for _, w := range [...]float64{1728, 2048, 2432} {
			if float64(width) == w*times {
				return times
			}
		}
	}
	return 0
}

// tagged is the resolution as the tags have it, in inches.
func (t ResolutionTags) tagged() Resolution {
	if t.Unit == UnitCentimetre {
		return Resolution{X: t.X * centimetresPerInch, Y: t.Y * centimetresPerInch}
	}
	return Resolution{X: t.X, Y: t.Y}
}

// A resolutionReading is one way of reading the tags.
type resolutionReading struct {
	Resolution
	asTagged bool
}

// readings returns the ways in which the tags can be meant, the likely ones
// first.
func (t ResolutionTags) readings() []resolutionReading {
	if !(t.X > 0 && t.Y > 0) {
		return nil
	}
	var rs []resolutionReading
	add := func(x, y float64, how string) {
		r := resolutionReading{Resolution: Resolution{X: x, Y: y}, asTagged: how == ""}
		if how != "" {
			r.Assumed = fmt.Sprintf("resolution %s read %s: %s per inch", t.words(), how, pair(x, y))
		}
		rs = append(rs, r)
	}
	units := [...]struct {
		unit Unit
		per  float64
		how  string
	}{{UnitInch, 1, "as per inch"}, {UnitCentimetre, centimetresPerInch, "as per centimetre"}}
	for _, swapped := range []bool{false, true} {
		for _, tagged := range []bool{true, false} {
			for _, u := range units {
				switch {
				case (u.unit == t.Unit) != tagged:
				case !swapped && tagged:
					add(t.X*u.per, t.Y*u.per, "")
				case !swapped:
					add(t.X*u.per, t.Y*u.per, u.how)
				case tagged:
					add(t.Y*u.per, t.X*u.per, "with X and Y exchanged")
				default:
					add(t.Y*u.per, t.X*u.per, u.how+" with X and Y exchanged")
				}
			}
		}
	}
	return rs
}

// fits tells whether a fax page of a width can have this resolution.
func (r resolutionReading) fits(times float64) bool {
	x, ratio := r.X/times, r.Y/r.X
	return x >= 198 && x <= 208 && (within(ratio, 0.49, 0.02) || within(ratio, 1, 0.07) || within(ratio, 1.96, 0.1))
}

// usual tells whether a page that is no fax can have this resolution. Tags are
// read otherwise than they stand only where that gives a usual number.
func (r resolutionReading) usual(t ResolutionTags) bool {
	if !r.possible(t) {
		return false
	}
	if r.asTagged {
		return t.Unit == UnitInch || usualNumber(r.X)
	}
	return usualNumber(r.X) && r.X == r.Y
}

// usualNumber tells whether scanners and fax machines have this resolution.
func usualNumber(v float64) bool {
	for _, usual := range [...]float64{100, 150, 200, 203.2, 204, 240, 300, 400, 408, 600, 1200} {
		if within(v, usual, usual/200) {
			return true
		}
	}
	return false
}

// possible tells whether a page of this resolution is a sheet of paper.
func (r Resolution) possible(t ResolutionTags) bool {
	widest := float64(widestSheet)
	if faxWidth(t.Width) > 0 {
		widest = widestFax
	}
	return r.X >= leastResolution && r.Y >= leastResolution && r.X <= mostResolution && r.Y <= mostResolution &&
		r.Y/r.X >= 0.4 && r.Y/r.X <= 2.6 && float64(t.Width)/r.X <= widest && float64(t.Height)/r.Y <= longestSheet
}

// assume decides without the tags.
func (t ResolutionTags) assume(fax float64) Resolution {
	var r Resolution
	switch {
	case fax == 0:
		r.X = sheetResolution(t.Width)
		r.Y = r.X
	case t.Tones || fax != 1 && fax != 2:
		r.X, r.Y = 200*fax, 200*fax
	case fax == 2:
		r.X, r.Y = 408, 391
	default:
		r.X, r.Y = 204, faxLines(t.Height)
	}
	why := "no resolution"
	if t.X > 0 || t.Y > 0 {
		why = fmt.Sprintf("resolution %s is impossible", t.words())
	}
	r.Assumed = fmt.Sprintf("%s: %s per inch assumed for %d x %d pixels", why, pair(r.X, r.Y), t.Width, t.Height)
	return r
}

// faxLines returns the lines per inch that make a page of this many rows a
// sheet: those of standard, fine or superfine resolution (T.4 2.2). A longer
// page is a fine one on a roll.
func faxLines(rows int) float64 {
	for _, lines := range [...]float64{98, 196, 391} {
		if float64(rows)/lines <= longPage {
			return lines
		}
	}
	return 196
}

// sheetResolution returns the usual resolution in which a page of this width is
// as wide as A4 or a letter, else 200.
func sheetResolution(width int) float64 {
	for _, v := range [...]float64{100, 150, 200, 240, 300, 400, 600, 1200} {
		for _, sheet := range [...]float64{8.5, 8.27} {
			if within(float64(width)/v, sheet, sheet/100) {
				return v
			}
		}
	}
	return 200
}

func within(v, middle, off float64) bool { return math.Abs(v-middle) <= off }

// words are the numbers as the file has them.
func (t ResolutionTags) words() string {
	switch t.Unit {
	case UnitNone:
		return pair(t.X, t.Y) + " without a unit"
	case UnitCentimetre:
		return pair(t.X, t.Y) + " per centimetre"
	}
	return pair(t.X, t.Y) + " per inch"
}

func pair(x, y float64) string { return short(x) + " x " + short(y) }

// short writes a number with one decimal at most.
func short(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
