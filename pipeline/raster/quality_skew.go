package raster

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// A profile finds how far rows lean: it cuts the page into upright strips, counts the black pixels of each strip's rows,
// and tries how far strips must be pushed up and down against each other until rows of text meet: then the sums across
// them differ most from one row to the next.
//
// Slopes are rows down for pixels to the right as lengths on the sheet, in units of 1/2^20.
type profile struct {
	group  int   // rows of the page that are one of the profile
	merge  int   // rows of the profile that are one of the coarse one
	rows   int   // of the profile
	pad    int   // empty rows above and below
	column []int // for a half of a word of the page's rows: its strip's first byte in counts, or noColumn

	// counts are the black pixels, 16 bits little-endian each, of the rows of one strip after the other, pad before and
	// behind, so that four can be added up at once.
	counts []byte
	strips []strip
}

type strip struct {
	first int   // its first byte in counts
	reach int64 // how far its middle is from that of the page, in rows of the profile, times 2^16; negative to the left
}

const (
	slopeBits  = 20
	coarseStep = 1830 // 0.1 degrees
	coarseEnd  = 50   // steps to either side: 4.99 degrees
	fineStep   = 458  // 0.025 degrees
	fineEnd    = 6
	fitEnd     = 4 // steps to either side of the best that the parabola goes through
	steepest   = coarseStep*coarseEnd + fineStep*(fineEnd+fitEnd)

	stripWidth  = 32 // pixels, half a word
	maxStrips   = 64
	maxRows     = 4096 // of a profile: what is below on a longer page is not looked at
	maxGroup    = 7    // maxStrips*stripWidth*maxGroup*maxCoarser must fit 16 bits
	fineLines   = 200  // an inch, that a profile has about
	coarseLines = 50   // that one for the first search has
	maxCoarser  = 4
	fewStrips   = 8 // with fewer a page is too narrow
	noColumn    = -1
)

func newProfile(p *Page) *profile {
	xres, yres := p.resolution()
	ratio := int64(math.Round(float64(yres/xres) * (1 << 16))) // rows for a pixel's width, times 2^16
	f := &profile{group: min(max((int(yres)+fineLines/2)/fineLines, 1), maxGroup)}
	f.merge = min(max((int(yres)/f.group+coarseLines/2)/coarseLines, 1), maxCoarser)
	halves := (p.Width + 63) / 64 * 2
	f.strips = make([]strip, min(halves, maxStrips))
	half := func(i int) int { return (2*i + 1) * halves / (2 * len(f.strips)) } // of a row, that is strip i: they are spread
	for i := range f.strips {
		middle := stripWidth*half(i) + stripWidth/2
		f.strips[i].reach = int64(2*middle-p.Width) * ratio / int64(2*f.group)
	}
	f.allocate(min(p.Height/f.group, maxRows))
	f.column = make([]int, halves)
	for i := range f.column {
		f.column[i] = noColumn
	}
	for i, s := range f.strips {
		f.column[half(i)] = s.first
	}
	return f
}

// allocate makes room for the counts of rows, but for up to three at the bottom.
func (f *profile) allocate(rows int) {
	f.rows = rows / 4 * 4
	for _, s := range f.strips {
		f.pad = max(f.pad, s.shift(steepest), -s.shift(steepest))
	}
	f.pad = min(f.pad, f.rows) // a strip that is pushed farther is out of sight
	size := 2 * (f.rows + 2*f.pad)
	f.counts = make([]byte, size*len(f.strips))
	for i := range f.strips {
		f.strips[i].first = i*size + 2*f.pad
	}
}

// shift returns how many rows lower a strip has what is in the page's middle on a line of a slope.
func (s strip) shift(slope int64) int {
	return int((s.reach*slope + 1<<(slopeBits+15)) >> (slopeBits + 16))
}

// add counts the black pixels of word i of row y of the page.
func (f *profile) add(i, y int, word uint64) {
	row := y / f.group
	if row >= f.rows {
		return
	}
	for k, n := range [2]int{bits.OnesCount32(uint32(word >> 32)), bits.OnesCount32(uint32(word))} {
		if first := f.column[2*i+k]; first != noColumn && n > 0 {
			count := f.counts[first+2*row:]
			binary.LittleEndian.PutUint16(count, binary.LittleEndian.Uint16(count)+uint16(n))
		}
	}
}

