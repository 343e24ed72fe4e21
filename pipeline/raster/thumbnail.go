package raster

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// maxThumbnail bounds a side, so that a number from a URL costs no memory.
const maxThumbnail = 4096

// Thumbnail returns the page in gray, reduced to fit a square of side pixels (1 to 4,096; what is beyond is taken as these),
// in the proportions of the sheet: its pixels are square, and have no resolution any more. Each is the mean of the pixels
// that it stands for. [Tones.WritePNG] makes a file of it.
//
// Thumbnails are made when somebody looks, and not stored: with a side of 300, of a page of text at 204x196, decoding the
// original takes 1.5 ms, Thumbnail 0.8 and its PNG of 14 KB 0.5, while storing it would take every page that comes one more
// synced object, of 3 to 4 ms on plain files and more on S3. Few pages are looked at, and a page never changes: whoever
// serves a thumbnail lets the browser keep it.
func (p *Page) Thumbnail(side int) *Tones {
	width, height := thumbnailSize(p.Width, p.Height, p.XRes, p.YRes, side)
	t := &Tones{Width: width, Height: height, Samples: 1, Pix: make([]byte, width*height)}
	if width == 0 {
		return t
	}
	c := newColumnCounts(p.Width, p.Height/height+1)
	columns := make([][2]int, width) // of the page, from and to, that a pixel stands for
	for x := range columns {
		columns[x][0], columns[x][1] = span(x, width, p.Width)
	}
	black := make([]int, width)
	for y := range height {
		top, bottom := span(y, height, p.Height)
		for source := top; source < bottom; source++ {
			c.add(p.Row(source))
		}
		clear(black)
		c.take(black, columns)
		line := t.Row(y)
		for x, n := range black {
			area := (columns[x][1] - columns[x][0]) * (bottom - top)
			line[x] = byte(255 - (255*n+area/2)/area)
		}
	}
	return t
}

// columnCounts is how many black pixels each column of some rows has, added up 64 columns at a time: plane k holds bit k of
// every column's count, the first column in the most significant bit.
type columnCounts struct {
	planes [][]uint64
	row    []byte // of whole words
	before []int  // black pixels of a plane before each word
}

func newColumnCounts(width, rows int) *columnCounts {
	words := width/64 + 1 // so that there is one behind the last column
	c := &columnCounts{planes: make([][]uint64, bits.Len(uint(rows))), row: make([]byte, 8*words), before: make([]int, words)}
	for k := range c.planes {
		c.planes[k] = make([]uint64, words)
	}
	return c
}

func (c *columnCounts) add(row []byte) {
	copy(c.row, row)
	for i := range len(c.row) / 8 {
		carry := binary.BigEndian.Uint64(c.row[8*i:])
		for k := 0; carry != 0; k++ {
			word := &c.planes[k][i]
			*word, carry = *word^carry, *word&carry
		}
	}
}

// take adds to sums the counts of the columns from and to, and forgets them.
func (c *columnCounts) take(sums []int, columns [][2]int) {
	for k, plane := range c.planes {
		total := 0
		for i, w := range plane {
			c.before[i] = total
			total += bits.OnesCount64(w)
		}
		if total == 0 {
			continue
		}
		upTo := func(x int) int { // how many lie before column x
			i := uint(x)
			return c.before[i/64] + bits.OnesCount64(plane[i/64]>>(64-i%64))
		}
		at, n := 0, 0
		for x, column := range columns {
			if column[0] != at { // else where the one before it ended
				n = upTo(column[0])
			}
			end := upTo(column[1])
			sums[x] += (end - n) << k
			at, n = column[1], end
		}
		clear(plane)
	}
}

// Thumbnail is [Page.Thumbnail] of a gray or colour page; colour stays.
func (t *Tones) Thumbnail(side int) *Tones {
	width, height := thumbnailSize(t.Width, t.Height, t.XRes, t.YRes, side)
	small := &Tones{Width: width, Height: height, Samples: t.Samples, Pix: make([]byte, width*height*t.Samples)}
	sums := make([]int, width*t.Samples)
	for y := range height {
		top, bottom := span(y, height, t.Height)
		clear(sums)
		for source := top; source < bottom; source++ {
			row := t.Row(source)
			for x := range width {
				left, right := span(x, width, t.Width)
				for i, v := range row[left*t.Samples : right*t.Samples] {
					sums[x*t.Samples+i%t.Samples] += int(v)
				}
			}
		}
		line := small.Row(y)
		for x := range width {
			left, right := span(x, width, t.Width)
			area := (right - left) * (bottom - top)
			for s := range t.Samples {
				line[x*t.Samples+s] = byte((sums[x*t.Samples+s] + area/2) / area)
			}
		}
	}
	return small
}

// thumbnailSize fits a page into a square; a page without pixels has none there.
func thumbnailSize(width, height int, xres, yres float64, side int) (w, h int) {
	if width <= 0 || height <= 0 {
		return 0, 0
	}
	if xres <= 0 || yres <= 0 {
		xres, yres = 1, 1
	}
	side = min(max(side, 1), maxThumbnail)
	wide, high := float64(width)/xres, float64(height)/yres
	scale := float64(side) / max(wide, high)
	fit := func(length float64) int { return min(max(int(math.Round(length*scale)), 1), side) }
	return fit(wide), fit(high)
}

// span returns which of n source pixels pixel i of small stands for: at least one.
func span(i, small, n int) (from, to int) {
	from = i * n / small
	return from, max(from+1, (i+1)*n/small)
}
