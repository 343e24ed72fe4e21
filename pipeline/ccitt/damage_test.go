package ccitt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// damageCodings are the codings whose damage is scored, with the share of
// inked rows, in percent, that must survive, and the bytes of the end mark.
var damageCodings = []struct {
	name    string
	coding  ccitt.Coding
	atLeast float64
	endMark int
	encode  func(pix []byte, height int) []byte
}{
	{"Group 3 1-D", ccitt.MH, 95, 0, func(pix []byte, height int) []byte {
		return ccitt.AppendG3(nil, pix, pageWidth, height, pageStride, ccitt.G3Options{})
	}},
	{"Group 3 1-D aligned", ccitt.MH, 95, 9, func(pix []byte, height int) []byte {
		return ccitt.AppendG3(nil, pix, pageWidth, height, pageStride, ccitt.G3Options{Fill: true, RTC: true})
	}},
	{"Group 3 2-D", ccitt.MR, 90, 0, func(pix []byte, height int) []byte {
		return ccitt.AppendG3(nil, pix, pageWidth, height, pageStride, ccitt.G3Options{TwoD: true})
	}},
	{"Group 3 2-D aligned", ccitt.MR, 90, 0, func(pix []byte, height int) []byte {
		return ccitt.AppendG3(nil, pix, pageWidth, height, pageStride, ccitt.G3Options{TwoD: true, Fill: true})
	}},
	{"Group 4", ccitt.MMR, 25, 3, func(pix []byte, height int) []byte {
		return ccitt.AppendG4(nil, pix, pageWidth, height, pageStride)
	}},
}

// score returns the share of inked rows that are right and in place, in
// percent, and how many rows are wrong although they are not listed as bad.
func score(want, got []byte, res ccitt.Result) (right float64, unlisted int) {
	white := make([]byte, pageStride)
	listed := map[int]bool{}
	for _, b := range res.BadRows {
		for y := b.First; y <= b.Last; y++ {
			listed[y] = true
		}
	}
	inked, ok := 0, 0
	for y := range pageHeight {
		w, g := want[y*pageStride:(y+1)*pageStride], got[y*pageStride:(y+1)*pageStride]
		if !bytes.Equal(w, g) && !listed[y] {
			unlisted++
		}
		if bytes.Equal(w, white) {
			continue
		}
		inked++
		if bytes.Equal(w, g) {
			ok++
		}
	}
	return 100 * float64(ok) / float64(inked), unlisted
}

func TestDamageCostsTheDamagedRows(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings of one goroutine: runs without -short")
	}
	want := pageOf(t, "text")
	for _, c := range damageCodings {
		t.Run(c.name, func(t *testing.T) {
			clean := c.encode(want, pageHeight)
			sum, unlisted, n := 0.0, 0, 0
			for _, flips := range []int{1, 3, 10, 30} {
				part := 0.0
				for seed := range uint64(50) {
					src := flip(clean, flips, seed)
					got, res, err := ccitt.Decode(nil, src, ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: pageHeight})
					if err != nil {
						continue // not one row: it scores nothing
					}
					right, un := score(want, got, res)
					part += right / 50
					unlisted += un
					n++
				}
				sum += part / 4
				t.Logf("%d flips: %.1f %% of the inked rows", flips, part)
			}
			t.Logf("mean %.1f %%, %.1f rows a page wrong and unlisted", sum, float64(unlisted)/float64(n))
			if sum < c.atLeast {
				t.Errorf("%.1f %% of the inked rows are right, want %.0f", sum, c.atLeast)
			}
		})
	}
}

// flip returns a copy of src with n bits inverted.
func flip(src []byte, n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	out := bytes.Clone(src)
	for range n {
		i := r.IntN(len(out) * 8)
		out[i/8] ^= 0x80 >> (i % 8)
	}
	return out
}

func TestEveryRowBeforeACutIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings of one goroutine: runs without -short")
	}
	want := pageOf(t, "text")
	for _, c := range damageCodings {
		src := c.encode(want, pageHeight)
		kept, sent := 0, 0
		for seed := range uint64(50) {
			cut := 1 + rand.New(rand.NewPCG(seed, 9)).IntN(len(src)-1)
			// As many rows as end within the first cut bytes.
			whole := sort.Search(pageHeight, func(rows int) bool { return len(c.encode(want, rows+1))-c.endMark > cut })
			got, res, err := ccitt.Decode(nil, src[:cut], ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: pageHeight})
			if err != nil {
				if whole > 0 {
					t.Errorf("%s cut after %d bytes, %d rows: %v", c.name, cut, whole, err)
				}
				continue
			}
			good := res.Rows
			if len(res.BadRows) > 0 {
				good = res.BadRows[0].First
			}
			if !bytes.Equal(got[:good*pageStride], want[:good*pageStride]) {
				t.Errorf("%s cut after %d bytes: rows before the cut differ", c.name, cut)
			}
			if good < whole {
				t.Errorf("%s cut after %d bytes: %d rows kept of %d", c.name, cut, good, whole)
			}
			kept, sent = kept+good, sent+whole
		}
		t.Logf("%s: %d rows kept of %d before a cut", c.name, kept, sent)
	}
}

func TestHostileStreamsAreBounded(t *testing.T) {
	allOnes := bytes.Repeat([]byte{0xff}, 1<<20) // Group 4: eight million white rows
	for _, c := range []struct {
		name string
		src  []byte
		o    ccitt.Options
		want error
	}{
		{"8 million rows in a megabyte", allOnes, ccitt.Options{Coding: ccitt.MMR, Width: 1728}, ccitt.ErrLimit},
		{"as many rows as asked for", allOnes, ccitt.Options{Coding: ccitt.MMR, Width: 1728, Rows: 100}, nil},
		{"65535 x 65535", nil, ccitt.Options{Coding: ccitt.MMR, Width: 65535, Rows: 65535}, ccitt.ErrLimit},
		{"4e9 rows", allOnes, ccitt.Options{Coding: ccitt.MH, Width: 1728, Rows: 4e9}, ccitt.ErrLimit},
		{"no width", allOnes, ccitt.Options{Coding: ccitt.MH, Width: 0}, ccitt.ErrLimit},
		{"no data", nil, ccitt.Options{Coding: ccitt.MH, Width: 1728, Rows: 100}, ccitt.ErrMalformed},
		{"zeros", make([]byte, 1<<16), ccitt.Options{Coding: ccitt.MR, Width: 1728, Rows: 100}, ccitt.ErrMalformed},
		{"uncompressed mode", []byte{0x03, 0xc0, 0x55, 0x55}, ccitt.Options{Coding: ccitt.MMR, Width: 16, Rows: 1}, ccitt.ErrUnsupported},
		{"another coding", nil, ccitt.Options{Coding: 99, Width: 16}, ccitt.ErrUnsupported},
	} {
		if _, res, err := ccitt.Decode(nil, c.src, c.o); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: error %v, want %v (%d rows)", c.name, err, c.want, res.Rows)
		}
	}
}

func ExampleDecode() {
	pix := []byte{0b00011000, 0b00111100, 0b00011000}
	g4 := ccitt.AppendG4(nil, pix, 8, 3, 1)
	rows, res, err := ccitt.Decode(nil, g4, ccitt.Options{Coding: ccitt.MMR, Width: 8, Rows: 3})
	fmt.Println(bytes.Equal(rows, pix), res.EndMark, res.BadRows, err)
	// Output: true true [] <nil>
}
