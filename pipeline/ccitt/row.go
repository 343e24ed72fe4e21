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
type line[T position] []T

// A position is a pixel of a row, or its width. Rows up to maxNarrow take half the memory.
type position interface{ uint16 | int32 }

// maxNarrow is the widest row that a narrowLine has room for, with what row2D
// may write behind it.
const (
	maxNarrow  = narrowMask - 127
	narrowMask = 1<<14 - 1
)

// A narrowLine is a line of a row up to maxNarrow. An index by narrowMask is
// within it, also one before the first element: that one is 0.
type narrowLine[T position] [narrowMask + 8]T

// lineSize is how many elements a line needs: a row has at most one a pixel; with
// runs of no pixels it may have more, by what row2D adds before it notices.
func lineSize(width int) int { return width + 2*lookups + 64 + sentinels }

// newLine returns a line for row2D.
func newLine[T position](width int) line[T] {
	if width <= maxNarrow {
		return new(narrowLine[T])[:]
	}
	return make(line[T], lineSize(width))
}

// terminate puts the sentinels behind n elements.
func (l line[T]) terminate(n int, width int32) {
	s, w := l[n:n+sentinels], T(width)
	s[0], s[1], s[2], s[3] = w, w, w, w
}

// row1D decodes a one-dimensionally coded row (T.4 4.1) into cur and returns
// the number of its changing elements.
func row1D[T position](w *window, cur line[T], width int32) (int, rowEnd) {
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
		for i := 0; i < 56/pairBits && a0 < width; i++ {
			p := runPairs[0][acc>>(64-pairBits)]
			a1 := a0 + p.first()
			if p == 0 || a1 >= width {
				var end rowEnd
				w.next, w.acc, w.have = next, acc, have
				w.refill()
				if n, a0, end = longPair(w, cur, n, a0, width, whiteRuns, blackRuns); end != rowComplete {
					return cur.ended(n, a0, width, end)
				}
				next, acc, have = w.next, w.acc, w.have
				break
			}
			acc, have = acc<<p.bits(), have-p.bits()
			a0 = a1 + p.second()
			cur[n], cur[n+1] = T(a1), T(a0)
			n += 2
		}
	}
	w.next, w.acc, w.have = next, acc, have
	return cur.ended(n, a0, width, rowComplete)
}

