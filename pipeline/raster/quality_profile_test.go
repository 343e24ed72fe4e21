package raster

import (
	"math/rand/v2"
	"testing"
)

// profilesOf counts a page's rows as Quality does.
func profilesOf(p *Page) *lines {
	s := startSurvey(p)
	for y := range p.Height {
		s.row(y)
	}
	s.lines.fine.findInk()
	s.lines.coarse.reduce(&s.lines.fine, s.lines.merge, 1, 0, 255)
	s.lines.rough.reduce(&s.lines.coarse, 2, 2, 1, mostOfSix)
	return &s.lines
}

// plainContrast adds up a slope's rows one count after the other.
func plainContrast(f *profile, slope int64) (total int64) {
	sums := make([]int64, f.rows+2) // behind two of nothing
	for i := range f.strips {
		if shift := f.strips[i].shift(slope); shift >= -f.pad && shift <= f.pad {
			for row := range f.rows {
				sums[row+2] += int64(f.counts[f.strips[i].first+shift+row])
			}
		}
	}
	for row := range f.rows {
		difference := sums[row+2] - sums[row]
		total += difference * difference
	}
	return total
}

func TestContrastsAreThoseOfPlainSums(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for _, height := range []int{3, 8, 40, 308, 1100, 2213} {
		for _, width := range []int{256, 1728, 2432} {
			for _, res := range [][2]float64{{204, 98}, {204, 196}, {204, 391}, {300, 300}, {600, 600}} {
				p := randomPage(width, height, (width+7)/8)
				p.XRes, p.YRes = res[0], res[1]
				if rnd.IntN(2) == 0 { // margins
					for y := range height {
						clear(p.Row(y)[:rnd.IntN(5)*(y%3)*width/80])
					}
					clear(p.Pix[:len(p.Pix)/3])
					clear(p.Pix[len(p.Pix)-len(p.Pix)/3:])
				}
				l := profilesOf(p)
				for name, f := range map[string]*profile{"fine": &l.fine, "coarse": &l.coarse, "rough": &l.rough} {
					slope := rnd.Int64N(2*steepest+1) - steepest
					if got, want := f.contrast(slope), plainContrast(f, slope); got != want {
						t.Errorf("%dx%d at %v, %s, slope %d: %d, want %d", width, height, res, name, slope, got, want)
					}
				}
			}
		}
	}
}

// The rough search saves looks; it must not change what is found.
func TestSearchFindsTheHighestOfAllSteps(t *testing.T) {
	full := sheetOfText(27)
	rnd := rand.New(rand.NewPCG(11, 12))
	for _, res := range [][2]float64{{204, 98}, {204, 196}, {204, 391}, {300, 300}} {
		for range 6 {
			degrees := rnd.NormFloat64() * 1.5
			l := profilesOf(scan(full, res[0], res[1], degrees))
			step, known := l.search()
			all := newSearch(&l.coarse)
			want, best, usual := all.all(1)
			if step != want || known != (best > 3*usual) {
				t.Errorf("%v turned by %g degrees: step %d, known %v; of all it is %d of %d, usually %d", res, degrees, step, known, want, best, usual)
			}
		}
	}
}

// What one page needed, the next one uses again. The least of some pages is looked at: a collection of garbage empties pools.
func TestQualityUsesItsMemoryAgain(t *testing.T) {
	p := textPage()
	if used := leastAllocated(func() { p.Quality() }); used > 4<<10 {
		t.Errorf("%d bytes are allocated for a page of %d", used, len(p.Pix))
	}
}
