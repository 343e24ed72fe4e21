package raster

import "math/bits"

// A frame finds, row by row from the top, the border: the pixels from which only black ones lead straight to an edge.
// Word i of its rows is that of the page.
type frame struct {
	black   []uint64 // the border's pixels in the row
	next    []uint64 // the row that is looked at from the bottom
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

// reset takes another page.
func (f *frame) reset(p *Page) {
	words := (p.Width + 63) / 64
	f.black, f.ceiling, f.floor = zeros(f.black, words), zeros(f.ceiling, words), zeros(f.floor, words)
	f.rises, f.roofed, f.floored = f.rises[:0], true, false
	f.padding = ^uint64(0) >> ((p.Width-1)%64 + 1)
	f.last = 1 << (63 - (p.Width-1)%64)
	for i := range f.ceiling {
		f.ceiling[i] = ^uint64(0)
	}
	f.findFloor(p)
}

// findFloor goes up from the bottom as far as a column is black. Those that are black to the top are the ceiling's.
func (f *frame) findFloor(p *Page) {
	up := f.black // which no row has filled yet
	row := zeros(f.next, len(up)+2)
	f.next = row
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

// white takes a row without black pixels: below it there is no ceiling.
func (f *frame) white() {
	if f.roofed {
		clear(f.ceiling)
		f.roofed = false
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
