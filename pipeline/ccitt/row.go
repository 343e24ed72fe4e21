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

// lineSize is how many elements a line needs: a row has at most one a pixel; with
// runs of no pixels it may have more, by what row2D adds before it notices.
func lineSize(width int) int { return width + 2*lookups + 64 + sentinels }

func newLine(width int) line { return make(line, lineSize(width)) }

// terminate puts the sentinels behind n elements.
func (l line) terminate(n int, width int32) {
	s := l[n : n+sentinels]
	s[0], s[1], s[2], s[3] = width, width, width, width
}

// row1D decodes a one-dimensionally coded row (T.4 4.1) into cur and returns
// the number of its changing elements.
func (w *window) row1D(cur line, width int32) (int, rowEnd) {
	src, next, acc, have := w.src, w.next, w.acc, w.have
	n, a0 := 0, int32(0)
	for a0 < width && n <= int(width) {
		if next+8 <= len(src) {
			acc |= binary.BigEndian.Uint64(src[next:]) >> (have & 63)
			next += int(63-have) >> 3
			have |= 56
		} else {
			acc, have, next = refillTail(src, acc, have, next)
		}
		// A refill is enough for so many pairs.
		for i := 0; i < 56/runBits && a0 < width; i++ {
			p := runPairs[0][acc>>(64-runBits)]
			a1 := a0 + p.first()
			if p == 0 || a1 >= width {
				var end rowEnd
				w.next, w.acc, w.have = next, acc, have
				w.refill()
				if n, a0, end = w.longPair(cur, n, a0, width, whiteRuns, blackRuns); end != rowComplete {
					return cur.ended(n, a0, width, end)
				}
				next, acc, have = w.next, w.acc, w.have
				break
			}
			acc, have = acc<<p.bits(), have-p.bits()
			a0 = a1 + p.second()
			cur[n], cur[n+1] = a1, a0
			n += 2
		}
	}
	w.next, w.acc, w.have = next, acc, have
	return cur.ended(n, a0, width, rowComplete)
}

// longPair reads two runs that stand in no table of pairs, the first of the
// colour of runs, into cur[n:], and returns the new n and a0. It stops after
// the first at the end of the row. Refill must have been called.
func (w *window) longPair(cur line, n int, a0, width int32, runs, others *[1 << runBits]uint16) (int, int32, rowEnd) {
	for range 2 {
		r := w.run(runs, width-a0)
		if r < 0 {
			return n, a0, rowBadCode
		}
		if a0 += r; a0 > width {
			return n, a0, rowTooLong
		}
		cur[n] = a0
		n++
		if a0 == width {
			break
		}
		runs, others = others, runs
	}
	return n, a0, rowComplete
}

// run reads one run of at most left pixels; -1 for bits that are no code. A
// longer run may be returned short. Some writers leave out the terminating code
// of a run that ends the row: it is not missed.
func (w *window) run(runs *[1 << runBits]uint16, left int32) int32 {
	r := int32(0)
	for {
		e := runs[w.acc>>(64-runBits)]
		if e == 0 {
			if r > 0 && r == left {
				return r
			}
			return -1
		}
		w.skip(uint(e & 15))
		r += int32(e >> 4)
		if e < 64<<4 || r > left {
			return r
		}
		w.refill()
	}
}

// A chain of V0 codes at least so long is copied in one go; shorter ones are not
// worth the mispredicted end of a loop.
const (
	chainBits = 6
	chain     = 1<<chainBits - 1
)

// lookups is how many entries of the table of modes may be followed between two
// refills: each consumes at most its own bits, or a horizontal mode of a pair.
const lookups = 56 / (horizontalLen + runBits)

