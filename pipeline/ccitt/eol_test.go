package ccitt_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A bitString is a stream under construction, a byte a bit.
type bitString []byte

func (s bitString) bytes() []byte {
	out := make([]byte, (len(s)+7)/8)
	for i, b := range s {
		out[i/8] |= b << (7 - i%8)
	}
	return out
}

// group3Bits are rows in Group 3 and the places in it where a row's EOL code begins.
func group3Bits(pix []byte, rows int, twoD bool) (s bitString, starts []int) {
	for y := range rows {
		part := ccitt.AppendG3(nil, pix[:(y+1)*pageStride], pageWidth, y+1, pageStride, ccitt.G3Options{TwoD: twoD, K: 4, RTC: true})
		all := toBits(part)
		// The RTC is six EOL codes and their tags.
		rtc := 6 * 12
		if twoD {
			rtc = 6 * 13
		}
		for len(all) > 0 && all[len(all)-1] == 0 {
			all = all[:len(all)-1]
		}
		starts = append(starts, len(s))
		s = all[:len(all)-rtc]
	}
	return s, starts
}

func toBits(b []byte) bitString {
	var s bitString
	for i := range 8 * len(b) {
		s = append(s, b[i/8]>>(7-i%8)&1)
	}
	return s
}

func insert(s bitString, at int, more ...byte) bitString {
	return append(append(bytes.Clone(s[:at:at]), more...), s[at:]...)
}

// eolCodes are n EOL codes, with the tag of a one-dimensional row where twoD.
func eolCodes(n int, twoD bool) []byte {
	eol := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	if twoD {
		eol = append(eol, 1)
	}
	return bytes.Repeat(eol, n)
}

func TestUpToFiveEOLCodesAreNoEnd(t *testing.T) {
	const rows = 300
	want := pageOf(t, "text")[200*pageStride : (200+rows)*pageStride]
	for _, twoD := range []bool{false, true} {
		clean, starts := group3Bits(want, rows, twoD)
		junk := toBits([]byte{0xa5, 0x3c, 0xff, 0x7e})
		cases := map[string]bitString{
			"junk before the first EOL":       insert(clean, 0, junk...),
			"junk and two more EOLs":          insert(clean, 0, append(junk, eolCodes(2, twoD)...)...),
			"a row before every fourth twice": clean,
		}
		for n := 1; n <= 4; n++ {
			cases[fmt.Sprint(n, " more EOLs before the first row")] = insert(clean, 0, eolCodes(n, twoD)...)
			cases[fmt.Sprint(n, " more EOLs between two rows")] = insert(clean, starts[100], eolCodes(n, twoD)...)
			every := clean
			for y := rows - 4; y > 0; y -= 4 {
				every = insert(every, starts[y], eolCodes(n, twoD)...)
			}
			cases[fmt.Sprint(n, " more EOLs before every fourth row")] = every
		}
		o := ccitt.Options{Coding: ccitt.MH, Width: pageWidth}
		if twoD {
			o.Coding = ccitt.MR
		}
		for name, s := range cases {
			for _, o.Rows = range []int{0, rows} {
				for _, end := range []int{0, 2, 6} {
					t.Run(fmt.Sprintf("%s, 2-D %t, %d rows asked, %d EOLs at the end", name, twoD, o.Rows, end), func(t *testing.T) {
						got, res, err := ccitt.Decode(nil, insert(s, len(s), eolCodes(end, twoD)...).bytes(), o)
						if err != nil || !bytes.Equal(got, want) || len(res.BadRows) > 0 || res.EndMark != (end > 0) {
							t.Errorf("%d rows, bad %v, %q, %v", res.Rows, res.BadRows, res.Warnings, err)
						}
					})
				}
			}
		}
	}
}

func TestSixEOLCodesEndThePage(t *testing.T) {
	const rows = 60
	want := pageOf(t, "text")[200*pageStride : (200+rows)*pageStride]
	for _, twoD := range []bool{false, true} {
		clean, starts := group3Bits(want, rows, twoD)
		coding := ccitt.MH
		if twoD {
			coding = ccitt.MR
		}
		for n := 5; n < 8; n++ { // and that of the row
			s := insert(clean, starts[40], eolCodes(n, twoD)...)
			_, res, err := ccitt.Decode(nil, s.bytes(), ccitt.Options{Coding: coding, Width: pageWidth})
			if err != nil || res.Rows != 40 || !res.EndMark || len(res.BadRows) > 0 {
				t.Errorf("%d more EOL codes, 2-D %t: %+v, %v", n, twoD, res, err)
			}
		}
	}
}

// The last row has no EOL code behind it: what follows may be anything.
func TestBytesBehindTheLastRowAreNotPartOfIt(t *testing.T) {
	const rows = 20
	want := pageOf(t, "text")[200*pageStride : (200+rows)*pageStride]
	for _, twoD := range []bool{false, true} {
		clean, _ := group3Bits(want, rows, twoD)
		coding := ccitt.MH
		if twoD {
			coding = ccitt.MR
		}
		src := append(clean.bytes(), 0x55, 0xaa, 0x13)
		got, res, err := ccitt.Decode(nil, src, ccitt.Options{Coding: coding, Width: pageWidth, Rows: rows})
		if err != nil || !bytes.Equal(got, want) || len(res.BadRows) > 0 || res.Bytes > len(src)-3 {
			t.Errorf("2-D %t: %+v, %v", twoD, res, err)
		}
	}
}

// A first EOL code with a wrong bit hides no row.
func TestABrokenFirstEOLCodeCostsNoRow(t *testing.T) {
	const rows = 40
	want := pageOf(t, "text")[200*pageStride : (200+rows)*pageStride]
	for _, twoD := range []bool{false, true} {
		clean, _ := group3Bits(want, rows, twoD)
		clean = append(clean, eolCodes(6, twoD)...)
		coding := ccitt.MH
		if twoD {
			coding = ccitt.MR
		}
		for bit := range 12 {
			s := bitString(bytes.Clone(clean))
			s[bit] ^= 1
			for _, asked := range []int{0, rows} {
				got, res, err := ccitt.Decode(nil, s.bytes(), ccitt.Options{Coding: coding, Width: pageWidth, Rows: asked})
				if err != nil || len(got) != len(want) || !bytes.Equal(got[pageStride:], want[pageStride:]) {
					t.Errorf("bit %d, 2-D %t, %d rows asked: %+v, %v", bit, twoD, asked, res, err)
				}
			}
		}
	}
}

// Nothing but broken rows, many more than asked for, must not take long.
func TestManyBrokenRowsEndSoon(t *testing.T) {
	src := bytes.Repeat([]byte{0x00, 0x17}, 400_000) // EOL and two white pixels
	src = append(src, ccitt.AppendG3(nil, make([]byte, 216), 1728, 1, 216, ccitt.G3Options{})...)
	_, res, err := ccitt.Decode(nil, src, ccitt.Options{Coding: ccitt.MH, Width: 1728, Rows: 100_000})
	if err == nil && res.Rows != 100_000 {
		t.Errorf("%d rows", res.Rows)
	}
	for _, coding := range []ccitt.Coding{ccitt.MH, ccitt.RLE} { // no code and no EOL code
		junk := bytes.Repeat([]byte{0x01, 0x01, 0x00}, 400_000)
		_, res, err = ccitt.Decode(nil, junk, ccitt.Options{Coding: coding, Width: 1728, Rows: 100_000})
		if err == nil && len(res.BadRows) == 0 {
			t.Errorf("%s: %d rows", coding, res.Rows)
		}
	}
}
