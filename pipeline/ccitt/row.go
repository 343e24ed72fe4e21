package ccitt

import (
	"encoding/binary"
	"math/bits"
)

// A rowEnd tells how decoding a row ended.
type rowEnd uint8

const (
	rowComplete  rowEnd = iota // exactly Width pixels
	rowBadCode                 // bits that are no code: damage, an EOL before its time, or the end of the data
	rowTooLong                 // a run past Width, or a changing element left of a0
	rowExtension               // uncompressed mode
)

// sentinels is the number of elements equal to the width that stand behind a
// line's changing elements, so that b1 and b2 can be read without a check.
const sentinels = 4

// A line is the changing elements of a row: the pixel positions where the
// colour differs from the pixel before, the first pixel being compared with an
// imaginary white one. Even indexes begin black runs. Behind them stand
// sentinels equal to the width.
//
// Some writers code runs of no pixels (an H mode of 0 and 0, and a pass mode
// over it in the next row) and count them as changing elements; so do we: two
// equal elements are such a run.
type line []int32

func newLine(width int) line { return make(line, width+2+64+sentinels) }

// terminate puts the sentinels behind n elements.
func (l line) terminate(n int, width int32) {
	s := l[n : n+sentinels]
	s[0], s[1], s[2], s[3] = width, width, width, width
}

// row1D decodes a one-dimensionally coded row (T.4 4.1) into cur and returns
// the number of its changing elements.
func (w *window) row1D(cur line, width int32) (int, rowEnd) {
	src, next, acc, have := w.src, w.next, w.acc, w.have
	white, black := whiteRuns, blackRuns
	n, a0, end := 0, int32(0), rowComplete
	for a0 < width {
		if n > int(width) {
			end = rowTooLong
			break
		}
		// One refill is enough for a white and a black run of one make-up
		// and one terminating code each: 12+8+13+12 bits.
		if next+8 <= len(src) {
			acc |= binary.BigEndian.Uint64(src[next:]) >> (have & 63)
			next += int(63-have) >> 3
			have |= 56
		} else {
			acc, have, next = refillTail(src, acc, have, next)
		}
		e := white[acc>>(64-runBits)]
		acc, have, a0 = acc<<(e&15), have-uint(e&15), a0+int32(e>>4)
		if e >= 64<<4 {
			e = white[acc>>(64-runBits)]
			acc, have, a0 = acc<<(e&15), have-uint(e&15), a0+int32(e>>4)
		}
		if e == 0 {
			end = rowBadCode
			break
		}
		if e >= 64<<4 {
			w.next, w.acc, w.have = next, acc, have
			a0 = w.longRun(white, a0, width)
			next, acc, have = w.next, w.acc, w.have
			if a0 < 0 {
				end = rowBadCode
				break
			}
		}
		if a0 >= width {
			break
		}
		cur[n] = a0
		n++

		e = black[acc>>(64-runBits)]
		acc, have, a0 = acc<<(e&15), have-uint(e&15), a0+int32(e>>4)
		if e >= 64<<4 {
			e = black[acc>>(64-runBits)]
			acc, have, a0 = acc<<(e&15), have-uint(e&15), a0+int32(e>>4)
		}
		if e == 0 {
			end = rowBadCode
			break
		}
		if e >= 64<<4 {
			w.next, w.acc, w.have = next, acc, have
			a0 = w.longRun(black, a0, width)
			next, acc, have = w.next, w.acc, w.have
			if a0 < 0 {
				end = rowBadCode
				break
			}
		}
		cur[n] = min(a0, width)
		n++
	}
	w.next, w.acc, w.have = next, acc, have
	if a0 > width {
		end = rowTooLong
	}
	cur.terminate(n, width)
	return n, end
}

// longRun finishes a run after its second make-up code. It returns -1 for bits
// that are no code.
func (w *window) longRun(runs *[1 << runBits]uint16, a0, width int32) int32 {
	for {
		w.refill()
		e := runs[w.acc>>(64-runBits)]
		if e == 0 {
			return -1
		}
		w.skip(uint(e & 15))
		a0 += int32(e >> 4)
		if e < 64<<4 || a0 > width {
			return a0
		}
	}
}

