package raster

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"slices"
	"sync"
)

// A rowDeflater compresses the rows of a bilevel PNG to a zlib stream (RFC 1950). A row is mostly what the row above it is, so it looks
// for nothing else than
//
//   - three bytes and more that are those of another row at the same place, or of this one some bytes before: mostly of the row above;
//     where that differs much, as in halftones and where lines of text come again, of the one that differs least of a few;
//   - a whole row that was among those of the last 32 KB;
//   - a byte that comes five times and more: a match at distance 1.
//
// All other bytes are literals. Blocks have codes of their own (RFC 1951, 3.2.7). On pages of text that takes a fraction of the time of
// a compressor that knows nothing of rows, and gives fewer bytes than its fastest level.
//
// Begin with startRowDeflater. For each row fill what next returns, and call add; repeat adds the same row again at next to no cost.
type rowDeflater struct {
	// rows are the last ones that were added, one after the other in a ring, each with zeros behind up to a multiple of 64 bytes;
	// and eight bytes more.
	rows   []byte
	width  int             // bytes of a row
	stride int             // from one row to the next in rows
	kept   int             // rows that there is room for
	count  int             // of the rows that were added, those repeated not counted: the number of the next
	places [maxKept]int64  // of kept rows: how many bytes came before the last of the same
	seen   [seenSize]int32 // by its hash, the number of a row, plus one

	// equal has a bit for each byte of the row, from the least significant: it belongs to a match at the distance of the reference.
	equal, tried []uint64
	reference    int
	changed      int                // bytes of the row that the reference does not have
	back         int                // how many rows, and
	before       int                // how many bytes in the row, the last reference was away that was not the row above
	luck         int                // rows that another reference is still looked for in
	sampled      [sampledSize]int32 // by its hash, in which row eight bytes came last, plus one

	place    int64 // how many bytes came before the row
	pending  int   // bytes of a match that may go on in the next row
	distance int   // of that match

	sums  rowSums // of the newest row
	adler adler
	block block
	out   bitWriter
}

// Limits of Deflate (RFC 1951, 3.2.5), and what we look for in them.
const (
	minMatch  = 3
	maxMatch  = 258
	maxWindow = 32 << 10
	minRun    = 4 // at distance 1: literals are no more bits than a shorter one
	maxKept   = 256
	seenSize  = 512

	fewBytes       = 2  // with no more that differ from the row above, the same row is not looked for,
	someBytes      = 12 // nor another reference
	samples        = 4  // of eight bytes, in a row, by which references are found
	sampledSize    = 2048
	farthestBefore = 6  // bytes
	farthestBack   = 16 // rows
	patience       = 32 // rows in which a reference is looked for in vain; after them in one of
	probes         = 8
)

// rowDeflaters wait for the next page: each has 200 KB.
var rowDeflaters sync.Pool

// startRowDeflater begins a stream of rows of width bytes, at least one.
func startRowDeflater(w io.Writer, width int) *rowDeflater {
	d, ok := rowDeflaters.Get().(*rowDeflater)
	if !ok {
		d = &rowDeflater{}
	}
	d.width, d.stride = width, (width+63)/64*64
	d.kept = min(max(maxWindow/width, 1)+1, maxKept)
	d.rows = zeros(d.rows, 64+d.kept*d.stride+8)
	d.equal, d.tried = zeros(d.equal, (width+63)/64), zeros(d.tried, (width+63)/64)
	d.seen, d.sampled, d.back, d.before, d.luck = [seenSize]int32{}, [sampledSize]int32{}, 1, 1, patience
	d.count, d.place, d.pending, d.adler = 0, 0, 0, adler{a: 1}
	d.block.start(d.width)
	d.out.reset(w)
	d.out.put(0x0178, 16) // Deflate, a window of 32 KB, the fastest level (RFC 1950, 2.2)
	return d
}

// next returns the bytes of the next row, to be filled.
func (d *rowDeflater) next() []byte { return d.numbered(d.count)[:d.width] }

// numbered returns a kept row, with the zeros behind; the slice may be made eight bytes longer.
func (d *rowDeflater) numbered(number int) []byte {
	at := 64 + number%d.kept*d.stride
	return d.rows[at : at+d.stride : at+d.stride+8]
}

