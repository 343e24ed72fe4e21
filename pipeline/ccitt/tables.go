package ccitt

// The decoding tables are made once, from the rows of codes.go, and never
// written again.
var (
	// whiteRuns and blackRuns are indexed by the next 13 bits of the stream.
	// An entry is run<<4 | length of the code in bits; 0 where no code fits.
	whiteRuns = runTable(func(c runCode) string { return c.white })
	blackRuns = runTable(func(c runCode) string { return c.black })

	// runPairs are indexed by the next 11 bits and hold two runs, the first white in
	// runPairs[0] and black in runPairs[1], that have pixels and whose
	// terminating codes fit in these bits together.
	runPairs = [2][1 << pairBits]pair{pairTable(whiteRuns, blackRuns), pairTable(blackRuns, whiteRuns)}

	// modeTable is indexed by the next 12 bits of the stream.
	modeTable = makeModeTable()

	// groups are indexed by the next 10 bits of the stream.
	groups = makeGroups()

	// tails[i] has the bits of a word from the i-th on, counted from the most
	// significant one.
	tails = makeTails()

	// whiteBits and blackBits are the codes to write, indexed by run for the
	// terminating codes and by 63 + run/64 for the make-up codes.
	whiteBits = bitTable(func(c runCode) string { return c.white })
	blackBits = bitTable(func(c runCode) string { return c.black })

	// whiteBlack and blackWhite are the codes of two runs below 64 pixels,
	// indexed by first<<6 | second.
	whiteBlack = pairCodes(whiteBits, blackBits)
	blackWhite = pairCodes(blackBits, whiteBits)
)

const (
	runBits  = 13   // of the longest run code
	maxRun   = 2560 // of the longest make-up code
	modeBits = 7    // of the longest mode code
	pairBits = 11

	horizontalCode = 1 // of horizontal mode
	horizontalLen  = 3

	modeTableBits = 12
	groupBits     = 10
)

// A mode is one coding mode of T.4 4.2.1.3 or T.6 2.2.
type mode uint8

const (
	modeBad mode = iota
	modePass
	modeHorizontal
	modeVertical
	modeTwoVerticals // two vertical modes, one after the other
	modeExtension    // uncompressed mode and other extensions
)

// A modeEntry says what the next bits of the stream are: one mode code, or two
// that are both vertical modes. From the least significant bit: 4 bits of length
// of the code or both; 4 bits of mode; 8 bits of length of the first of two; 8
// bits of a1 minus b1 of the first of two; 8 bits of a1 minus b1 of the only or
// second one.
type modeEntry int32

func newModeEntry(m mode, bits int, delta int8) modeEntry {
	return modeEntry(bits) | modeEntry(m)<<4 | modeEntry(delta)<<24
}

func (m modeEntry) bits() uint        { return uint(m & 15) }
func (m modeEntry) mode() mode        { return mode(m >> 4 & 15) }
func (m modeEntry) delta() int32      { return int32(m >> 24) }
func (m modeEntry) firstBits() uint   { return uint(m >> 8 & 15) }
func (m modeEntry) firstDelta() int32 { return int32(m << 8 >> 24) }

// end tells how a row ends in a code that is not decoded.
func (m modeEntry) end() rowEnd {
	if m.mode() == modeExtension {
		return rowExtension
	}
	return rowBadCode
}

// modeCodes are the rows of table 4 of T.4 (table 1 of T.6).
var modeCodes = [...]struct {
	mode  mode
	delta int8
	code  string
}{
	{modePass, 0, "0001"},
	{modeHorizontal, 0, "001"},
	{modeVertical, 0, "1"},
	{modeVertical, 1, "011"},
	{modeVertical, 2, "000011"},
	{modeVertical, 3, "0000011"},
	{modeVertical, -1, "010"},
	{modeVertical, -2, "000010"},
	{modeVertical, -3, "0000010"},
	{modeExtension, 0, "0000001"},
}

// parseCode turns "0001" into its value and length.
func parseCode(s string) (value uint32, bits int) {
	for _, c := range s {
		value = value<<1 | uint32(c-'0')
	}
	return value, len(s)
}

func runTable(code func(runCode) string) *[1 << runBits]uint16 {
	var t [1 << runBits]uint16
	for _, c := range runCodes {
		v, n := parseCode(code(c))
		first := v << (runBits - n)
		for i := range uint32(1) << (runBits - n) {
			t[first+i] = uint16(c.run<<4 | n)
		}
	}
	return &t
}

// A pair is two runs: first<<10 | second<<4 | length of both codes in bits; 0
// where there is none.
type pair uint16

