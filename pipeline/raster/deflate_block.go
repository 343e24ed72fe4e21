package raster

import "encoding/binary"

// A token is what a block consists of: a literal byte, or literals + 256 times the slot of a distance + the length of a match less 3.
type token uint16

const (
	literals  = 256
	slots     = 16 // distances that a block has at most
	maxTokens = 16 << 10
)

// A block is tokens that are written with one pair of codes (RFC 1951, 3.2.3).
type block struct {
	tokens    [maxTokens]token
	n         int
	counts    [literals + 256*slots]uint32 // how often each token comes
	distances [slots]int
	used      int                          // slots
	written   [literals + 256*slots]uint64 // for each token, its bits, and in the six least significant ones how many they are
}

// start empties the block.
func (b *block) start() {
	clear(b.counts[:literals+256*b.used])
	b.n, b.used = 0, 0
}

// hasRoomFor reports whether the block can have a match at a distance.
func (b *block) hasRoomFor(distance int) bool { return b.used < slots || b.slot(distance) < slots }

// slot returns where a distance is, or where the next one will be.
func (b *block) slot(distance int) int {
	for i, d := range b.distances[:b.used] {
		if d == distance {
			return i
		}
	}
	return b.used
}

// match returns the token of a match; there is room for its distance.
func (b *block) match(distance, n int) token {
	slot := b.slot(distance)
	if slot == b.used {
		b.distances[slot] = distance
		b.used++
	}
	return token(literals + 256*slot + n - minMatch)
}

func (b *block) add(t token) {
	b.tokens[b.n] = t
	b.n++
	b.counts[t]++
}

// write ends the block: it takes the codes from how often symbols come, and writes them (RFC 1951, 3.2.7) and the tokens.
func (b *block) write(out *bitWriter, final bool) {
	litLens, dists := newPrefixCode(litLenSymbols), newPrefixCode(distSymbols)
	b.count(litLens.counts[:], dists.counts[:])
	litLens.make(15)
	dists.make(15)
	header := uint64(2 << 1) // dynamic codes
	if final {
		header |= 1
	}
	out.put(header, 3)
	writeCodes(out, &litLens, &dists)
	b.spell(&litLens, &dists)
	b.writeTokens(out)
	out.put(uint64(litLens.codes[endOfBlock]), uint(litLens.lengths[endOfBlock]))
}

// count adds up how often the symbols of tokens come.
func (b *block) count(litLens, dists []uint32) {
	copy(litLens, b.counts[:literals])
	litLens[endOfBlock] = 1
	for slot, distance := range b.distances[:b.used] {
		dist, _, _ := distSymbol(distance)
		for i, n := range b.counts[literals+256*slot:][:256] {
			if n > 0 {
				length, _, _ := lengthSymbol(i + minMatch)
				litLens[length] += n
				dists[dist] += n
			}
		}
	}
}

// spell finds the bits of every token that the block has.
func (b *block) spell(litLens, dists *prefixCode) {
	for t := range b.counts[:literals] {
		b.written[t] = uint64(litLens.codes[t])<<6 | uint64(litLens.lengths[t])
	}
	for slot, distance := range b.distances[:b.used] {
		symbol, extra, value := distSymbol(distance)
		at := uint(dists.lengths[symbol])
		dist, distBits := uint64(dists.codes[symbol])|value<<at, at+uint(extra)
		for i, n := range b.counts[literals+256*slot:][:256] {
			if n > 0 {
				symbol, extra, value := lengthSymbol(i + minMatch)
				at := uint(litLens.lengths[symbol])
				all := uint64(litLens.codes[symbol]) | value<<at | dist<<(at+uint(extra))
				b.written[literals+256*slot+i] = all<<6 | uint64(at+uint(extra)+distBits)
			}
		}
	}
}

// writeTokens writes some at a time, none of more than 48 bits.
func (b *block) writeTokens(out *bitWriter) {
	const some = 64
	for tokens := b.tokens[:b.n]; len(tokens) > 0; tokens = tokens[min(some, len(tokens)):] {
		out.reserve(some * 6)
		buf, at, bits, n := &out.buf, out.at, out.bits, out.n
		for _, t := range tokens[:min(some, len(tokens))] {
			w := b.written[t%token(len(b.written))]
			bits |= w >> 6 << (n & 63)
			n += uint(w & 63)
			binary.LittleEndian.PutUint64(buf[at:], bits)
			at += int(n >> 3)
			bits >>= n &^ 7 & 63
			n &= 7
		}
		out.at, out.bits, out.n = at, bits, n
	}
}