// add compresses the row that next returned.
func (d *rowDeflater) add() {
	row := d.numbered(d.count)
	d.places[d.count%d.kept] = d.place
	d.sums = sumRow(row[:(d.width+7)/8*8], d.width)
	hash := d.sums.hash()
	d.compare(row)
	distance := 0
	if d.changed > fewBytes && d.width >= minMatch {
		distance = d.find(row, hash)
	}
	if distance > 0 {
		d.match(distance, d.width)
	} else {
		d.dropShort()
		d.changes(row)
	}
	d.seen[hash] = int32(d.count) + 1
	d.count++
	d.place += int64(d.width)
	d.adler.add(d.sums, d.width)
}

// repeat adds the newest row some times more.
func (d *rowDeflater) repeat(times int) {
	if times == 0 {
		return
	}
	if d.width <= maxWindow && d.width*times >= minMatch {
		d.match(d.width, d.width*times)
	} else {
		for range times {
			d.literals(d.numbered(d.count-1), 0, d.width)
		}
	}
	d.place += int64(times) * int64(d.width)
	d.places[(d.count-1)%d.kept] = d.place - int64(d.width)
	d.adler.repeat(d.sums, d.width, times)
}

// close ends the stream, and gives the compressor to the next page.
func (d *rowDeflater) close() error {
	d.flush()
	d.endBlock(true)
	err := d.out.close(d.adler.sum())
	d.out.reset(nil)
	if cap(d.rows) <= 4*maxWindow {
		rowDeflaters.Put(d)
	}
	return err
}

// find returns at what distance the same row came before, or 0.
func (d *rowDeflater) find(row []byte, hash uint32) int {
	number := int(d.seen[hash]) - 1
	if number < 0 || d.count-number >= d.kept {
		return 0
	}
	distance := d.place - d.places[number%d.kept]
	if distance > maxWindow || !d.block.hasRoomFor(int(distance)) || !bytes.Equal(row, d.numbered(number)) {
		return 0
	}
	return int(distance)
}

// compare finds the reference, and which bytes of a row are its.
func (d *rowDeflater) compare(row []byte) {
	d.changed, d.reference = d.width, d.width
	if d.count == 0 || d.width > maxWindow {
		clear(d.equal)
		return
	}
	d.changed = math.MaxInt
	d.tryRow(row, d.count-1)
	if d.changed <= someBytes {
		return
	}
	var numbers [samples]int
	found := d.sample(row, numbers[:0])
	if d.luck > 0 || d.count%probes == 0 {
		d.compareOthers(row, found)
	}
}

// compareOthers tries other references than the row above: those that an earlier row had, those that were found, and now and then all
// near ones.
func (d *rowDeflater) compareOthers(row []byte, found []int) {
	above := d.changed
	if d.back > 1 { // the row above was tried
		d.tryRow(row, d.count-d.back)
	}
	d.tryBefore(row, d.before)
	for _, number := range found {
		if number != d.count-1 {
			d.tryRow(row, number)
		}
	}
	if d.count%probes == 0 && d.changed > d.width/4 {
		for before := 2; before <= farthestBefore; before++ {
			d.tryBefore(row, before)
		}
		for back := 2; back <= farthestBack; back *= 2 {
			d.tryRow(row, d.count-back)
		}
	}
	d.luck--
	if d.changed < above/2 {
		d.luck = patience
	}
}

// sample appends the numbers of the rows that last had the same bytes at some places, and takes the row for a next one.
func (d *rowDeflater) sample(row []byte, numbers []int) []int {
	for i := range samples {
		at := (2*i + 1) * d.width / (2 * samples) &^ 7
		eight := binary.LittleEndian.Uint64(row[at:])
		if eight == 0 || ^eight == 0 {
			continue
		}
		last := &d.sampled[(eight+uint64(i))*0x9e3779b97f4a7c15>>32%sampledSize]
		if number := int(*last) - 1; number >= 0 && !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
		*last = int32(d.count) + 1
	}
	return numbers
}

// tryRow makes another row the reference, if it differs less.
func (d *rowDeflater) tryRow(row []byte, number int) {
	if number < 0 || number >= d.count || d.count-number >= d.kept {
		return
	}
	distance := int(d.place - d.places[number%d.kept])
	if distance <= maxWindow && d.block.hasRoomFor(distance) && d.try(row, d.numbered(number), 0) {
		d.reference, d.back = distance, d.count-number
	}
}

// tryBefore does it with what is so many bytes before in the row.
func (d *rowDeflater) tryBefore(row []byte, before int) {
	at := 64 + d.count%d.kept*d.stride - before
	if before < d.width && d.block.hasRoomFor(before) && d.try(row, d.rows[at:at+d.stride], before) {
		d.reference, d.before = before, before
	}
}

