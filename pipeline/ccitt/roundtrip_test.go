package ccitt_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	xccitt "golang.org/x/image/ccitt"
	"pgregory.net/rapid"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A codec is one way of writing rows, with the options that read it.
type codec struct {
	name   string
	coding ccitt.Coding
	lsb    bool
	encode func(pix []byte, width, height, stride int) []byte
}

func codecs() []codec {
	cs := []codec{
		{"g4", ccitt.MMR, false, func(pix []byte, w, h, s int) []byte { return ccitt.AppendG4(nil, pix, w, h, s) }},
		{"g4 lsb", ccitt.MMR, true, func(pix []byte, w, h, s int) []byte {
			return ccitt.ReverseBits(ccitt.AppendG4(nil, pix, w, h, s))
		}},
	}
	for i := range 32 {
		o := ccitt.G3Options{TwoD: i&1 != 0, Fill: i&2 != 0, RTC: i&4 != 0, LSBFirst: i&8 != 0, K: i >> 4 * 2}
		coding := ccitt.MH
		if o.TwoD {
			coding = ccitt.MR
		}
		cs = append(cs, codec{fmt.Sprintf("g3 %+v", o), coding, o.LSBFirst, func(pix []byte, w, h, s int) []byte {
			return ccitt.AppendG3(nil, pix, w, h, s, o)
		}})
	}
	return cs
}

// textures make rows of different nature from a random source.
var textures = []func(r *rand.Rand, row []byte){
	func(_ *rand.Rand, row []byte) {},
	func(_ *rand.Rand, row []byte) { fillBytes(row, 0xff) },
	func(_ *rand.Rand, row []byte) { fillBytes(row, 0x55) },
	func(_ *rand.Rand, row []byte) { fillBytes(row, 0xaa) },
	func(r *rand.Rand, row []byte) {
		for i := range row {
			row[i] = byte(r.Uint32())
		}
	},
	func(r *rand.Rand, row []byte) { // sparse
		for range 1 + len(row)/40 {
			row[r.IntN(len(row))] ^= 1 << r.IntN(8)
		}
	},
	func(r *rand.Rand, row []byte) { // long runs
		at := 0
		for at < len(row) {
			n := min(1+r.IntN(400), len(row)-at)
			if r.IntN(2) == 0 {
				fillBytes(row[at:at+n], 0xff)
			}
			at += n
		}
	},
}

func fillBytes(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// raster draws rows; about half repeat or slightly change the row above, so
// that vertical and pass modes are met.
func raster(r *rand.Rand, width, height int) []byte {
	n := (width + 7) / 8
	pix := make([]byte, n*height)
	for y := range height {
		row := pix[y*n : (y+1)*n]
		switch k := r.IntN(4); {
		case y > 0 && k == 0:
			copy(row, pix[(y-1)*n:])
		case y > 0 && k == 1: // shift the row above by up to 4 pixels
			shift(row, pix[(y-1)*n:y*n], r.IntN(9)-4)
			row[r.IntN(n)] ^= 1 << r.IntN(8)
		default:
			textures[r.IntN(len(textures))](r, row)
		}
		if width%8 != 0 {
			row[n-1] &= 0xff << (8 - width%8)
		}
	}
	return pix
}

func shift(dst, src []byte, by int) {
	for x := range len(dst) * 8 {
		if s := x - by; s >= 0 && s < len(src)*8 && src[s/8]>>(7-s%8)&1 != 0 {
			dst[x/8] |= 0x80 >> (x % 8)
		}
	}
}

func TestEveryEncodingDecodesToTheSameRaster(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				width := rapid.OneOf(rapid.IntRange(1, 130), rapid.IntRange(1, 10_000)).Draw(t, "width")
				height := rapid.IntRange(0, 40).Draw(t, "height")
				seed := rapid.Uint64().Draw(t, "seed")
				pix := raster(rand.New(rand.NewPCG(seed, 1)), width, height)
				if height == 0 {
					c.encode(pix, width, 0, (width+7)/8)
					return
				}
				checkRoundTrip(t, c, pix, width, height)
			})
		})
	}
}

func checkRoundTrip(t interface{ Fatalf(string, ...any) }, c codec, pix []byte, width, height int) {
	src := c.encode(pix, width, height, (width+7)/8)
	for _, rows := range []int{height, 0} {
		got, res, err := ccitt.Decode([]byte("before"), src, ccitt.Options{Coding: c.coding, Width: width, Rows: rows, LSBFirst: c.lsb})
		if err != nil {
			t.Fatalf("%s %dx%d, Rows %d: %v", c.name, width, height, rows, err)
		}
		if !bytes.HasPrefix(got, []byte("before")) || !bytes.Equal(got[6:], pix) {
			t.Fatalf("%s %dx%d, Rows %d: raster differs, %+v", c.name, width, height, rows, res)
		}
		if !res.Clean() || res.Rows != height || res.Found != height {
			t.Fatalf("%s %dx%d, Rows %d: a faultless stream gave %+v", c.name, width, height, rows, res)
		}
	}
}

func TestEveryWidthRoundTrips(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for width := 1; width <= 2600; width++ {
		pix := raster(r, width, 6)
		for _, c := range codecs()[:6] {
			checkRoundTrip(t, c, pix, width, 6)
		}
	}
}

func TestStrideAndGarbageBehindTheWidthAreIgnored(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	pix := raster(r, 101, 20)
	wide := make([]byte, 20*29)
	fillBytes(wide, 0xff)
	for y := range 20 {
		copy(wide[y*29:], pix[y*13:(y+1)*13])
		wide[y*29+12] |= 7
	}
	if !bytes.Equal(ccitt.AppendG4(nil, pix, 101, 20, 13), ccitt.AppendG4(nil, wide, 101, 20, 29)) {
		t.Error("Group 4 depends on bytes that are no pixels")
	}
	if !bytes.Equal(ccitt.AppendG3(nil, pix, 101, 20, 13, ccitt.G3Options{TwoD: true}), ccitt.AppendG3(nil, wide, 101, 20, 29, ccitt.G3Options{TwoD: true})) {
		t.Error("Group 3 depends on bytes that are no pixels")
	}
}

func TestGroup4AgreesWithXImage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 3000).Draw(t, "width")
		height := rapid.IntRange(1, 40).Draw(t, "height")
		pix := raster(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), width, height)
		src := ccitt.AppendG4(nil, pix, width, height, (width+7)/8)
		got := make([]byte, len(pix))
		r := xccitt.NewReader(bytes.NewReader(src), xccitt.MSB, xccitt.Group4, width, height, &xccitt.Options{Invert: true})
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, pix) {
			t.Fatalf("x/image reads our Group 4 of %dx%d otherwise: %v", width, height, err)
		}
	})
}
