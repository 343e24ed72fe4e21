package ccitt

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A window reads a stream of bits, the most significant of each byte first.
// The row decoders hold its fields in registers; everything else uses the
// methods. Past the end of the data it reads zeros, which are the start of no
// code, so that every decoder stops there.
type window struct {
	src  []byte
	next int    // the byte of src that refill takes next
	acc  uint64 // the next bits, left-aligned
	have uint   // how many of them count, at least 56 after refill

	emptyRuns bool // a two-dimensional row had a run of no pixels
	more      int  // rounds of codes that row2D reads one by one before it tries groups again
}

func (w *window) refill() {
	if w.next+8 <= len(w.src) {
		w.acc |= binary.BigEndian.Uint64(w.src[w.next:]) >> (w.have & 63)
		w.next += int(63-w.have) >> 3
		w.have |= 56
		return
	}
	w.acc, w.have, w.next = refillTail(w.src, w.acc, w.have, w.next)
}

// refillTail is refill for the last bytes of src and the zeros after it.
func refillTail(src []byte, acc uint64, have uint, next int) (uint64, uint, int) {
	for have < 56 {
		if next < len(src) {
			acc |= uint64(src[next]) << (56 - have)
		}
		have += 8
		next++
	}
	return acc, have, next
}

// skip drops n bits, at most those that refill provided.
func (w *window) skip(n uint) {
	w.acc <<= n
	w.have -= n
}

// pos returns the position of the next bit.
func (w *window) pos() int { return w.next*8 - int(w.have) }

// end returns the number of bits in the stream.
func (w *window) end() int { return len(w.src) * 8 }

// seek moves to bit position p, which may lie past the end.
func (w *window) seek(p int) {
	w.next, w.acc, w.have = p>>3, 0, 0
	w.refill()
	w.skip(uint(p & 7))
}

// align moves to the next multiple of n bits, counted from the stream's start.
func (w *window) align(n int) {
	if p := w.pos(); p%n != 0 {
		w.seek(p + n - p%n)
	}
}

// onlyZeros tells whether nothing but zeros follows position p.
func (w *window) onlyZeros(p int) bool {
	i := p >> 3
	if i >= len(w.src) {
		return true
	}
	if w.src[i]&(0xff>>(p&7)) != 0 {
		return false
	}
	for _, b := range w.src[i+1:] {
		if b != 0 {
			return false
		}
	}
	return true
}

const eolBits = 12 // 000000000001, T.4 4.1.2

// skipEOL consumes fill bits and an EOL code if they come next, and tells
// whether they did. Otherwise the position is unchanged.
func (w *window) skipEOL() bool {
	w.refill()
	if w.acc>>(64-eolBits+1) != 0 {
		return false
	}
	start := w.pos()
	for {
		if z := bits.LeadingZeros64(w.acc); uint(z) < w.have {
			w.skip(uint(z) + 1)
			return true
		}
		if w.pos() >= w.end() {
			w.seek(start)
			return false
		}
		w.seek(w.next * 8)
	}
}

// ReverseBits returns a copy of src with the bits of every byte in reverse
// order: it turns TIFF FillOrder 2 into FillOrder 1 and back.
func ReverseBits(src []byte) []byte { return appendReversed(make([]byte, 0, len(src)), src) }

// appendReversed appends the bytes of src, with their bits reversed, to dst.
func appendReversed(dst, src []byte) []byte {
	n := len(dst)
	dst = append(dst, src...)
	reverse(dst[n:])
	return dst
}

// reverse reverses the order of the bits of every byte.
func reverse(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		x := binary.LittleEndian.Uint64(p)
		x = x>>1&0x5555555555555555 | x&0x5555555555555555<<1
		x = x>>2&0x3333333333333333 | x&0x3333333333333333<<2
		x = x>>4&0x0f0f0f0f0f0f0f0f | x&0x0f0f0f0f0f0f0f0f<<4
		binary.LittleEndian.PutUint64(p, x)
	}
	for i, b := range p {
		p[i] = bits.Reverse8(b)
	}
}

// A bitWriter appends bits to a slice, the most significant first.
type bitWriter struct {
	buf  []byte // up to its capacity
	n    int    // bytes of buf written
	acc  uint64 // the bits not yet counted in n, left-aligned
	have uint   // how many, at most 7 between calls
}

func newBitWriter(dst []byte) bitWriter { return bitWriter{buf: dst[:cap(dst)], n: len(dst)} }

// reserve makes room for n bytes and the eight that store may touch.
func (w *bitWriter) reserve(n int) {
	if len(w.buf)-w.n < n+8 {
		b := slices.Grow(w.buf[:w.n], n+8)
		w.buf = b[:cap(b)]
	}
}

// put appends the low n bits of v, n at most 32. There must be room.
func (w *bitWriter) put(v uint32, n uint) {
	w.acc |= uint64(v) << ((64 - w.have - n) & 63)
	w.n, w.acc, w.have = store(w.buf, w.n, w.acc, w.have+n)
}

// store writes the whole bytes among the first have bits of acc behind n bytes
// of buf.
func store(buf []byte, n int, acc uint64, have uint) (int, uint64, uint) {
	binary.BigEndian.PutUint64(buf[n:], acc)
	return n + int(have>>3), acc << (have &^ 7 & 63), have & 7
}

// finish pads with zeros to a byte boundary and returns what was written.
func (w *bitWriter) finish() []byte {
	if w.have > 0 {
		w.put(0, 8-w.have)
	}
	return w.buf[:w.n]
}
