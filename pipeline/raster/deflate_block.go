package raster

import "encoding/binary"

// A token is what a block consists of: a literal byte, or literals + 256 times the slot of a distance + the length of a match less 3.
type token uint16

const (
	literals  = 256
	slots     = 16      // distances that a block has at most
	numbers   = 8 << 10 // more than tokens have
	maxTokens = 16 << 10
)

// A block is tokens that are written with one pair of codes (RFC 1951, 3.2.3).
type block struct {
	tokens    [maxTokens]token
	n         int
	distances [slots]int
	used      int             // slots
	counts    [numbers]uint32 // how often each token comes, when the block is written
	written   [numbers]uint64 // for each token, its bits, and in the six least significant ones how many they are
}

// start empties the block. The distances of all blocks are in the first slots: that of the row above, and 1.
func (b *block) start(row int) {
	b.n, b.used = 0, 2
	b.distances[0], b.distances[1] = row, 1
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

// addMatch adds a match; there is room for it and its distance.
func (b *block) addMatch(distance, n int) {
	slot := 0
	if distance != b.distances[0] {
		if slot = b.slot(distance); slot == b.used {
			b.distances[slot] = distance
			b.used++
		}
	}
	b.tokens[b.n] = token(literals + 256*slot + n - minMatch)
	b.n++
}

// addBytes adds the bytes of a row from one to another as literals, until minRun of the row's width are the same as the one before, or
// there is no room, and returns how many it added. There is room for one, and it adds the first byte of a row.
func (b *block) addBytes(row []byte, from, to, width int) int {
	room := b.tokens[b.n:]
	if from == 0 {
		room[0] = token(row[0])
		b.n++
		return 1
	}
	row = row[from-1 : to+minRun]
	n, before := min(to-from, len(room)), uint32(row[0])
	for i := range room[:n] {
		four := row[i+1 : i+1+minRun : i+1+minRun]
		if binary.LittleEndian.Uint32(four) == before*0x01010101 && from+i+minRun <= width {
			n = i
			break
		}
		before = uint32(four[0])
		room[i] = token(before)
	}
	b.n += n
	return n
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

// count adds up how often tokens and their symbols come.
func (b *block) count(litLens, dists []uint32) {
	clear(b.counts[:literals+256*b.used])
	for _, t := range b.tokens[:b.n] {
		b.counts[t%numbers]++
	}
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

// writeTokens writes some at a time, none of more than 48 bits, and two at once where they have no more than 56.
func (b *block) writeTokens(out *bitWriter) {
	const some = 64
	for tokens := b.tokens[:b.n]; len(tokens) > 0; tokens = tokens[min(some, len(tokens)):] {
		out.reserve(some * 6)
		buf, at, bits, n := &out.buf, out.at, out.bits, out.n
		part := tokens[:min(some, len(tokens))]
		for i := 0; i < len(part); i++ {
			w := b.written[part[i]%numbers]
			if i+1 < len(part) {
				if next := b.written[part[i+1]%numbers]; w&63+next&63 <= 56 {
					w = w&^63 | next>>6<<(6+w&63) | (w&63 + next&63)
					i++
				}
			}
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
