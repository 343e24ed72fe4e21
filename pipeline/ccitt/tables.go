package ccitt

// The decoding tables are made once, from the rows of codes.go, and never
// written again.
var (
	// whiteRuns and blackRuns are indexed by the next 13 bits of the stream.
	// An entry is run<<4 | length of the code in bits; 0 where no code fits.
	whiteRuns = runTable(func(c runCode) string { return c.white })
	blackRuns = runTable(func(c runCode) string { return c.black })

	// runPairs are indexed the same way and hold two runs, the first white in
	// runPairs[0] and black in runPairs[1], that have pixels and whose
	// terminating codes fit in 13 bits together.
	runPairs = [2][1 << runBits]pair{pairTable(whiteRuns, blackRuns), pairTable(blackRuns, whiteRuns)}

	// modeTable is indexed by the next 12 bits of the stream.
	modeTable = makeModeTable()

	// tails[i] has the bits of a word from the i-th on, counted from the most
	// significant one.
	tails = makeTails()

	// whiteBits and blackBits are the codes to write, indexed by run for the
	// terminating codes and by 63 + run/64 for the make-up codes.
	whiteBits = bitTable(func(c runCode) string { return c.white })
	blackBits = bitTable(func(c runCode) string { return c.black })

	// whiteBlack and blackWhite are the codes of two runs below 64 pixels,
	// indexed by first<<6 | second.
	whiteBlack = pairBits(whiteBits, blackBits)
	blackWhite = pairBits(blackBits, whiteBits)
)

const (
	runBits  = 13   // of the longest run code
	maxRun   = 2560 // of the longest make-up code
	modeBits = 7    // of the longest mode code

	modeTableBits = 12
	horizontalLen = 3 // of the code of horizontal mode
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

// A pair is two runs: first<<16 | second<<8 | length of both codes in bits; 0
// where there is none.
type pair uint32

func (p pair) first() int32  { return int32(p >> 16) }
func (p pair) second() int32 { return int32(p >> 8 & 63) }
func (p pair) bits() uint    { return uint(p & 15) }

func pairTable(first, second *[1 << runBits]uint16) (t [1 << runBits]pair) {
	for i := range t {
		a := first[i]
		if a < 1<<4 || a >= 64<<4 {
			continue
		}
		n := int(a & 15)
		b := second[i<<n&(1<<runBits-1)]
		if m := n + int(b&15); b >= 1<<4 && b < 64<<4 && m <= runBits {
			t[i] = pair(a)>>4<<16 | pair(b)>>4<<8 | pair(m)
		}
	}
	return t
}

func makeModeTable() (t [1 << modeTableBits]modeEntry) {
	var single [1 << modeBits]modeEntry
	for _, c := range modeCodes {
		v, n := parseCode(c.code)
		first := v << (modeBits - n)
		for i := range uint32(1) << (modeBits - n) {
			single[first+i] = newModeEntry(c.mode, n, c.delta)
		}
	}
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

func pairBits(first, second *[64 + maxRun/64]bitCode) *[1 << 12]bitCode {
	var t [1 << 12]bitCode
	for i := range t {
		a, b := first[i>>6], second[i&63]
		t[i] = (a>>8<<(b&255)|b>>8)<<8 | (a&255 + b&255)
	}
	return &t
}
