package raster

import (
	"math/bits"
)

// An Orientation says where the first row and column of an image are seen, as
// TIFF 6.0 numbers it: 1, top and left, is upright; 3 is upside down; 6 and 8
// lie on a side; 2, 4, 5 and 7 are the mirror images of these. Every other
// value counts as 1.
type Orientation int

// Upright is the orientation of an image that needs no turn.
const Upright Orientation = 1

// A turn is how an image is made upright: exchange rows and columns, then
// reverse the order of each.
type turn struct{ transpose, mirror, flip bool }

func (o Orientation) turn() turn {
	switch o {
	case 2:
		return turn{mirror: true}
	case 3:
		return turn{mirror: true, flip: true}
	case 4:
		return turn{flip: true}
	case 5:
		return turn{transpose: true}
	case 6:
		return turn{transpose: true, mirror: true}
	case 7:
		return turn{transpose: true, mirror: true, flip: true}
	case 8:
		return turn{transpose: true, flip: true}
	}
	return turn{}
}

// Known tells whether the number is one of the eight.
func (o Orientation) Known() bool { return o >= 1 && o <= 8 }

// Upright returns the page that a reader sees of one stored in an orientation:
// the same pixels in their right places. With orientation 1 it is the page
// itself, else one of its own.
func (p *Page) Upright(o Orientation) *Page {
	t := o.turn()
	if t == (turn{}) {
		return p
	}
	var out *Page
	if t.transpose {
		out = p.transposed()
	} else {
		out = New(p.Width, p.Height)
		out.XRes, out.YRes = p.XRes, p.YRes
		for y := range p.Height {
			copy(out.Row(y), p.Row(y))
		}
	}
	if t.flip {
		flipRows(out.Pix, out.Stride)
	}
	for y := range out.Height {
		if t.mirror {
			mirror(out.Row(y), out.Width)
		}
	}
	return out
}

// flipRows reverses the order of rows of n bytes.
func flipRows(pix []byte, n int) {
	row := make([]byte, n)
	for a, b := 0, len(pix)-n; a < b; a, b = a+n, b-n {
		copy(row, pix[a:a+n])
		copy(pix[a:a+n], pix[b:b+n])
		copy(pix[b:b+n], row)
	}
}

// mirror reverses the order of the pixels of a packed row.
func mirror(row []byte, width int) {
	for a, b := 0, len(row)-1; a <= b; a, b = a+1, b-1 {
		row[a], row[b] = bits.Reverse8(row[b]), bits.Reverse8(row[a])
	}
	shift := uint(-width & 7) // the bits past the width came to the front
	if shift == 0 {
		return
	}
	for i := range row {
		row[i] <<= shift
		if i+1 < len(row) {
			row[i] |= row[i+1] >> (8 - shift)
		}
	}
}

// transposed exchanges rows and columns, eight by eight pixels at a time.
func (p *Page) transposed() *Page {
	out := New(p.Height, p.Width)
	out.XRes, out.YRes = p.YRes, p.XRes
	for y := 0; y < p.Height; y += 8 {
		rows := min(8, p.Height-y)
		for i := range (p.Width + 7) / 8 {
			block := uint64(0)
			for j := range rows {
				block |= uint64(p.Row(y + j)[i]) << (56 - 8*j)
			}
			if block == 0 {
				continue
			}
			block = transpose8(block)
			for j := range min(8, p.Width-8*i) {
				out.Row(8*i + j)[y/8] = byte(block >> (56 - 8*j))
			}
		}
	}
	return out
}

// transpose8 exchanges rows and columns of eight rows of eight bits (H. Warren,
// Hacker's Delight, 7-3).
func transpose8(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}

// Upright does for a gray or colour page what [Page.Upright] does for a bilevel one.
func (t *Tones) Upright(o Orientation) *Tones {
	by := o.turn()
	if by == (turn{}) {
		return t
	}
	out := &Tones{
		Width: t.Width, Height: t.Height, Samples: t.Samples, XRes: t.XRes, YRes: t.YRes,
		Pix: make([]byte, t.Width*t.Height*t.Samples),
	}
	if by.transpose {
		out.Width, out.Height, out.XRes, out.YRes = t.Height, t.Width, t.YRes, t.XRes
	}
	for y := range out.Height {
		row := out.Row(y)
		for x := range out.Width {
			fromX, fromY := x, y
			if by.mirror {
				fromX = out.Width - 1 - x
			}
			if by.flip {
				fromY = out.Height - 1 - y
			}
			if by.transpose {
				fromX, fromY = fromY, fromX
			}
			copy(row[x*t.Samples:(x+1)*t.Samples], t.Pix[(fromY*t.Width+fromX)*t.Samples:])
		}
	}
	return out
}
