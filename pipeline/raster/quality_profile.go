package raster

import (
	"encoding/binary"
	"math"
)

// A profile is the black pixels of a page in rows and upright strips: how many there are in each row of each strip.
//
// Slopes are rows down for pixels to the right as lengths on the sheet, in units of 1/2^20.
type profile struct {
	rows int // without up to three at the bottom
	pad  int // empty rows above and below those of a strip
	most int // that a count can be, up to 255

	// counts are the rows of one strip after the other, pad before and behind, a byte each, so that eight can be added up at once.
	// Behind the last there is a band more.
	counts []byte
	strips []strip

	top, bottom int // the first row that has a count, and the row after the last
}

type strip struct {
	first int   // its first row in counts
	reach int64 // how far its middle is from that of the page, in rows of the profile, times 2^16; negative to the left
	inked bool  // it has a count
}

// shift returns how many rows lower a strip has what is in the page's middle on a line of a slope.
func (s *strip) shift(slope int64) int {
	return int((s.reach*slope + 1<<(slopeBits+15)) >> (slopeBits + 16))
}

// allocate makes room for the counts of rows, the strips' reach being known.
func (f *profile) allocate(rows int) {
	f.rows, f.pad = rows/4*4, 0
	for i := range f.strips {
		shift := f.strips[i].shift(steepest)
		f.pad = max(f.pad, shift, -shift)
	}
	f.pad = min(f.pad, f.rows) // a strip that is pushed farther is out of sight
	size := f.rows + 2*f.pad
	f.counts = zeros(f.counts, size*len(f.strips)+bandRows)
	for i := range f.strips {
		f.strips[i].first = i*size + f.pad
	}
}

// findInk sets what says where counts are.
func (f *profile) findInk() {
	f.top, f.bottom = f.rows, 0
	for i := range f.strips {
		s := &f.strips[i]
		rows := f.counts[s.first:][:f.rows]
		first, last := 0, len(rows)
		for ; first+8 <= last && binary.LittleEndian.Uint64(rows[first:]) == 0; first += 8 {
		}
		for ; last-8 >= first && binary.LittleEndian.Uint64(rows[last-8:]) == 0; last -= 8 {
		}
		for ; first < last && rows[first] == 0; first++ {
		}
		s.inked = first < last
		if s.inked {
			f.top, f.bottom = min(f.top, first), max(f.bottom, last)
		}
	}
}

// reduce makes f the profile of another: rows of strips of it are added up, and halved some times. What is more than most is as much.
func (f *profile) reduce(of *profile, rows, strips, halvings, most int) {
	f.most = min(of.most*rows*strips>>halvings, most)
	f.strips = zeros(f.strips, len(of.strips)/strips)
	for i := range f.strips {
		for _, s := range of.strips[i*strips:][:strips] {
			f.strips[i].reach += s.reach
		}
		f.strips[i].reach /= int64(rows * strips)
	}
	f.allocate(of.rows / rows)
	for i := range f.strips {
		to := f.counts[f.strips[i].first:][:f.rows]
		for _, s := range of.strips[i*strips:][:strips] {
			if s.inked {
				gather(to, of.counts[s.first:], rows, halvings, f.most)
			}
		}
	}
	f.findInk()
}

// gather adds rows of a strip, up to four to one.
func gather(to, counts []byte, rows, halvings, most int) {
	if rows == 4 {
		gatherFour(to, counts, halvings, most)
		return
	}
	mask := uint32(1<<(8*rows) - 1)
	for i := range to {
		four := binary.LittleEndian.Uint32(counts[rows*i:]) & mask
		two := four&0x00ff00ff + four>>8&0x00ff00ff
		to[i] = byte(min(int(to[i])+int((two+two>>16)&0xffff>>halvings), most))
	}
}

// gatherFour does it for four, of which eight are read at once.
func gatherFour(to, counts []byte, halvings, most int) {
	counts = counts[:4*len(to)]
	for ; len(to) >= 2 && len(counts) >= 8; to, counts = to[2:], counts[8:] {
		eight := binary.LittleEndian.Uint64(counts)
		four := eight&everySecond + eight>>8&everySecond
		two := four + four>>16
		to[0] = byte(min(int(to[0])+int(two&0xffff)>>(halvings&7), most))
		to[1] = byte(min(int(to[1])+int(two>>32&0xffff)>>(halvings&7), most))
	}
}