// skew returns the lean in thousandths of a degree, clockwise positive, and whether there is one.
func (f *profile) skew() (int, bool) {
	if len(f.strips) < fewStrips {
		return 0, false
	}
	coarse := f.coarse()
	scores := make([]int64, 0, 2*coarseEnd+1)
	best, slope := int64(-1), int64(0)
	for k := range int64(coarseEnd + 1) { // outwards, so that of equals the straightest is taken
		for _, at := range []int64{coarseStep * k, -coarseStep * k} {
			score := coarse.contrast(at)
			if scores = append(scores, score); score > best {
				best, slope = score, at
			}
		}
	}
	slices.Sort(scores)
	if !distinct(best, scores[len(scores)/2]) {
		return 0, false
	}
	return milliDegrees(f.refine(slope)), true
}

// distinct reports whether the best contrast stands out from the usual one.
func distinct(best, usual int64) bool { return best > 3*usual }

// refine returns the slope of most contrast near one: the top of the parabola through the best and its neighbours.
func (f *profile) refine(near int64) int64 {
	var scores [2*(fineEnd+fitEnd) + 1]int64
	at := func(i int) int64 { return near + fineStep*int64(i-fineEnd-fitEnd) }
	for i := range scores {
		scores[i] = f.contrast(at(i))
	}
	best := fitEnd
	for i := fitEnd; i < len(scores)-fitEnd; i++ {
		if scores[i] > scores[best] {
			best = i
		}
	}
	return at(best) + top([2*fitEnd + 1]int64(scores[best-fitEnd:]))
}

// top returns where the parabola of least squares through scores a fine step apart is highest, from their middle.
func top(scores [2*fitEnd + 1]int64) int64 {
	tooLong := max(bits.Len64(uint64(slices.Max(scores[:])))-36, 0) // so that the products fit
	var slope, bend int64                                           // the first is 60 times the parabola's, the second 924 times
	for i, score := range scores {
		x := int64(i - fitEnd)
		slope += x * (score >> tooLong)
		bend += (3*x*x - 20) * (score >> tooLong)
	}
	if bend >= 0 {
		return 0
	}
	const end = fitEnd * fineStep
	return min(max(-slope*fineStep*924/60/2/bend, -end), end)
}

// coarse returns the profile with fewer rows.
func (f *profile) coarse() *profile {
	c := &profile{group: f.group * f.merge, strips: slices.Clone(f.strips)}
	for i := range c.strips {
		c.strips[i].reach /= int64(f.merge)
	}
	c.allocate(f.rows / f.merge)
	for i, s := range f.strips {
		for row := range c.rows * f.merge {
			count := c.counts[c.strips[i].first+2*(row/f.merge):]
			n := binary.LittleEndian.Uint16(f.counts[s.first+2*row:])
			binary.LittleEndian.PutUint16(count, binary.LittleEndian.Uint16(count)+n)
		}
	}
	return c
}

// contrast returns the sum of the squares of the differences between rows of a slope and the next but one: those to the
// very next favour slopes of whole rows, whose letters were not smeared by the turning.
func (f *profile) contrast(slope int64) int64 {
	var starts [maxStrips]int
	n := 0
	for _, s := range f.strips {
		if shift := s.shift(slope); shift >= -f.pad && shift <= f.pad {
			starts[n] = s.first + 2*shift
			n++
		}
	}
	var total, last, before int64
	for row := 0; row < f.rows; row += 4 {
		four := uint64(0)
		for _, start := range starts[:n] {
			four += binary.LittleEndian.Uint64(f.counts[start+2*row:])
		}
		for range 4 {
			sum := int64(four & 0xffff)
			total += (sum - before) * (sum - before)
			before, last = last, sum
			four >>= 16
		}
	}
	return total
}

// milliDegrees returns the angle of a slope by two terms of the arc tangent's series, which up to 5.1 degrees leave an
// error of less than a tenth of a thousandth.
func milliDegrees(slope int64) int {
	radians := slope - slope*slope*slope/(3<<(2*slopeBits)) // times 2^20
	const perRadian = 5_729_578                             // hundredths of a thousandth of a degree
	half := int64(50 << slopeBits)
	if radians < 0 {
		half = -half
	}
	return int(min(max((radians*perRadian+half)/(100<<slopeBits), -5000), 5000))
}
