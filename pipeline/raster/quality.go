package raster

import (
	"encoding/binary"
	"math/bits"
)

// Quality says what a person or a recogniser will find on a page. All numbers are whole and computed without floating
// point but for the ratio of the two resolutions, so that the same pixels give the same numbers on every platform.
type Quality struct {
	// Blank means that there is nothing to read: all that is black is border, isolated pixels, spots of less than 0.3 square
	// millimetres, streaks one pixel wide from dust on the glass, and of what is larger less than one square millimetre on
	// the whole page. A page number is not blank, nor are punch holes: only pages are, of which nothing can be lost.
	Blank bool `json:"blank"`

	// Ink is the black share of the page, in pixels per million. A page of text has 20,000 to 100,000, a photograph more.
	Ink int `json:"ink_ppm"`

	// Skew is how far rows of text and rules lean, in thousandths of a degree of the sheet (not of its pixels, which are
	// not square), from -5,000 to 5,000; positive leans clockwise, down to the right. It is right to 100. Where SkewKnown
	// is false it is 0: pictures, handwriting, a word or two, and pages that are blank or under an inch wide.
	Skew      int  `json:"skew_mdeg"`
	SkewKnown bool `json:"skew_known"`

	// Border is the share of the page, in pixels per million, that is black without a gap from an edge of the page, straight
	// in or across: a scanner's open lid, or a sheet smaller or more oblique than the glass. It ends at the first white pixel.
	Border int `json:"border_ppm"`

	// Isolated is the share of the black pixels, per million of them, that have no black pixel among their eight
	// neighbours: noise of scanner and line, or the dots of a picture in light gray.
	Isolated int `json:"isolated_ppm"`
}

// What tells specks from text. At 204x196 a field of 16 rows with 18 black pixels is white, and so is a page with 56.
const (
	cellsPerInch       = 12   // the height of the fields in which spots are looked for
	spotsPerSquareInch = 2000 // the area of the smallest spot that may be part of a letter: 0.3 mm²
	smallestText       = 3    // the area of such spots that a page must have to be read, in spots
)

// pictureShare of a page that is black, without its border, makes it a picture, in which it is the dots that lean.
const pictureShare = 4 // a quarter

// resolution returns the page's, or where it does not say its own, or one that no scanner has, what is usual.
func (p *Page) resolution() (xres, yres float64) {
	const least, most, ratio = 10, 10_000, 16
	x, y := p.XRes, p.YRes
	if x >= least && x <= most && y >= least && y <= most && x <= ratio*y && y <= ratio*x {
		return x, y
	}
	return 200, 200
}

// Quality measures the page in one pass over its rows and a search over sums of them. On one core of an AMD EPYC (Turin)
// a page of 1,728 by 2,200 pixels takes 0.2 ms when it is white, 1 to 2 ms with text; with twice the rows, at 204x391, 2 ms.
// The memory that it needs is less than 3 MB and 24 bytes for each pixel of a row, whatever the height: a fax's is 0.3 MB.
func (p *Page) Quality() Quality {
	if p.Width <= 0 || p.Height <= 0 {
		return Quality{Blank: true}
	}
	s := newSurvey(p)
	for y := range p.Height {
		s.row(y)
	}
	q := Quality{
		Blank:    s.text < smallestText*s.spot,
		Ink:      perMillion(s.black, p.Width*p.Height),
		Border:   perMillion(s.border, p.Width*p.Height),
		Isolated: perMillion(s.isolated, s.black),
	}
	if !q.Blank && s.black-s.border < p.Width*p.Height/pictureShare {
		q.Skew, q.SkewKnown = s.lines.skew()
	}
	return q
}

// perMillion rounds to the nearest; nothing of nothing is none.
func perMillion(part, whole int) int {
	if whole == 0 {
		return 0
	}
	return int((uint64(part)*1_000_000 + uint64(whole)/2) / uint64(whole))
}

// A survey goes down a page. Its rows are words of 64 pixels, the first pixel in the most significant bit, with a white
// word before and behind: word i of a row has the index i+1.
type survey struct {
	page               *Page
	above, here, below []uint64
	frame              frame

	// cells are the black pixels, without border and isolated ones, of fields of 64 pixels by cellRows rows.
	cells    []int
	cellRows int
	spot     int // pixels that a cell must have to count
	text     int // pixels of the cells that have so many

	lines                   *profile
	black, border, isolated int // pixels
}

func newSurvey(p *Page) *survey {
	words := (p.Width + 63) / 64
	xres, yres := p.resolution()
	s := &survey{
		page:     p,
		above:    make([]uint64, words+2),
		here:     make([]uint64, words+2),
		below:    make([]uint64, words+2),
		cells:    make([]int, words),
		cellRows: max(int(yres)/cellsPerInch, 1),
		spot:     max(int(xres)*int(yres)/spotsPerSquareInch, 1),
		lines:    newProfile(p),
	}
	s.frame = newFrame(p)
	loadRow(s.below, p.Row(0))
	return s
}

