package ccitt_test

import (
	"bytes"
	"errors"
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
				height := rapid.IntRange(1, 40).Draw(t, "height")
				seed := rapid.Uint64().Draw(t, "seed")
				checkRoundTrip(t, c, raster(rand.New(rand.NewPCG(seed, 1)), width, height), width, height)
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

// wholePages are the rasters that are the same all over, or nearly so.
var wholePages = []struct {
	name  string
	black func(r *rand.Rand, x, y int) bool
}{
	{"white", func(*rand.Rand, int, int) bool { return false }},
	{"black", func(*rand.Rand, int, int) bool { return true }},
	{"columns, white first", func(_ *rand.Rand, x, _ int) bool { return x&1 != 0 }},
	{"columns, black first", func(_ *rand.Rand, x, _ int) bool { return x&1 == 0 }},
	{"rows", func(_ *rand.Rand, _, y int) bool { return y&1 != 0 }},
	{"chequered", func(_ *rand.Rand, x, y int) bool { return (x^y)&1 != 0 }},
	{"dithered", func(_ *rand.Rand, x, y int) bool { return bayer[y&3][x&3] < (x/7+y)&15 }},
	{"noise", func(r *rand.Rand, _, _ int) bool { return r.IntN(2) == 0 }},
	{"one pixel a row", func(r *rand.Rand, x, y int) bool { return x == y*37%(y+40) }},
}

var bayer = [4][4]int{{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}}

func TestWholePagesRoundTripAtEveryEdgeOfTheCodeTables(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	const height = 10
	encoders := codecs()
	if testing.Short() {
		encoders = encoders[:6]
	}
	for _, width := range []int{
		1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 1727, 1728, 1729, 2431, 2559, 2560, 2561,
		2623, 2624, 5119, 5120, 5121, 9999, 10_000, 61_439, 61_440, 61_441, 65_537,
	} {
		stride := (width + 7) / 8
		for _, page := range wholePages {
			pix := make([]byte, height*stride)
			for i := range width * height {
				if x, y := i%width, i/width; page.black(r, x, y) {
					pix[y*stride+x/8] |= 0x80 >> (x % 8)
				}
			}
			for _, c := range encoders {
				c.name += ", " + page.name
				checkRoundTrip(t, c, pix, width, height)
			}
		}
	}
}

func TestAPageWithoutRowsIsItsEndMark(t *testing.T) {
	for _, c := range codecs() {
		for _, width := range []int{1, 1728, 9999} {
			src := c.encode(nil, width, 0, (width+7)/8)
			got, res, err := ccitt.Decode(nil, src, ccitt.Options{Coding: c.coding, Width: width, LSBFirst: c.lsb})
			if !errors.Is(err, ccitt.ErrMalformed) || len(got) > 0 || res.Found > 0 || len(res.Warnings) > 0 {
				t.Errorf("%s: %d bytes of rows, %+v, %v", c.name, len(got), res, err)
			}
			if res.EndMark != (len(src) > 0) {
				t.Errorf("%s: an end mark of %d bytes: EndMark is %t", c.name, len(src), res.EndMark)
			}
		}
	}
}

// T.4 4.1.2 and the T4Options of TIFF: readers do not mind where EOL stands
// and how many rows are two-dimensional, but machines do.
func TestFillEndsEOLOnAByteAndEveryKthRowIsOneDimensional(t *testing.T) {
	const width, height = 1001, 50
	pix := raster(rand.New(rand.NewPCG(5, 5)), width, height)
	for _, k := range []int{0, 1, 2, 3, 4, 100} {
		src := ccitt.AppendG3(nil, pix, width, height, (width+7)/8, ccitt.G3Options{TwoD: true, K: k, Fill: true})
		every := k
		if k == 0 {
			every = 4
		}
		rows := 0
		for i := 1; i+1 < len(src); i++ {
			if src[i-1]&0x0f != 0 || src[i] != 1 { // eleven zeros and a one stand nowhere but in EOL
				continue
			}
			if oneD := src[i+1]>>7 != 0; oneD != (rows%every == 0) {
				t.Fatalf("K %d: row %d is one-dimensional: %t", k, rows, oneD)
			}
			rows++
		}
		if rows != height {
			t.Errorf("K %d: %d EOL codes end on a byte, want %d", k, rows, height)
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
	if !bytes.Equal(
		ccitt.AppendG3(nil, pix, 101, 20, 13, ccitt.G3Options{TwoD: true}), ccitt.AppendG3(nil, wide, 101, 20, 29, ccitt.G3Options{TwoD: true}),
	) {
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