func (p pair) first() int32  { return int32(p >> 10) }
func (p pair) second() int32 { return int32(p >> 4 & 63) }
func (p pair) bits() uint    { return uint(p & 15) }

func pairTable(first, second *[1 << runBits]uint16) (t [1 << pairBits]pair) {
	for i := range t {
		a := first[i<<(runBits-pairBits)]
		if a < 1<<4 || a >= 64<<4 {
			continue
		}
		n := int(a & 15)
		b := second[i<<(runBits-pairBits)<<n&(1<<runBits-1)]
		if m := n + int(b&15); b >= 1<<4 && b < 64<<4 && m <= pairBits {
			t[i] = pair(a>>4<<10 | b>>4<<4 | uint16(m))
		}
	}
	return t
}

// singleModes are indexed by 7 bits, which begin with a code of one mode.
func singleModes() (t [1 << modeBits]modeEntry) {
	for _, c := range modeCodes {
		v, n := parseCode(c.code)
		first := v << (modeBits - n)
		for i := range uint32(1) << (modeBits - n) {
			t[first+i] = newModeEntry(c.mode, n, c.delta)
		}
	}
	return t
}

func makeModeTable() (t [1 << modeTableBits]modeEntry) {
	single := singleModes()
	for i := range t {
		const rest = modeTableBits - modeBits
		first := single[i>>rest]
		second := single[i<<first.bits()>>rest&(1<<modeBits-1)]
		t[i] = first
		if n := first.bits() + second.bits(); first.mode() == modeVertical && second.mode() == modeVertical && n <= modeTableBits {
			t[i] = newModeEntry(modeTwoVerticals, int(n), int8(second.delta())) |
				modeEntry(first.bits())<<8 | modeEntry(first.delta()&0xff)<<16
		}
	}
	return t
}

// A group is up to four vertical modes, or up to three and a pass mode.
type group struct {
	// moved has a1 minus b1 of each vertical mode, in lanes, and the high bits.
	moved uint64

	// rest has, from the least significant bit, what a place moves by: elements
	// of the row (3 bits), elements of the reference line (3 bits from bAt), bits
	// of the codes (4 bits from bitsAt). Then, from lastAt, how far right the lane
	// is that is a0 behind the group: of a1, or with groupPass of b2. And the
	// high bits of the lanes that the group has; no group has all, and no bits.
	rest uint64
}

const (
	groupPlace = 15<<bitsAt | 7<<bAt | 7
	lastAt     = 40
	groupPass  = 1 << 46

	// Words of one bit in each lane.
	ones  = 0x0001_0001_0001_0001
	highs = 0x8000_8000_8000_8000
)

// makeGroups reads the codes that each index begins with.
func makeGroups() (t [1 << groupBits]group) {
	single := singleModes()
	for i := range t {
		g, n, length, last := group{moved: highs}, uint64(0), uint(0), uint64(0)
		for n < 4 && g.rest&groupPass == 0 {
			m := single[i<<length<<modeBits>>groupBits&(1<<modeBits-1)] // zeros behind the index are no code
			if length+m.bits() > groupBits || m.mode() != modeVertical && m.mode() != modePass {
				break
			}
			length += m.bits()
			last = n * 16 << lastAt
			if m.mode() == modePass {
				g.rest += groupPass + 2<<bAt
			} else {
				g.moved += uint64(m.delta()) << (16 * n)
				g.rest += 0x8000<<(16*n) + 1<<bAt + 1
				n++
			}
		}
		if g.rest += uint64(length)<<bitsAt + last; length == 0 {
			g = group{rest: highs}
		}
		t[i] = g
	}
	return t
}

func makeTails() (t [64]uint64) {
	for i := range t {
		t[i] = ^uint64(0) >> i
	}
	return t
}

// A bitCode is one or two codes as they are written: value<<8 | length in bits.
type bitCode uint32

func bitTable(code func(runCode) string) *[64 + maxRun/64]bitCode {
	var t [64 + maxRun/64]bitCode
	for _, c := range runCodes {
		v, n := parseCode(code(c))
		i := c.run
		if i >= 64 {
			i = 63 + i/64
		}
		t[i] = bitCode(v<<8) | bitCode(n)
	}
	return &t
}

func pairCodes(first, second *[64 + maxRun/64]bitCode) *[1 << 12]bitCode {
	var t [1 << 12]bitCode
	for i := range t {
		a, b := first[i>>6], second[i&63]
		t[i] = (a>>8<<(b&255)|b>>8)<<8 | (a&255 + b&255)
	}
	return &t
}
