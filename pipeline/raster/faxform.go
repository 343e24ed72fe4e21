package raster

import "math"

// The resolution of pages that are made for fax machines, pixels per inch, as
// RFC 2306 writes 8 x 7.7 per mm (T.4, fine).
const (
	formXRes = 204
	formYRes = 196
)

// formWidths are the pixels of a row for A4, B4 and A3 (T.4, clause 2).
var formWidths = [...]int{1728, 2048, 2432}

// overWidth is by how much a page may be wider than a sheet and still go onto
// it, reduced: a letter is 8.5 inches wide, 1728 pixels are 8.47.
const overWidth = 1.02

// formMostRows is 3 m, more than machines take: a page that says to be longer
// is reduced.
const formMostRows = 23150

// inkShare is how much of a pixel, of 255, must be black in a reduced page to
// make it black. A third keeps lines of one pixel at 300 per inch.
const inkShare = 85

// FaxForm returns the page as every fax program can send it (TIFF Class F):
// 1728, 2048 or 2432 pixels wide, 204 pixels per inch across and 98, 196 or 391
// down. The page is upright; of a gray or colour page it is the bilevel form.
//
// A page of such a width and resolution, read as fax machines do (200 per inch
// is 204), keeps its pixels. Every other page gets 204 x 196: it is reduced or
// enlarged to its size on the sheet, in the middle of a row of the least width
// for it, and one wider than A3 is reduced to A3. A page that lies across A4
// is put on its side.
func (p *Page) FaxForm() *Page {
	q := *p
	if !(q.XRes > 0 && q.YRes > 0) {
		q.XRes, q.YRes = formXRes, formYRes
	}
	if q.formLines() == 0 && q.Width > q.Height && formWidth(q.Width, q.XRes) > formWidths[0] &&
		formWidth(q.Height, q.YRes) == formWidths[0] {
		const onItsSide = 8
		q = *q.Upright(onItsSide)
	}
	if lines := q.formLines(); lines > 0 {
		q.XRes, q.YRes = formXRes, lines
		return &q
	}
	return q.resized()
}

// formWidth returns the pixels of the least row for a page: in A3's a page of
// any width.
func formWidth(pixels int, perInch float64) int {
	for _, w := range formWidths {
		if float64(pixels)/perInch*formXRes <= float64(w)*overWidth {
			return w
		}
	}
	return formWidths[len(formWidths)-1]
}

// formLines returns the lines per inch of a page whose pixels can stay, else 0.
func (p *Page) formLines() float64 {
	for _, w := range formWidths {
		if p.Width != w || p.XRes < 198 || p.XRes > 208 {
			continue
		}
		switch ratio := p.YRes / p.XRes; {
		case within(ratio, 0.49, 0.02):
			return 98
		case within(ratio, 1, 0.07):
			return 196
		case within(ratio, 1.96, 0.1):
			return 391
		}
	}
	return 0
}

// resized returns a page in the resolution of fax machines.
func (p *Page) resized() *Page {
	across := float64(p.Width) / p.XRes * formXRes
	down := float64(p.Height) / p.YRes * formYRes
	row := formWidth(p.Width, p.XRes)
	fit := min(1, float64(row)/across, formMostRows/down)
	width := min(row, max(1, int(math.Round(across*fit))))
	height := max(1, int(math.Round(down*fit)))
	small := area(p.Width, p.Height, p.grayRow, width, height).bilevel(255 - inkShare)
	out := New(row, height)
	out.XRes, out.YRes = formXRes, formYRes
	left := (row - width) / 2 / 8 // bytes
	for y := range height {
		copy(out.Row(y)[left:], small.Row(y))
	}
	return out
}

// grayRow fills line with row y, 0 is black.
func (p *Page) grayRow(y int, line []byte) {
	row := p.Row(y)
	for x := range line {
		line[x] = 255
		if row[x/8]&(0x80>>(x%8)) != 0 {
			line[x] = 0
		}
	}
}

// area returns an image of fromWidth x fromHeight pixels, whose rows fill
// gives, in another size: each pixel is the mean of what it covers. All numbers
// are whole, so that every platform gets the same pixels.
func area(fromWidth, fromHeight int, fill func(y int, line []byte), width, height int) *Tones {
	t := &Tones{Width: width, Height: height, Samples: 1, Pix: make([]byte, width*height)}
	line, across, sums := make([]byte, fromWidth), make([]uint64, width), make([]uint64, width)
	columns := overlaps(fromWidth, width)
	whole := uint64(fromWidth) * uint64(fromHeight)
	rows := overlaps(fromHeight, height)
	for k, o := range rows {
		if k == 0 || o.from != rows[k-1].from {
			fill(o.from, line)
			clear(across)
			for _, c := range columns {
				across[c.to] += uint64(c.share) * uint64(line[c.from])
			}
		}
		for i, v := range across {
			sums[i] += uint64(o.share) * v
		}
		if k+1 == len(rows) || rows[k+1].to != o.to {
			row := t.Row(o.to)
			for i, v := range sums {
				row[i] = byte((v + whole/2) / whole)
			}
			clear(sums)
		}
	}
	return t
}

// An overlap is how much of one source pixel lies in one pixel of the result.
type overlap struct{ from, to, share int }

// overlaps lays n pixels and m pixels side by side on the same length, n*m
// units. The shares of each pixel of the result add up to n.
func overlaps(n, m int) []overlap {
	all := make([]overlap, 0, n+m)
	for at := 0; at < n*m; {
		o := overlap{from: at / m, to: at / n}
		end := min((o.from+1)*m, (o.to+1)*n)
		o.share = end - at
		all = append(all, o)
		at = end
	}
	return all
}
