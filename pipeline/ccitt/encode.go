package ccitt

import (
	"encoding/binary"
	"math/bits"
)

// scan writes the changing elements of a packed row to l, sentinels included,
// and returns their number. Bits past the width are ignored.
func (l line[T]) scan(row []byte, width int32) int {
	n, at := 0, int32(0)
	last := uint64(0) // all ones when the pixel before is black
	for ; at < width; at += 64 {
		var v uint64
		if len(row) >= 8 {
			v = binary.BigEndian.Uint64(row)
			row = row[8:]
		} else {
			for i, b := range row {
				v |= uint64(b) << (56 - 8*i)
			}
			row = nil
		}
		if v == last { // the word has one colour, that of the pixel before
			continue
		}
		x := v ^ (v>>1 | last<<63)
		for x != 0 {
			z := bits.LeadingZeros64(x)
			l[n] = T(at + int32(z))
			n++
			x &^= 1 << 63 >> z
		}
		last = -(v & 1)
	}
	for n > 0 && int32(l[n-1]) >= width {
		n--
	}
	l.terminate(n, width)
	return n
}

// An Encoder encodes one page after the other in the same memory. The zero
// value is ready to use.
type Encoder struct{ ref, cur line[int32] }

// lines returns the lines of a row above that is white and of the first row.
func (e *Encoder) lines(width int) (ref, cur line[int32]) {
	// Bits past the width may show more changes.
	if n := lineSize(width + 64); len(e.ref) < n {
		e.ref, e.cur = make(line[int32], n), make(line[int32], n)
	}
	e.ref.terminate(0, int32(width))
	return e.ref, e.cur
}

// AppendG4 appends the rows in pix, coded as T.6 with EOFB and padded to a
// byte boundary, to dst. Row y begins at y*stride; stride is at least
// (width+7)/8 and pix reaches to the end of the last row. Width is 1 to
// MaxWidth, height may be 0.
func AppendG4(dst, pix []byte, width, height, stride int) []byte {
	return new(Encoder).AppendG4(dst, pix, width, height, stride)
}

// AppendG4 does what the function of this name does.
func (e *Encoder) AppendG4(dst, pix []byte, width, height, stride int) []byte {
	w := newBitWriter(dst)
	ref, cur := e.lines(width)
	for y := range height {
		cur.scan(pix[y*stride:y*stride+(width+7)/8], int32(width))
		w.row2D(ref, cur, int32(width))
		ref, cur = cur, ref
	}
	w.reserve(8)
	w.put(1, eolBits)
	w.put(1, eolBits)
	return w.finish()
}

// G3Options say how AppendG3 codes. The zero value is one-dimensional, EOL
// codes not aligned, no RTC.
type G3Options struct {
	TwoD     bool // T.4 4.2: EOL codes carry tag bits
	K        int  // with TwoD: every K-th row is one-dimensional; 0 means 4
	Fill     bool // zeros before an EOL so that it ends on a byte boundary (T4Options bit 2)
	RTC      bool // six EOL codes at the end (T.4 4.1.4)
	LSBFirst bool // the first bit of a byte is its least significant
}

// AppendG3 appends the rows in pix, coded as T.4 and padded to a byte
// boundary, to dst. Every row begins with EOL. The other parameters are those
// of [AppendG4].
func AppendG3(dst, pix []byte, width, height, stride int, o G3Options) []byte {
	return new(Encoder).AppendG3(dst, pix, width, height, stride, o)
}

// AppendG3 does what the function of this name does.
func (e *Encoder) AppendG3(dst, pix []byte, width, height, stride int, o G3Options) []byte {
	if o.K <= 0 {
		o.K = 4
	}
	w := newBitWriter(dst)
	ref, cur := e.lines(width)
	for y := range height {
		n := cur.scan(pix[y*stride:y*stride+(width+7)/8], int32(width))
		oneD := !o.TwoD || y%o.K == 0
		w.eol(o, oneD)
		if oneD {
			w.row1D(cur, n, int32(width))
		} else {
			w.row2D(ref, cur, int32(width))
		}
		ref, cur = cur, ref
	}
	for i := 0; o.RTC && i < rtcEOLs; i++ {
		o.Fill = o.Fill && i == 0
		w.eol(o, true)
	}
	out := w.finish()
	if o.LSBFirst {
		reverse(out[len(dst):])
	}
	return out
}