// row2D decodes a two-dimensionally coded row (T.4 4.2, T.6 2.2) into cur,
// with ref as the reference line, and returns the number of its changing
// elements. The names are the standard's: a0, b1 = ref[b], b2 = ref[b+1].
func (w *window) row2D(ref, cur line, width int32) (int, rowEnd) {
	src, next, acc, have := w.src, w.next, w.acc, w.have
	ref = ref[:len(cur)] // one length to hold in a register
	n, b, a0, end := 0, 0, int32(0), rowComplete
row:
	for a0 < width && n <= int(width) { // a line has room for what a round adds
		if next+8 <= len(src) {
			acc |= binary.BigEndian.Uint64(src[next:]) >> (have & 63)
			next += int(63-have) >> 3
			have |= 56
		} else {
			acc, have, next = refillTail(src, acc, have, next)
		}
		for i := 0; i < lookups && a0 < width; i++ {
			m := modeTable[acc>>(64-modeTableBits)]
			switch m.mode() {
			case modeTwoVerticals:
				if acc >= chain<<(64-chainBits) { // V0 many times: a1 = b1
					first := n
					n, b, a0 = ref.copyTo(cur, n, b, a0, width, min(bits.LeadingZeros64(^acc), int(have)))
					acc, have = acc<<((n-first)&63), have-uint(n-first)
					continue row
				}
				a1 := ref[b] + m.firstDelta()
				if a1 <= a0 && w.backward(n, a0, a1) {
					acc, have = acc<<m.firstBits(), have-m.firstBits()
					break row // a0 is not the width: rowTooLong
				}
				cur[n] = a1
				n++
				if a0 = a1; a0 >= width { // the second is in the next row
					acc, have = acc<<m.firstBits(), have-m.firstBits()
					break row
				}
				b = ref.turn(b, a0, width)
				fallthrough
			case modeVertical:
				acc, have = acc<<m.bits(), have-m.bits()
				a1 := ref[b] + m.delta()
				if a1 <= a0 && w.backward(n, a0, a1) {
					break row
				}
				cur[n] = a1
				n++
				a0 = a1
				b = ref.turn(b, a0, width)
			case modePass:
				acc, have = acc<<m.bits(), have-m.bits()
				a0 = ref[b+1]
				if b += 2; n > 0 {
					b = ref.after(b, a0, width)
				}
			case modeHorizontal:
				if p := runPairs[n&1][acc<<horizontalLen>>(64-runBits)]; p != 0 {
					acc, have = acc<<(horizontalLen+p.bits()), have-horizontalLen-p.bits()
					a1 := a0 + p.first()
					a0 = a1 + p.second()
					cur[n], cur[n+1] = a1, a0
					n += 2
				} else {
					w.next, w.acc, w.have = next, acc, have
					n, a0, end = w.horizontal(cur, n, a0, width)
					next, acc, have = w.next, w.acc, w.have
					if end != rowComplete {
						break row
					}
				}
				b = ref.after(b, a0, width)
			default:
				acc, have, end = acc<<m.bits(), have-m.bits(), m.end()
				break row
			}
		}
	}
	w.next, w.acc, w.have = next, acc, have
	return cur.ended(n, a0, width, end)
}

// backward judges the n-th changing element of a row, a1, that is not behind a0:
// the row is broken when it is left of a0, else it has a run of no pixels.
func (w *window) backward(n int, a0, a1 int32) bool {
	w.emptyRuns = w.emptyRuns || n > 0
	return a1 < a0
}

// turn returns the index of b1 after a vertical mode that put a0 near element b.
func (l line) turn(b int, a0, width int32) int {
	if b > 0 && l[b-1] > a0 { // VL went back behind an element of the other colour
		return b - 1
	}
	return l.after(b+1, a0, width)
}

// horizontal reads a horizontal mode whose two runs stand in no table of pairs.
// Both are there even where the first ends the row.
func (w *window) horizontal(cur line, n int, a0, width int32) (int, int32, rowEnd) {
	w.skip(horizontalLen)
	runs, others := whiteRuns, blackRuns
	if n&1 != 0 {
		runs, others = others, runs
	}
	for range 2 {
		w.refill()
		r := w.run(runs, width-a0)
		if r < 0 {
			return n, a0, rowBadCode
		}
		if a0 += r; a0 > width {
			return n, a0, rowTooLong
		}
		if r == 0 && n > 0 && a0 < width {
			w.emptyRuns = true
		}
		cur[n] = a0
		n++
		runs, others = others, runs
	}
	return n, a0, rowComplete
}

// copyTo copies up to k elements of the reference line from b on, which must be
// behind a0, to cur[n:], and returns the new n, b and a0.
func (l line) copyTo(cur line, n, b int, a0, width int32, k int) (int, int, int32) {
	for end := n + k; n < end && a0 < width; n++ {
		a0 = l[b]
		cur[n] = a0
		if b++; l[b] <= a0 { // a run of no pixels, or the end
			b = l.after(b, a0, width)
		}
	}
	return n, b, a0
}

// after returns the index of the first element behind a0, from b on, that has
// the colour of element b.
func (l line) after(b int, a0, width int32) int {
	for l[b] <= a0 && l[b] < width {
		b += 2
	}
	return b
}

// ended puts the sentinels behind a row that was read up to a0, and judges it.
func (l line) ended(n int, a0, width int32, end rowEnd) (int, rowEnd) {
	l.terminate(n, width)
	if end == rowComplete && a0 != width {
		end = rowTooLong
	}
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