// run reads one run of the given colour; -1 for bits that are no code.
func (w *window) run(runs *[1 << runBits]uint16, width int32) int32 {
	e := runs[w.acc>>(64-runBits)]
	w.skip(uint(e & 15))
	switch {
	case e == 0:
		return -1
	case e < 64<<4:
		return int32(e >> 4)
	}
	return w.longRun(runs, int32(e>>4), width)
}

// row2D decodes a two-dimensionally coded row (T.4 4.2, T.6 2.2) into cur,
// with ref as the reference line, and returns the number of its changing
// elements. The names are the standard's: a0, b1 = ref[b], b2 = ref[b+1].
func (w *window) row2D(ref, cur line, width int32) (int, rowEnd) {
	modes := modeTable
	n, b, a0 := 0, 0, int32(0)
	for a0 < width {
		if n > int(width) {
			return cur.broken(n, width, rowTooLong)
		}
		w.refill()
		if w.acc>>63 != 0 { // V0, once or several times: a1 = b1
			k := min(uint(bits.LeadingZeros64(^w.acc)), w.have)
			used := uint(0)
			for used < k && a0 < width {
				a0 = ref[b]
				cur[n] = a0
				n++
				used++
				if b++; ref[b] <= a0 { // a run of no pixels, or the end
					b = ref.after(b, a0, width)
				}
			}
			w.skip(used)
			continue
		}
		m := modes[w.acc>>(64-modeBits)]
		w.skip(uint(m.bits))
		switch m.mode {
		case modeVertical:
			a1 := ref[b] + int32(m.delta)
			if a1 < a0 || a1 > width {
				return cur.broken(n, width, rowTooLong)
			}
			cur[n] = a1
			n++
			a0 = a1
			if m.delta < 0 && b > 0 && ref[b-1] > a0 {
				b--
			} else {
				b++
			}
		case modePass:
			a0 = ref[b+1]
			if b += 2; n == 0 {
				continue
			}
		case modeHorizontal:
			first, second := whiteRuns, blackRuns
			if n&1 != 0 {
				first, second = second, first
			}
			// 7+12+8+13+12 bits are at most 52 of the 56.
			for _, runs := range [2]*[1 << runBits]uint16{first, second} {
				r := w.run(runs, width)
				if r < 0 {
					return cur.broken(n, width, rowBadCode)
				}
				if a0 += r; a0 > width {
					return cur.broken(n, width, rowTooLong)
				}
				cur[n] = a0
				n++
			}
		case modeExtension:
			return cur.broken(n, width, rowExtension)
		default:
			return cur.broken(n, width, rowBadCode)
		}
		b = ref.after(b, a0, width)
	}
	cur.terminate(n, width)
	return n, rowComplete
}

// after returns the index of the first element behind a0, from b on, that has
// the colour of element b.
func (l line) after(b int, a0, width int32) int {
	for l[b] <= a0 && l[b] < width {
		b += 2
	}
	return b
}

// broken ends a row that cannot be read on.
func (l line) broken(n int, width int32, end rowEnd) (int, rowEnd) {
	l.terminate(n, width)
	return n, end
}

// fill writes the row with n changing elements to dst, rounded up to whole
// 64-bit words: dst must reach up to seven bytes past the row, and those
// bytes become zero.
func (l line) fill(dst []byte, n int, width int32) {
	for n > 0 && l[n-1] >= width {
		n--
	}
	// word holds the pixels of the current 64. Inverting everything from a
	// changing element to the end of the word, for each of them, leaves the
	// runs between them.
	word, at := uint64(0), 0
	for i, a := range l[:n] {
		if k := int(a) >> 6 << 3; k > at {
			binary.BigEndian.PutUint64(dst[at:], word)
			word = -uint64(i & 1)
			for at += 8; at < k; at += 8 {
				binary.BigEndian.PutUint64(dst[at:], word)
			}
		}
		word ^= ^uint64(0) >> (uint(a) & 63)
	}
	size := int(width+63) >> 6 << 3
	if n&1 == 0 {
		binary.BigEndian.PutUint64(dst[at:], word)
		for at += 8; at < size; at += 8 {
			binary.BigEndian.PutUint64(dst[at:], 0)
		}
		return
	}
	for ; at < size-8; at += 8 {
		binary.BigEndian.PutUint64(dst[at:], word)
		word = ^uint64(0)
	}
	word &= ^uint64(0) << (uint(size*8-int(width)) & 63)
	binary.BigEndian.PutUint64(dst[at:], word)
}
