package ccitt

import (
	"encoding/binary"
	"math/bits"
)

// scan writes the changing elements of a packed row to l, sentinels included,
// and returns their number. Bits past the width are ignored.
func (l line) scan(row []byte, width int32) int {
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
			l[n] = at + int32(z)
			n++
			x &^= 1 << 63 >> z
		}
		last = -(v & 1)
	}
	for n > 0 && l[n-1] >= width {
		n--
	}
	l.terminate(n, width)
	return n
}

// AppendG4 appends the rows in pix, coded as T.6 with EOFB and padded to a
// byte boundary, to dst. Row y begins at y*stride; stride is at least
// (width+7)/8 and pix reaches to the end of the last row. Width is 1 to
// MaxWidth, height may be 0.
func AppendG4(dst, pix []byte, width, height, stride int) []byte {
	w := bitWriter{dst: dst}
	ref, cur := newScanLine(width), newScanLine(width)
	ref.terminate(0, int32(width))
	for y := range height {
		cur.scan(pix[y*stride:y*stride+(width+7)/8], int32(width))
		w.row2D(ref, cur, int32(width))
		ref, cur = cur, ref
	}
	w.put(1, eolBits)
	w.put(1, eolBits)
	w.flush()
	return w.dst
}

// newScanLine has room for the changes that bits past the width may show.
func newScanLine(width int) line { return newLine(width + 64) }

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
	if o.K <= 0 {
		o.K = 4
	}
	w := bitWriter{}
	ref, cur := newScanLine(width), newScanLine(width)
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
	w.flush()
	if o.LSBFirst {
		return append(dst, ReverseBits(w.dst)...)
	}
	return append(dst, w.dst...)
}

// eol writes an EOL code with fill and tag bit as o says.
func (w *bitWriter) eol(o G3Options, oneD bool) {
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

// row1D writes the row with n changing elements one-dimensionally (T.4 4.1).
func (w *bitWriter) row1D(cur line, n int, width int32) {
	a0 := int32(0)
	for i := 0; i <= n && a0 < width; i++ {
		w.run(cur[i]-a0, i&1 != 0)
		a0 = cur[i]
	}
}

// run writes a run of one colour: make-up codes, then a terminating code.
func (w *bitWriter) run(n int32, black bool) {
	codes := whiteBits
	if black {
		codes = blackBits
	}
	for n >= 64 {
		m := min(n, maxRun) >> 6
		c := codes[63+m]
		w.put(uint32(c.value), uint(c.bits))
		n -= m << 6
	}
	c := codes[n]
	w.put(uint32(c.value), uint(c.bits))
}

// verticalCodes are indexed by a1 minus b1 plus 3.
var verticalCodes = [7]bitCode{
	{0b0000010, 7}, {0b000010, 6}, {0b010, 3}, {0b1, 1}, {0b011, 3}, {0b000011, 6}, {0b0000011, 7},
}

// row2D writes a row two-dimensionally (T.4 4.2, T.6 2.2).
func (w *bitWriter) row2D(ref, cur line, width int32) {
	a0, a, b := int32(0), 0, 0 // a1 = cur[a], b1 = ref[b]
	for a0 < width {
		a1, b1 := cur[a], ref[b]
		if ref[b+1] < a1 { // pass mode
			w.put(0b0001, 4)
			a0 = ref[b+1]
			b += 2
			continue
		}
		if d := a1 - b1; d >= -3 && d <= 3 {
			c := verticalCodes[d+3]
			w.put(uint32(c.value), uint(c.bits))
			a0 = a1
			a++
			if d < 0 && b > 0 && ref[b-1] > a0 {
				b--
			} else {
				b++
			}
		} else {
			w.put(0b001, 3)
			w.run(a1-a0, a&1 != 0)
			w.run(cur[a+1]-a1, a&1 == 0)
			a0 = cur[a+1]
			a += 2
		}
		for ref[b] <= a0 && ref[b] < width {
			b += 2
		}
	}
}