// loadRow fills the words between the first and the last of a row.
func loadRow(words []uint64, row []byte) {
	i := 1
	for ; len(row) >= 8; row = row[8:] {
		words[i] = binary.BigEndian.Uint64(row)
		i++
	}
	if len(row) > 0 {
		var last [8]byte
		copy(last[:], row)
		words[i] = binary.BigEndian.Uint64(last[:])
	}
}

// row takes row y, after those above it.
func (s *survey) row(y int) {
	s.above, s.here, s.below = s.here, s.below, s.above
	if y+1 < s.page.Height {
		loadRow(s.below, s.page.Row(y+1))
	} else {
		clear(s.below)
	}
	framed := s.frame.row(y, s.here)
	for i := range s.cells {
		w := s.here[i+1]
		if w == 0 {
			continue
		}
		s.black += bits.OnesCount64(w)
		lone := s.lone(i + 1)
		s.isolated += bits.OnesCount64(lone)
		w &^= lone
		if framed {
			s.border += bits.OnesCount64(s.frame.black[i])
			w &^= s.frame.black[i]
		}
		if n := bits.OnesCount64(w); n > 0 {
			s.cells[i] += n
			s.lines.add(i, y, w)
		}
	}
	if (y+1)%s.cellRows == 0 || y+1 == s.page.Height {
		s.sumCells()
	}
}

// lone returns which black pixels of a word of the row have no black neighbour.
func (s *survey) lone(i int) uint64 {
	w := s.here[i]
	before, after := s.above[i-1]|s.here[i-1]|s.below[i-1], s.above[i+1]|s.here[i+1]|s.below[i+1]
	beside := s.above[i] | s.below[i]
	column := beside | w
	return w &^ (beside | column<<1 | after>>63 | column>>1 | before<<63)
}

// sumCells ends a row of cells.
func (s *survey) sumCells() {
	for i, n := range s.cells {
		if n >= s.spot {
			s.text += n
		}
		s.cells[i] = 0
	}
}

// A frame finds, row by row from the top, the border: the pixels from which only black ones lead straight to an edge.
// Word i of its rows is that of the page.
type frame struct {
	black   []uint64 // the border's pixels in the row
	ceiling []uint64 // the columns that are black from the top down to the row
	floor   []uint64 // the columns that are black from the row down to the bottom
	rises   []rise   // where columns of the floor begin, the lowest first
	padding uint64   // the pixels of the last word that are not of the page
	last    uint64   // the last pixel of the last word
	roofed  bool     // the ceiling has columns
	floored bool     // the floor has
}

// A rise is columns of one word that are black from a row down to the bottom, and not from higher up.
type rise struct {
	row, word int
	columns   uint64
}

func newFrame(p *Page) frame {
	words := (p.Width + 63) / 64
	f := frame{black: make([]uint64, words), ceiling: make([]uint64, words), floor: make([]uint64, words), roofed: true}
	f.padding = ^uint64(0) >> ((p.Width-1)%64 + 1)
	f.last = 1 << (63 - (p.Width-1)%64)
	for i := range f.ceiling {
		f.ceiling[i] = ^uint64(0)
	}
	f.findFloor(p)
	return f
}

// findFloor goes up from the bottom as far as a column is black. Those that are black to the top are the ceiling's.
func (f *frame) findFloor(p *Page) {
	row := make([]uint64, len(f.floor)+2)
	up := make([]uint64, len(f.floor))
	loadRow(row, p.Row(p.Height-1))
	copy(up, row[1:])
	for y := p.Height - 2; y >= 0; y-- {
		loadRow(row, p.Row(y))
		left := uint64(0)
		for i, w := range up {
			if ends := w &^ row[i+1]; ends != 0 {
				f.rises = append(f.rises, rise{y + 1, i, ends})
			}
			up[i] &= row[i+1]
			left |= up[i]
		}
		if left == 0 {
			return
		}
	}
}

// row finds the border's pixels in row y, and reports whether there are any. Without, black is not valid.
func (f *frame) row(y int, row []uint64) bool {
	row = row[1 : len(f.black)+1]
	for n := len(f.rises); n > 0 && f.rises[n-1].row == y; n-- {
		f.floor[f.rises[n-1].word] |= f.rises[n-1].columns
		f.floored = true
		f.rises = f.rises[:n-1]
	}
	if !f.roofed && !f.floored && row[0]>>63 == 0 && row[len(row)-1]&f.last == 0 {
		return false
	}
	columns := uint64(0)
	for i, w := range row {
		f.ceiling[i] &= w
		columns |= f.ceiling[i]
		f.black[i] = f.ceiling[i] | f.floor[i]
	}
	f.roofed = columns != 0
	for i, w := range row { // from the left edge
		gap := bits.LeadingZeros64(^w)
		f.black[i] |= ^(^uint64(0) >> gap)
		if gap < 64 {
			break
		}
	}
	padding := f.padding
	for i := len(row) - 1; i >= 0; i-- { // from the right edge
		gap := bits.TrailingZeros64(^(row[i] | padding))
		f.black[i] |= (1<<gap - 1) &^ padding
		if gap < 64 {
			break
		}
		padding = 0
	}
	return true
}