// longPair reads two runs that stand in no table of pairs, the first of the
// colour of runs, into cur[n:], and returns the new n and a0. It stops after
// the first at the end of the row. Refill must have been called.
func longPair[T position](w *window, cur line[T], n int, a0, width int32, runs, others *[1 << runBits]uint16) (int, int32, rowEnd) {
	for range 2 {
		r := w.run(runs, width-a0)
		if r < 0 {
			return n, a0, rowBadCode
		}
		if a0 += r; a0 > width {
			return n, a0, rowTooLong
		}
		cur[n] = T(a0)
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
	chainBits = 4
	chain     = 1<<chainBits - 1
)

// lookups is how many entries of the table of modes may be followed between two
// refills: each consumes at most its own bits, or a horizontal mode of a pair.
const lookups = 56 / max(modeTableBits, horizontalLen+pairBits)

// row2D decodes a two-dimensionally coded row (T.4 4.2, T.6 2.2) into cur,
// with ref as the reference line, and returns the number of its changing
// elements.
func row2D[T position](w *window, ref, cur line[T], width int32) (int, rowEnd) {
	r := row[T]{w: w, at: w.pos(), width: width}
	end := rowComplete
	for r.a0 < width && r.n <= int(width) && end == rowComplete {
		at := r.at
		if width <= maxNarrow {
			r.groups((*narrowLine[T])(ref), (*narrowLine[T])(cur))
		}
		if w.more = min(2*w.more+1, mostRounds); r.at-at > fewBits {
			w.more = 0
		}
		end = r.codes(ref, cur, 1+w.more)
	}
	w.seek(r.at)
	return cur.ended(r.n, r.a0, width, end)
}

// Where groups come no farther than fewBits, codes are read one by one in more
// rounds, the more, the longer it is so: then it is a tone, and no text.
const (
	fewBits    = 24
	mostRounds = 100
)

// A row is how far row2D came. The names are the standard's: b1 = ref[b], b2 =
// ref[b+1].
type row[T position] struct {
	w         *window
	at        int // bits into the stream
	n, b      int // elements of the row; b1
	a0, width int32
}

// codes reads so many rounds of codes, one or two at a time.
func (r *row[T]) codes(ref, cur line[T], rounds int) (end rowEnd) {
	w := r.w
	w.seek(r.at)
	src, next, acc, have := w.src, w.next, w.acc, w.have
	ref = ref[:len(cur)] // one length to hold in a register
	n, b, a0, width := r.n, r.b, r.a0, r.width
row:
	for ; rounds > 0 && a0 < width && n <= int(width); rounds-- { // a line has room for what a round adds
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
				a1 := int32(ref[b]) + m.firstDelta()
				if a1 <= a0 && w.backward(n, a0, a1) {
					acc, have, end = acc<<m.firstBits(), have-m.firstBits(), rowTooLong
					break row
				}
				cur[n] = T(a1)
				n++
				if a0 = a1; a0 >= width { // the second is in the next row
					acc, have = acc<<m.firstBits(), have-m.firstBits()
					break row
				}
				b = ref.turn(b, a0, width)
				fallthrough
			case modeVertical:
				acc, have = acc<<m.bits(), have-m.bits()
				a1 := int32(ref[b]) + m.delta()
				if a1 <= a0 && w.backward(n, a0, a1) {
					end = rowTooLong
					break row
				}
				cur[n] = T(a1)
				n++
				a0 = a1
				b = ref.turn(b, a0, width)
			case modePass:
				acc, have = acc<<m.bits(), have-m.bits()
				a0 = int32(ref[b+1])
				if b += 2; n > 0 {
					b = ref.after(b, a0, width)
				}
			case modeHorizontal:
				if p := runPairs[n&1][acc<<horizontalLen>>(64-pairBits)]; p != 0 {
					acc, have = acc<<(horizontalLen+p.bits()), have-horizontalLen-p.bits()
					a1 := a0 + p.first()
					a0 = a1 + p.second()
					cur[n], cur[n+1] = T(a1), T(a0)
					n += 2
				} else {
					w.next, w.acc, w.have = next, acc, have
					n, a0, end = horizontal(w, cur, n, a0, width)
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
	r.at, r.n, r.b, r.a0 = w.pos(), n, b, a0
	return end
}

// groupsAtOnce is how many groups, or horizontal modes of a pair, the 57 bits
// have that one read of the stream gives.
const groupsAtOnce = 57 / max(groupBits, horizontalLen+pairBits)

// groups reads most of a row, as far as it is in order.
//
// Vertical modes come in groups, whose elements are lanes of 16 bits in a word.
// A group is taken where each of its a1 is right of the one before, left of b2
// and not left of the element before b1, which is so nearly everywhere: then
// the b1 of the next code is b2.
func (r *row[T]) groups(ref, cur *narrowLine[T]) {
	src, first := r.w.src, uint64(r.at)
	p, a0, width := newPlace(r.n, r.b), uint64(r.a0), uint64(r.width)
read:
	for p.n() <= width {
		at := first + p.bits()
		i := at >> 3
		if i+8 > uint64(len(src)) {
			break
		}
		acc := binary.BigEndian.Uint64(src[i:i+8:i+8]) << (at & 7)
		for range groupsAtOnce {
			if acc>>(64-horizontalLen) == horizontalCode {
				runs := runPairs[p&1][acc<<horizontalLen>>(64-pairBits)]
				if runs == 0 {
					break read
				}
				a1 := a0 + uint64(runs.first())
				a0 = a1 + uint64(runs.second())
				cur[p&narrowMask], cur[p&narrowMask+1] = T(a1), T(a0)
				acc <<= horizontalLen + runs.bits()
				p += place(horizontalLen+runs.bits())<<bitsAt + 2
			} else {
				g := groups[acc>>(64-groupBits)]
				b := p >> bAt
				b1, b2 := lanes((*[4]T)(ref[b&narrowMask:])), lanes((*[4]T)(ref[b&narrowMask+1:]))
				a1 := b1 + g.moved // with the high bit of each lane
				// A lane keeps the high bit in each term where it may.
				fits := (a1 - ones - (a1<<16&^highs | a0)) & (b2 + ^a1) &
					(a1 - (b1<<16 | uint64(ref[(b-1)&narrowMask])))
				if ^fits&g.rest&highs != 0 {
					break read
				}
				a1 ^= highs
				*(*[4]T)(cur[p&narrowMask:]) = elements[T](a1)
				acc <<= g.rest >> bitsAt & 63
				p += place(g.rest & groupPlace)
				if g.rest&groupPass != 0 {
					a1 = b2
				}
				a0 = uint64(uint16(a1 >> (g.rest >> lastAt & 63)))
			}
			for uint64(ref[p>>bAt&narrowMask]) <= a0 {
				if a0 >= width {
					break read
				}
				if p.n() == 0 {
					break // behind a pass mode
				}
				p += 2 << bAt
			}
		}
	}
	r.at, r.n, r.b, r.a0 = int(first+p.bits()), int(p.n()), int(p>>bAt&0xffff), int32(a0)
}

// A place is n, b and how many bits were read, in one word, so that one addition
// moves all.
type place uint64

const (
	bAt    = 16
	bitsAt = 32
)

func newPlace(n, b int) place { return place(n) | place(b)<<bAt }

func (p place) n() uint64    { return uint64(p & 0xffff) }
func (p place) bits() uint64 { return uint64(p >> bitsAt) }

// lanes returns the first four elements as lanes of a word, the first in the
// lowest.
func lanes[T position](four *[4]T) uint64 {
	return uint64(uint16(four[0])) | uint64(uint16(four[1]))<<16 | uint64(uint16(four[2]))<<32 | uint64(uint16(four[3]))<<48
}

// elements does the reverse.
func elements[T position](lanes uint64) [4]T {
	return [4]T{T(uint16(lanes)), T(uint16(lanes >> 16)), T(uint16(lanes >> 32)), T(uint16(lanes >> 48))}
}

// backward judges the n-th changing element of a row, a1, that is not behind a0:
// the row is broken when it is left of a0, else it has a run of no pixels.
func (w *window) backward(n int, a0, a1 int32) bool {
	w.emptyRuns = w.emptyRuns || n > 0
	return a1 < a0
}

// turn returns the index of b1 after a vertical mode that put a0 near element b.
func (l line[T]) turn(b int, a0, width int32) int {
	if b > 0 && int32(l[b-1]) > a0 { // VL went back behind an element of the other colour
		return b - 1
	}
	return l.after(b+1, a0, width)
}

// horizontal reads a horizontal mode whose two runs stand in no table of pairs.
// Both are there even where the first ends the row.
func horizontal[T position](w *window, cur line[T], n int, a0, width int32) (int, int32, rowEnd) {
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
		cur[n] = T(a0)
		n++
		runs, others = others, runs
	}
	return n, a0, rowComplete
}

// copyTo copies up to k elements of the reference line from b on, which must be
// behind a0, to cur[n:], and returns the new n, b and a0.
func (l line[T]) copyTo(cur line[T], n, b int, a0, width int32, k int) (int, int, int32) {
	for end := n + k; n < end && a0 < width; n++ {
		a0 = int32(l[b])
		cur[n] = T(a0)
		if b++; int32(l[b]) <= a0 { // a run of no pixels, or the end
			b = l.after(b, a0, width)
		}
	}
	return n, b, a0
}

// after returns the index of the first element behind a0, from b on, that has
// the colour of element b.
func (l line[T]) after(b int, a0, width int32) int {
	for int32(l[b]) <= a0 && int32(l[b]) < width {
		b += 2
	}
	return b
}

// ended puts the sentinels behind a row that was read up to a0, and judges it.
func (l line[T]) ended(n int, a0, width int32, end rowEnd) (int, rowEnd) {
	l.terminate(n, width)
	if end == rowComplete && a0 != width {
		end = rowTooLong
	}
	return n, end
}

// fill writes the row with n changing elements to dst, rounded up to whole
// 64-bit words: dst must reach up to seven bytes past the row, and those
// bytes become zero. words, one for each 64 pixels and one more, are zero and
// become zero again.
func (l line[T]) fill(dst []byte, words []uint64, n int, width int32) {
	for n > 0 && int32(l[n-1]) >= width {
		n--
	}
	words = words[:(width+63)>>6+1]
	dst = dst[:8*(len(words)-1)]
	if n == 0 {
		clear(dst)
		return
	}
	l[n] = T(width) // where the last run ends if it is black
	l[:n+n&1].paint(words)
	for i := range dst[:len(dst)/8] {
		binary.BigEndian.PutUint64(dst[8*i:8*i+8:8*i+8], words[i])
		words[i] = 0
	}
	words[len(words)-1] = 0
}

// paint sets the bits of the black runs, each of which is two elements of l.
func (l line[T]) paint(words []uint64) {
	// word holds the pixels of words[at]. Inverting all bits from an element on,
	// for both of a run, leaves the run. No branch tells one word from two.
	word, at := uint64(0), uint(0)
	for i := 0; i < len(l)-1; i += 2 {
		first, last := uint(l[i]), uint(l[i+1])
		if first>>6 != at {
			word = 0
		}
		at = first >> 6
		word ^= tails[first&63]
		words[at] = word
		if last>>6 != at {
			word = ^uint64(0)
		}
		for at++; at < last>>6; at++ {
			words[at] = ^uint64(0)
		}
		at = last >> 6
		word ^= tails[last&63]
		words[at] = word
	}
}