// eol writes an EOL code with fill and tag bit as o says.
func (w *bitWriter) eol(o G3Options, oneD bool) {
	w.reserve(8)
	if o.Fill {
		w.put(0, -(w.have+eolBits)&7)
	}
	w.put(1, eolBits)
	if o.TwoD {
		tag := uint32(0)
		if oneD {
			tag = 1
		}
		w.put(tag, 1)
	}
}

// rowRoom is how many bytes a row may take: no coding needs more than eight
// bits a pixel.
func rowRoom(width int32) int { return int(width) + 64 }

// row1D writes the row with n changing elements one-dimensionally (T.4 4.1).
func (w *bitWriter) row1D(cur line[int32], n int, width int32) {
	w.reserve(rowRoom(width))
	buf, at, acc, have := w.buf, w.n, w.acc, w.have
	codes := whiteBlack
	a0 := int32(0)
	for i := 0; a0 < width; i += 2 {
		a1, a2 := cur[i], cur[i+1]
		white, black := a1-a0, a2-a1
		if white|black < 64 && black > 0 {
			c := codes[white<<6|black]
			acc |= uint64(c>>8) << ((64 - have - uint(c&255)) & 63)
			at, acc, have = store(buf, at, acc, have+uint(c&255))
		} else {
			w.n, w.acc, w.have = at, acc, have
			w.run(white, whiteBits)
			if a1 < width {
				w.run(black, blackBits)
			}
			at, acc, have = w.n, w.acc, w.have
		}
		a0 = a2
	}
	w.n, w.acc, w.have = at, acc, have
}

// run writes a run of one colour: make-up codes, then a terminating code.
func (w *bitWriter) run(n int32, codes *[64 + maxRun/64]bitCode) {
	for n >= 64 {
		m := min(n, maxRun) >> 6
		c := codes[63+m]
		w.put(uint32(c>>8), uint(c&255))
		n -= m << 6
	}
	c := codes[n]
	w.put(uint32(c>>8), uint(c&255))
}

const (
	passBits       = 0b0001<<8 | 4
	horizontalBits = 0b001<<8 | 3
)

// verticalBits are indexed by a1 minus b1 plus 3.
var verticalBits = [8]bitCode{
	0b0000010<<8 | 7, 0b000010<<8 | 6, 0b010<<8 | 3, 0b1<<8 | 1, 0b011<<8 | 3, 0b000011<<8 | 6, 0b0000011<<8 | 7,
}

// row2D writes a row two-dimensionally (T.4 4.2, T.6 2.2).
func (w *bitWriter) row2D(ref, cur line[int32], width int32) {
	w.reserve(rowRoom(width))
	buf, at, acc, have := w.buf, w.n, w.acc, w.have
	a0, a, b := int32(0), 0, 0 // a1 = cur[a], b1 = ref[b]
	for a0 < width {
		a1, b1 := cur[a], ref[b]
		d := a1 - b1 + 3
		var c bitCode
		switch {
		case ref[b+1] < a1:
			c = passBits
			a0 = ref[b+1]
			b += 2
		case uint32(d) <= 6:
			c = verticalBits[d]
			a0 = a1
			a++
			if d < 3 && b > 0 && ref[b-1] > a0 {
				b--
			} else {
				b++
			}
		default:
			first, second := a1-a0, cur[a+1]-a1
			a0 = cur[a+1]
			c = horizontalPair(first, second, a&1 != 0)
			if c == 0 {
				w.n, w.acc, w.have = at, acc, have
				w.horizontal(first, second, a&1 != 0)
				at, acc, have = w.n, w.acc, w.have
			}
			a += 2
		}
		acc |= uint64(c>>8) << ((64 - have - uint(c&255)) & 63)
		at, acc, have = store(buf, at, acc, have+uint(c&255))
		for ref[b] <= a0 && ref[b] < width {
			b += 2
		}
	}
	w.n, w.acc, w.have = at, acc, have
}

// horizontalPair returns the code of a horizontal mode with two runs below 64
// pixels, 0 for longer ones.
func horizontalPair(first, second int32, black bool) bitCode {
	if first|second >= 64 {
		return 0
	}
	c := whiteBlack[first<<6|second]
	if black {
		c = blackWhite[first<<6|second]
	}
	return c + 3 + horizontalBits>>8<<8<<(c&255)
}

// horizontal writes a horizontal mode with its runs.
func (w *bitWriter) horizontal(first, second int32, black bool) {
	w.put(horizontalBits>>8, horizontalBits&255)
	if black {
		w.run(first, blackBits)
		w.run(second, whiteBits)
	} else {
		w.run(first, whiteBits)
		w.run(second, blackBits)
	}
}
