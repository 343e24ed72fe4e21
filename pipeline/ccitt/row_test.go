package ccitt_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// packBits turns "0101..." into bytes.
func packBits(s string) []byte {
	p := make([]byte, (len(s)+7)/8)
	for i, c := range s {
		if c == '1' {
			p[i/8] |= 0x80 >> (i % 8)
		}
	}
	return p
}

// A row may have more changing elements than pixels, by runs of no pixels, but
// not any number.
func TestMoreChangingElementsThanPixelsAreBounded(t *testing.T) {
	const width = 128
	const (
		horizontal00 = "001" + "00110101" + "0000110111" // white 0, black 0
		horizontal11 = "001" + "000111" + "010"          // white 1, black 1
	)
	comb := strings.Repeat(horizontal11, width/2)
	for pairs := range width {
		for verticals := range 8 {
			// V0 at every second pixel of the comb, runs of no pixels, then V0 to the end.
			row := strings.Repeat("1", verticals) + strings.Repeat(horizontal00, pairs) + strings.Repeat("1", width)
			_, res, err := ccitt.Decode(nil, packBits(comb+row), ccitt.Options{Coding: ccitt.MMR, Width: width, Rows: 2, Strict: true})
			if err != nil {
				t.Fatalf("%d pairs: %v", pairs, err)
			}
			if pairs == 0 && res.Found != 2 {
				t.Errorf("a comb below a comb: %+v", res)
			}
			if 2*pairs > width+16 && res.Found != 1 {
				t.Errorf("%d runs of no pixels in a row of %d: %+v", 2*pairs, width, res)
			}
		}
	}
}

// Every row of eight pixels below every other one, at the begin of a row and behind other runs: in the last bytes of a stream, where codes
// are read one by one, and before other bytes, where they are read in groups.
func TestEveryRowBelowEveryOtherOne(t *testing.T) {
	for _, width := range []int{8, 24} {
		stride := width / 8
		pix := bytes.Repeat([]byte{0x31}, 2*stride)
		o := ccitt.Options{Coding: ccitt.MMR, Width: width, Rows: 2}
		var d ccitt.Decoder
		for rows := range 1 << 16 {
			pix[stride-1], pix[2*stride-1] = byte(rows>>8), byte(rows)
			strip := ccitt.AppendG4(nil, pix, width, 2, stride)
			for _, src := range [][]byte{strip, append(strip, "other bytes"...)} {
				if got, res, err := d.Decode(nil, src, o); err != nil || !res.Clean() || !bytes.Equal(got, pix) {
					t.Fatalf("%08b: %08b, %+v, %v", pix, got, res, err)
				}
			}
		}
	}
}
