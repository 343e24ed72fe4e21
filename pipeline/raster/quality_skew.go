package raster

import (
	"math"
	"math/bits"
	"slices"
)

// lines finds how far rows of text lean: it cuts the page into upright strips, counts the black pixels of each strip's rows,
// and tries how far strips must be pushed up and down against each other until rows of text meet: then the sums across
// them differ most from one row to the next.
//
// A rough profile, of few rows and strips, shows near which slopes that may be; a coarse one, which of them it is; and the
// fine one where its top is.
type lines struct {
	fine, coarse, rough profile

	group  int   // rows of the page that are one of the fine profile
	merge  int   // rows of the fine profile that are one of the coarse one
	column []int // for a half of a word of the page's rows: its strip's first count, or noColumn
}

const (
	slopeBits  = 20
	coarseStep = 1830 // 0.1 degrees
	coarseEnd  = 50   // steps to either side: 4.99 degrees
	roughly    = 2    // coarse steps from one rough look to the next
	fineStep   = 458  // 0.025 degrees
	fineEnd    = 6
	fitEnd     = 4 // steps to either side of the best that the parabola goes through
	steepest   = coarseStep*coarseEnd + fineStep*(fineEnd+fitEnd)

	stripWidth  = 32 // pixels, half a word
	maxStrips   = 64
	maxRows     = 4096 // of a profile: what is below on a longer page is not looked at
	maxGroup    = 7    // stripWidth*maxGroup must fit a byte
	fineLines   = 200  // an inch, that a profile has about
	coarseLines = 50   // that the coarse one has
	maxCoarser  = 4
	noColumn    = -1
	fewStrips   = 8   // with fewer a page is too narrow
	fewRows     = 128 // with fewer a coarse profile is small enough to be searched through
)

// reset takes another page.
func (l *lines) reset(p *Page) {
	xres, yres := p.resolution()
	ratio := int64(math.Round(float64(yres/xres) * (1 << 16))) // rows for a pixel's width, times 2^16
	l.group = min(max((int(yres)+fineLines/2)/fineLines, 1), maxGroup)
	l.merge = min(max((int(yres)/l.group+coarseLines/2)/coarseLines, 1), maxCoarser)
	halves := (p.Width + 63) / 64 * 2
	f := &l.fine
	f.most = stripWidth * l.group
	f.strips = zeros(f.strips, min(halves, maxStrips))
	half := func(i int) int { return (2*i + 1) * halves / (2 * len(f.strips)) } // of a row, that is strip i: they are spread
	for i := range f.strips {
		middle := stripWidth*half(i) + stripWidth/2
		f.strips[i].reach = int64(2*middle-p.Width) * ratio / int64(2*l.group)
	}
	f.allocate(min(p.Height/l.group, maxRows))
	l.column = zeros(l.column, halves)
	for i := range l.column {
		l.column[i] = noColumn
	}
	for i := range f.strips {
		l.column[half(i)] = f.strips[i].first
	}
}

// lineCounts are the counts of a row of the page.
type lineCounts struct {
	column []int
	counts []byte // from that row of the first strip; none, if the row is below the profile
}

func (l *lines) row(y int) lineCounts {
	row := y / l.group
	if row >= l.fine.rows {
		return lineCounts{column: l.column}
	}
	return lineCounts{column: l.column, counts: l.fine.counts[row:]}
}

// add counts the black pixels of word i, and returns how many they are.
func (c lineCounts) add(i int, word uint64) int {
	left, right := bits.OnesCount32(uint32(word>>32)), bits.OnesCount32(uint32(word))
	if len(c.counts) == 0 {
		return left + right
	}
	first := c.column[2*i:][:2]
	if first[0] != noColumn {
		c.counts[first[0]] += byte(left)
	}
	if first[1] != noColumn {
		c.counts[first[1]] += byte(right)
	}
	return left + right
}

