package raster

import (
	"encoding/binary"
	"io"
)

// A bitWriter writes bits, the first one in the least significant bit of a byte (RFC 1951, 3.1.1), at most idatSize bytes in a write.
// After the first error it writes no more.
type bitWriter struct {
	w    io.Writer
	err  error
	buf  [idatSize]byte
	at   int    // bytes in buf
	bits uint64 // that are no whole byte yet, and zeros
	n    uint   // how many bits they are, less than 8
}

func (w *bitWriter) reset(to io.Writer) { w.w, w.err, w.at, w.bits, w.n = to, nil, 0, 0, 0 }

// put writes the n least significant bits, at most 56, of a number that has no others.
func (w *bitWriter) put(bits uint64, n uint) {
	w.reserve(8)
	w.bits |= bits << w.n
	w.n += n
	binary.LittleEndian.PutUint64(w.buf[w.at:], w.bits)
	w.at += int(w.n >> 3)
	w.bits >>= w.n &^ 7
	w.n &= 7
}

// reserve makes room for so many bytes, and a number behind.
func (w *bitWriter) reserve(bytes int) {
	if w.at+bytes+8 > len(w.buf) {
		w.flush()
	}
}

func (w *bitWriter) flush() {
	if w.err == nil && w.at > 0 {
		_, w.err = w.w.Write(w.buf[:w.at])
	}
	w.at = 0
}

// close fills the last byte, and writes the checksum that ends a zlib stream (RFC 1950, 2.2).
func (w *bitWriter) close(sum uint32) error {
	w.put(0, -w.n&7)
	w.reserve(4)
	binary.BigEndian.PutUint32(w.buf[w.at:], sum)
	w.at += 4
	w.flush()
	return w.err
}

// adler is the checksum of a zlib stream (RFC 1950, 8.2): a is one and all bytes, b is all that a was after each of them.
type adler struct{ a, b uint64 } // but for multiples of the modulus

const adlerModulus = 65521

func (s adler) sum() uint32 {
	s.reduce()
	return uint32(s.b<<16 | s.a)
}

// rowSums are the checksums of a row alone: bytes is their sum, and weighted the sum of each so many times as bytes come from it on.
type rowSums struct{ bytes, weighted uint64 }

// hash tells rows apart, mostly.
func (s rowSums) hash() uint32 {
	return uint32((s.weighted*0x9e3779b97f4a7c15 + s.bytes) >> 32 % seenSize)
}

// add takes a row of width bytes.
func (s *adler) add(row rowSums, width int) {
	s.b += uint64(width)*s.a + row.weighted%adlerModulus
	s.a += row.bytes % adlerModulus
	if s.b >= 1<<40 {
		s.reduce()
	}
}

// repeat takes it some times.
func (s *adler) repeat(row rowSums, width, times int) {
	s.reduce()
	const m = adlerModulus
	bytes, weighted, n, k := row.bytes%m, row.weighted%m, uint64(width)%m, uint64(times)
	pairs := k * (k - 1) / 2 % m // of a row and one before it
	k %= m
	s.b = (s.b + n*k%m*s.a + k*weighted + n*bytes%m*pairs) % m
	s.a = (s.a + k*bytes) % m
}

func (s *adler) reduce() { s.a, s.b = s.a%adlerModulus, s.b%adlerModulus }

// sumRow adds up a row of width bytes, with zeros behind up to a multiple of eight.
func sumRow(row []byte, width int) (sums rowSums) {
	const some = 8 * 16 // so that no sum exceeds 16 bits
	padding := uint64(len(row) - width)
	for ; len(row) > 0; row = row[min(some, len(row)):] {
		part := row[:min(some, len(row))]
		var pairs, before, odd uint64 // sums of lanes of 16 bits: of two neighbours, of pairs in all words before, of the second ones
		for i := 0; i+8 <= len(part); i += 8 {
			eight := binary.LittleEndian.Uint64(part[i:])
			second := eight >> 8 & everySecond
			before += pairs
			pairs += eight&everySecond + second
			odd += second
		}
		sums.weighted += uint64(len(part))*sums.bytes + 8*lanes(before, 1, 1, 1, 1) + lanes(pairs, 8, 6, 4, 2) - lanes(odd, 1, 1, 1, 1)
		sums.bytes += lanes(pairs, 1, 1, 1, 1)
	}
	sums.weighted -= padding * sums.bytes
	return sums
}

// lanes returns the weighted sum of four.
func lanes(four, a, b, c, d uint64) uint64 {
	return a*(four&0xffff) + b*(four>>16&0xffff) + c*(four>>32&0xffff) + d*(four>>48)
}