// try compares a row with another but for some bytes, and reports whether it differs by a quarter less than what was tried before.
func (d *rowDeflater) try(row, other []byte, but int) bool {
	changed, most := 0, d.changed-d.changed/4
	others, within := uint64(1)<<but-1, ^uint64(0)
	for i := range d.tried {
		if i == len(d.tried)-1 {
			within >>= -d.width & 63
		}
		differ := (differing((*[64]byte)(row[64*i:]), (*[64]byte)(other[64*i:])) | others) & within
		if changed += bits.OnesCount64(differ); changed >= most {
			return false
		}
		d.tried[i], others = ^differ&within, 0
	}
	d.equal, d.tried, d.changed = d.tried, d.equal, changed
	return true
}

// differing returns a bit for each byte, from the least significant: it is another one in b than in a.
func differing(a, b *[64]byte) (word uint64) {
	const low = 0x7f7f7f7f7f7f7f7f
	for i := range 8 {
		eight := binary.LittleEndian.Uint64(a[8*i:]) ^ binary.LittleEndian.Uint64(b[8*i:])
		each := (eight&low + low | eight) &^ low >> 7           // the least significant bit of each byte
		word |= each * 0x0102040810204080 >> 56 << (8 * i & 63) // which the product has side by side
	}
	return word
}

// dropShort leaves the equal bytes that come three at a time, and those at the row's begin with which a match goes on.
func (d *rowDeflater) dropShort() {
	begin := uint64(0)
	if d.pending > 0 && d.distance == d.reference {
		begin = 1<<bits.TrailingZeros64(^d.equal[0]) - 1
	}
	before := uint64(0)
	for i, e := range d.equal {
		after := uint64(0)
		if i+1 < len(d.equal) {
			after = d.equal[i+1]
		}
		firsts := e & (e>>1 | after<<63) & (e>>2 | after<<62) // of three
		d.equal[i] = firsts | firsts<<1 | firsts<<2 | before>>63 | before>>62 | begin
		before, begin = firsts, 0
	}
}

// changes compresses the row by what compare found.
func (d *rowDeflater) changes(row []byte) {
	if d.distance != d.reference {
		d.flush()
	}
	start, same, last := 0, true, uint64(1)
	for i, e := range d.equal {
		for turns := e ^ (e<<1 | last); turns != 0; turns &= turns - 1 {
			start = d.part(row, start, 64*i+bits.TrailingZeros64(turns), same)
			same = !same
		}
		last = e >> 63
	}
	d.part(row, start, d.width, same)
}

// part compresses the bytes of a row from one to another, that are the reference's or are not, and returns how far it came,
// which may be farther.
func (d *rowDeflater) part(row []byte, from, to int, same bool) int {
	n := to - from
	if same && (n >= minMatch || d.pending > 0 && n > 0) { // fewer are left where literals went on into it
		d.distance = d.reference
		d.pending += n
		return to
	}
	if n <= 0 {
		return from
	}
	return d.literals(row, from, to)
}

// match adds n bytes that are those at a distance.
func (d *rowDeflater) match(distance, n int) {
	if d.distance != distance {
		d.flush()
	}
	d.distance = distance
	d.pending += n
}

// literals adds the bytes of a row from one to another, or farther, if the last of them go on.
func (d *rowDeflater) literals(row []byte, from, to int) int {
	if d.pending > 0 {
		d.flush()
	}
	for from < to {
		if d.block.n == maxTokens {
			d.endBlock(false)
		}
		from += d.block.addBytes(row, from, to, d.width)
		if n := d.run(row, from); n >= minRun && from < to {
			d.match(1, n)
			d.flush()
			from += n
		}
	}
	return from
}

// run returns how many bytes are the same as that before the first.
func (d *rowDeflater) run(row []byte, from int) int {
	end := from
	for end < d.width && row[end] == row[from-1] {
		end++
	}
	return end - from
}

// flush ends the pending match. It has three bytes, and so has each that it is cut into.
func (d *rowDeflater) flush() {
	for d.pending > 0 {
		n := min(d.pending, maxMatch)
		if left := d.pending - n; left > 0 && left < minMatch {
			n -= minMatch
		}
		if d.block.n == maxTokens || !d.block.hasRoomFor(d.distance) {
			d.endBlock(false)
		}
		d.block.addMatch(d.distance, n)
		d.pending -= n
	}
}

func (d *rowDeflater) endBlock(final bool) {
	d.block.write(&d.out, final)
	d.block.start(d.width)
}