// skew returns the lean in thousandths of a degree, clockwise positive, and whether there is one.
func (l *lines) skew() (int, bool) {
	if len(l.fine.strips) < fewStrips {
		return 0, false
	}
	l.fine.findInk()
	l.coarse.reduce(&l.fine, l.merge, 1, 0, math.MaxUint8)
	step, known := l.search()
	if !known {
		return 0, false
	}
	return milliDegrees(l.fine.refine(coarseStep * int64(step))), true
}

// search returns at which step the coarse contrast is highest, and whether it stands out from the usual one. Where the rough one
// does by far, the coarse one is looked for near where that is high, else everywhere.
func (l *lines) search() (step int, known bool) {
	coarse := newSearch(&l.coarse)
	if l.coarse.rows >= fewRows {
		l.rough.reduce(&l.coarse, 2, 2, bits.Len(uint(4*l.coarse.most-1)>>8), mostOfSix)
		rough := newSearch(&l.rough)
		if _, best, usual := rough.all(roughly); best > 4*usual {
			return coarse.near(rough, best/2), true
		}
	}
	step, best, usual := coarse.all(1)
	return step, best > 3*usual
}

// A search has the contrasts of a profile at coarse steps from -coarseEnd to coarseEnd, or -1 where it has not looked.
type search struct {
	profile   *profile
	contrasts [2*coarseEnd + 1]int64
}

func newSearch(p *profile) *search {
	s := &search{profile: p}
	for i := range s.contrasts {
		s.contrasts[i] = -1
	}
	return s
}

func (s *search) at(step int) int64 {
	c := &s.contrasts[step+coarseEnd]
	if *c < 0 {
		*c = s.profile.contrast(coarseStep * int64(step))
	}
	return *c
}

// all looks at every so many steps, and returns where the contrast is highest, what it is there, and the usual one.
func (s *search) all(every int) (step int, best, usual int64) {
	for k := -coarseEnd; k <= coarseEnd; k += every {
		s.at(k)
	}
	step, best = s.best()
	sorted := append(s.contrasts[:], s.at(0)) // which counts for both sides
	slices.Sort(sorted)
	unknown, _ := slices.BinarySearch(sorted, 0)
	sorted = sorted[unknown:]
	return step, best, sorted[len(sorted)/2]
}

// near climbs from each top of a rough search that is higher than least, and returns where the highest contrast is.
func (s *search) near(rough *search, least int64) int {
	for k := -coarseEnd; k <= coarseEnd; k += roughly {
		v := rough.at(k)
		if v > least && v >= rough.at(max(k-roughly, -coarseEnd)) && v >= rough.at(min(k+roughly, coarseEnd)) {
			s.climb(k)
		}
	}
	step, _ := s.best()
	return step
}

// climb looks from a step on until none within a rough one is higher.
func (s *search) climb(from int) {
	for top := from; ; from = top {
		for k := max(from-roughly, -coarseEnd); k <= min(from+roughly, coarseEnd); k++ {
			if s.at(k) > s.at(top) {
				top = k
			}
		}
		if top == from {
			return
		}
	}
}

// best returns the step of the highest contrast seen; of equals, the straightest is taken.
func (s *search) best() (step int, best int64) {
	best = -1
	for k := range coarseEnd + 1 {
		for _, k := range []int{k, -k} {
			if v := s.contrasts[k+coarseEnd]; v > best {
				step, best = k, v
			}
		}
	}
	return step, best
}

// refine returns the slope of most contrast near one: the top of the parabola through the best and its neighbours.
func (f *profile) refine(near int64) int64 {
	const middle = fineEnd + fitEnd
	var contrasts [2*middle + 1]int64
	at := func(i int) int64 { return near + fineStep*int64(i-middle) }
	best := fitEnd
	for i := fitEnd; i <= middle+fineEnd; i++ {
		contrasts[i] = f.contrast(at(i))
		if contrasts[i] > contrasts[best] {
			best = i
		}
	}
	for i := best - fitEnd; i <= best+fitEnd; i++ {
		if i < fitEnd || i > middle+fineEnd {
			contrasts[i] = f.contrast(at(i))
		}
	}
	return at(best) + top([2*fitEnd + 1]int64(contrasts[best-fitEnd:]))
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