// bandRows are the rows that are added up at a time.
const (
	bandRows  = 256
	bandWords = bandRows / 8
)

// A band is rows of a strip.
type band [bandRows]byte

// sums are those of the strips' rows of a band: of every second one, from the first and the second, sixteen bits each. So
// none is more than 64 times 255.
type sums struct {
	even, odd [bandWords]uint64
	words     int // that are added up
}

const everySecond = 0x00ff00ff00ff00ff

// mostOfSix counts may be of six strips that are added at once, for three of them fit a byte.
const mostOfSix = math.MaxUint8 / 3

// addSix adds strips of such counts.
func (t *sums) addSix(a, b, c, d, e, f *band) {
	for i := range min(t.words, bandWords) {
		v := binary.LittleEndian.Uint64(a[8*i:]) + binary.LittleEndian.Uint64(b[8*i:]) + binary.LittleEndian.Uint64(c[8*i:])
		w := binary.LittleEndian.Uint64(d[8*i:]) + binary.LittleEndian.Uint64(e[8*i:]) + binary.LittleEndian.Uint64(f[8*i:])
		t.even[i] += v&everySecond + w&everySecond
		t.odd[i] += v>>8&everySecond + w>>8&everySecond
	}
}

// addThree adds any.
func (t *sums) addThree(a, b, c *band) {
	for i := range min(t.words, bandWords) {
		u, v, w := binary.LittleEndian.Uint64(a[8*i:]), binary.LittleEndian.Uint64(b[8*i:]), binary.LittleEndian.Uint64(c[8*i:])
		t.even[i] += u&everySecond + v&everySecond + w&everySecond
		t.odd[i] += u>>8&everySecond + v>>8&everySecond + w>>8&everySecond
	}
}

// contrast returns the sum of the squares of the differences between rows of a slope and the next but one: those to the
// very next favour slopes of whole rows, whose letters were not smeared by the turning.
func (f *profile) contrast(slope int64) int64 {
	var starts [maxStrips]int
	n, farthest := 0, 0
	for i := range f.strips {
		s := &f.strips[i]
		if shift := s.shift(slope); s.inked && shift >= -f.pad && shift <= f.pad {
			starts[n] = s.first + shift
			n++
			farthest = max(farthest, shift, -shift)
		}
	}
	total, even, odd := int64(0), uint64(0), uint64(0)
	end := min(f.rows, f.bottom+farthest+2) // the last differences are two rows on
	var t sums
	for row := max(f.top-farthest, 0) / 8 * 8; row < end; row += bandRows {
		rows := min(f.rows-row, bandRows)
		t = sums{words: (rows + 7) / 8}
		f.sum(&t, starts[:n], row)
		total += squares(t.even[:], rows/2, &even) + squares(t.odd[:], rows/2, &odd)
	}
	return total
}

// none are the rows of no strip.
var none band

// sum adds the strips' rows of a band.
func (f *profile) sum(t *sums, starts []int, row int) {
	at := func(i int) *band { return (*band)(f.counts[starts[i]+row:]) }
	if f.most <= mostOfSix {
		for ; len(starts) >= 6; starts = starts[6:] {
			t.addSix(at(0), at(1), at(2), at(3), at(4), at(5))
		}
	}
	for ; len(starts) >= 3; starts = starts[3:] {
		t.addThree(at(0), at(1), at(2))
	}
	switch len(starts) {
	case 1:
		t.addThree(at(0), &none, &none)
	case 2:
		t.addThree(at(0), at(1), &none)
	}
}

// squares returns the sum of the squares of the differences between n lanes and those before them.
func squares(lanes []uint64, n int, before *uint64) (total int64) {
	const none = 1 << 15 // stands for no difference, so that each has a lane without a sign
	last := *before
	for _, four := range lanes[:n/4] {
		d := (four | 0x8000800080008000) - (four<<16 | last)
		last = four >> 48
		a, b, c, e := int64(d&0xffff)-none, int64(d>>16&0xffff)-none, int64(d>>32&0xffff)-none, int64(d>>48)-none
		total += a*a + b*b + c*c + e*e
	}
	if n%4 != 0 { // then two: rows are a multiple of four
		d := (lanes[n/4] | 0x8000800080008000) - (lanes[n/4]<<16 | last)
		a, b := int64(d&0xffff)-none, int64(d>>16&0xffff)-none
		total += a*a + b*b
	}
	*before = last
	return total
}
