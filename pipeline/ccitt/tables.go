package ccitt

// The decoding tables are made once, from the rows of codes.go, and never
// written again.
var (
	// whiteRuns and blackRuns are indexed by the next 13 bits of the stream.
	// An entry is run<<4 | length of the code in bits; 0 where no code fits.
	whiteRuns = runTable(func(c runCode) string { return c.white })
	blackRuns = runTable(func(c runCode) string { return c.black })

	// whitePairs and blackPairs are indexed the same way and hold two runs,
	// the first white or black, that have pixels and whose terminating codes
	// fit in 13 bits together.
	whitePairs = pairTable(whiteRuns, blackRuns)
	blackPairs = pairTable(blackRuns, whiteRuns)

	modeTable = makeModeTable()

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
)

// A mode is one coding mode of T.4 4.2.1.3 or T.6 2.2.
type mode uint8

const (
	modeBad mode = iota
	modePass
	modeHorizontal
	modeVertical
	modeExtension // uncompressed mode and other extensions
)

// A modeEntry is indexed by the next 7 bits of the stream.
type modeEntry struct {
	mode  mode
	bits  uint8
	delta int8 // a1 minus b1 in vertical mode
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

func pairTable(first, second *[1 << runBits]uint16) *[1 << runBits]pair {
	var t [1 << runBits]pair
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
	return &t
}

func makeModeTable() *[1 << modeBits]modeEntry {
	var t [1 << modeBits]modeEntry
	for _, c := range modeCodes {
		v, n := parseCode(c.code)
		first := v << (modeBits - n)
		for i := range uint32(1) << (modeBits - n) {
			t[first+i] = modeEntry{c.mode, uint8(n), c.delta}
		}
	}
	return &t
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
