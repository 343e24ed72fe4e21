package raster

import (
	"math/bits"
	"slices"
)

// The symbols of Deflate's three alphabets (RFC 1951, 3.2.5 and 3.2.7).
const (
	endOfBlock    = 256
	litLenSymbols = 286
	distSymbols   = 30
	lengthSymbols = 19 // with which the lengths of the other codes are written
)

// A prefixCode is the code of one of the alphabets, made from how often its symbols come.
type prefixCode struct {
	counts  [litLenSymbols]uint32
	lengths [litLenSymbols]uint8
	codes   [litLenSymbols]uint16 // the first bit of each in the least significant one
	symbols int
}

func newPrefixCode(symbols int) prefixCode { return prefixCode{symbols: symbols} }

// make finds lengths, up to a limit, and codes.
func (c *prefixCode) make(limit int) {
	codeLengths(c.counts[:c.symbols], limit, c.lengths[:c.symbols])
	canonical(c.lengths[:c.symbols], c.codes[:c.symbols])
}

// used is how many symbols there are up to the last one with a code, and at least so many.
func (c *prefixCode) used(least int) int {
	n := c.symbols
	for n > least && c.lengths[n-1] == 0 {
		n--
	}
	return n
}

// codeLengths sets the lengths of a prefix code of as few bits as can be for symbols that occur so often, none longer than limit (7 or
// 15); the length of one that does not occur is 0. A code has two symbols at least, so that it is complete: there are decoders that
// take no other.
func codeLengths(counts []uint32, limit int, lengths []uint8) {
	var used [litLenSymbols]uint64 // how often, and which, the rarest first
	n := 0
	for symbol, count := range counts {
		if count > 0 {
			used[n] = uint64(count)<<16 | uint64(symbol)
			n++
		}
	}
	for symbol := range counts {
		if n >= 2 {
			break
		}
		if counts[symbol] == 0 {
			used[n] = 1<<16 | uint64(symbol)
			n++
		}
	}
	slices.Sort(used[:n])
	clear(lengths)
	for !huffman(used[:n], limit, lengths) {
		for i := range used[:n] { // nearer to each other, in the same order
			used[i] = (used[i]>>16+1)/2<<16 | used[i]&0xffff
		}
	}
}

// huffman builds the tree of D. Huffman, "A method for the construction of minimum-redundancy codes", from two queues, and reports whether
// no length exceeds the limit.
func huffman(used []uint64, limit int, lengths []uint8) bool {
	var weight [2*litLenSymbols - 1]uint64
	var parent [2*litLenSymbols - 1]uint16
	var depth [2*litLenSymbols - 1]uint8
	for i, u := range used {
		weight[i] = u >> 16
	}
	leaf, node, end := 0, len(used), 2*len(used)-1
	rarest := func(next int) int {
		if leaf < len(used) && (node == next || weight[leaf] <= weight[node]) {
			leaf++
			return leaf - 1
		}
		node++
		return node - 1
	}
	for next := len(used); next < end; next++ {
		a := rarest(next)
		b := rarest(next)
		weight[next] = weight[a] + weight[b]
		parent[a], parent[b] = uint16(next), uint16(next)
	}
	for i := end - 2; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
	}
	for i, u := range used {
		if int(depth[i]) > limit {
			return false
		}
		lengths[u&0xffff] = depth[i]
	}
	return true
}

// canonical sets the codes of lengths (RFC 1951, 3.2.2), the first bit of each in the least significant one, as it is written.
func canonical(lengths []uint8, codes []uint16) {
	var count, next [16]uint16
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	for n := 1; n < len(next); n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for symbol, n := range lengths {
		if n > 0 {
			codes[symbol] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// lengthSymbol returns the symbol of a match of 3 to 258 bytes, how many bits follow it, and their value (RFC 1951, 3.2.5).
func lengthSymbol(length int) (symbol, extra int, value uint64) {
	if length == maxMatch {
		return 285, 0, 0
	}
	n := length - minMatch
	if n < 8 {
		return 257 + n, 0, 0
	}
	extra = bits.Len(uint(n)) - 3
	return 257 + 4*extra + n>>extra, extra, uint64(n) & (1<<extra - 1)
}

// distSymbol does the same for a distance of 1 to 32768 bytes.
func distSymbol(distance int) (symbol, extra int, value uint64) {
	n := distance - 1
	if n < 4 {
		return n, 0, 0
	}
	extra = bits.Len(uint(n)) - 2
	return 2*extra + n>>extra, extra, uint64(n) & (1<<extra - 1)
}

// lengthOrder is the order in which the lengths of the code for lengths are written (RFC 1951, 3.2.7).
var lengthOrder = [lengthSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// writeCodes writes the codes of a block, as lengths.
func writeCodes(out *bitWriter, litLens, dists *prefixCode) {
	nLit, nDist := litLens.used(257), dists.used(1)
	var lengths [litLenSymbols + distSymbols]uint8
	copy(lengths[:], litLens.lengths[:nLit])
	copy(lengths[nLit:], dists.lengths[:nDist])
	var room [litLenSymbols + distSymbols]lengthRun
	runs := lengthRuns(room[:0], lengths[:nLit+nDist])
	code := newPrefixCode(lengthSymbols)
	for _, r := range runs {
		code.counts[r.symbol]++
	}
	code.make(7)
	n := len(lengthOrder)
	for n > 4 && code.lengths[lengthOrder[n-1]] == 0 {
		n--
	}
	out.put(uint64(nLit-257)|uint64(nDist-1)<<5|uint64(n-4)<<10, 14)
	for _, symbol := range lengthOrder[:n] {
		out.put(uint64(code.lengths[symbol]), 3)
	}
	for _, r := range runs {
		out.put(uint64(code.codes[r.symbol])|uint64(r.value)<<code.lengths[r.symbol], uint(code.lengths[r.symbol]+r.extra))
	}
}

// A lengthRun is a length, or one of the symbols 16 to 18 for some, with extra bits of a value.
type lengthRun struct{ symbol, extra, value uint8 }

// lengthRuns shortens what is repeated: zeros up to 138 times, other lengths up to 6 times after the first.
func lengthRuns(runs []lengthRun, lengths []uint8) []lengthRun {
	for i := 0; i < len(lengths); {
		length, n := lengths[i], 1
		for i+n < len(lengths) && lengths[i+n] == length {
			n++
		}
		i += n
		if length != 0 {
			runs = append(runs, lengthRun{symbol: length})
			n--
		}
		for n >= 3 {
			switch {
			case length != 0:
				runs = append(runs, lengthRun{16, 2, uint8(min(n, 6) - 3)})
				n -= min(n, 6)
			case n <= 10:
				runs = append(runs, lengthRun{17, 3, uint8(n - 3)})
				n = 0
			default:
				runs = append(runs, lengthRun{18, 7, uint8(min(n, 138) - 11)})
				n -= min(n, 138)
			}
		}
		for range n {
			runs = append(runs, lengthRun{symbol: length})
		}
	}
	return runs
}
