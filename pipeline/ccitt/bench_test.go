package ccitt_test

import (
	"bytes"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// benchCodings are what the benchmarks compare. The names are those that
// testdata/libtifftimer.c takes.
var benchCodings = []struct {
	name   string
	coding ccitt.Coding
	append func(e *ccitt.Encoder, dst, pix []byte, height int) []byte
}{
	{"g4", ccitt.MMR, func(e *ccitt.Encoder, dst, pix []byte, height int) []byte {
		return e.AppendG4(dst, pix, pageWidth, height, pageStride)
	}},
	{"g3-1d", ccitt.MH, func(e *ccitt.Encoder, dst, pix []byte, height int) []byte {
		return e.AppendG3(dst, pix, pageWidth, height, pageStride, ccitt.G3Options{})
	}},
	{"g3-2d", ccitt.MR, func(e *ccitt.Encoder, dst, pix []byte, height int) []byte {
		return e.AppendG3(dst, pix, pageWidth, height, pageStride, ccitt.G3Options{TwoD: true})
	}},
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchCodings {
		for _, p := range testPages() {
			b.Run(p.name+"/"+c.name, func(b *testing.B) {
				src := c.append(new(ccitt.Encoder), nil, p.pix, pageHeight)
				dst := make([]byte, 0, len(p.pix)+8)
				o := ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: pageHeight}
				var d ccitt.Decoder
				if got, res, err := d.Decode(dst, src, o); err != nil || !res.Clean() || !bytes.Equal(got, p.pix) {
					b.Fatal(res, err)
				}
				b.SetBytes(int64(len(p.pix)))
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := d.Decode(dst, src, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchCodings {
		for _, p := range testPages() {
			b.Run(p.name+"/"+c.name, func(b *testing.B) {
				var e ccitt.Encoder
				dst := c.append(&e, nil, p.pix, pageHeight)
				b.SetBytes(int64(len(p.pix)))
				b.ReportAllocs()
				for b.Loop() {
					dst = c.append(&e, dst[:0], p.pix, pageHeight)
				}
				b.ReportMetric(float64(len(dst)), "bytes/page")
			})
		}
	}
}

func TestRowsAllocateNothing(t *testing.T) {
	for _, p := range testPages() {
		for _, c := range benchCodings {
			for _, height := range []int{1, 200} {
				var e ccitt.Encoder
				src := c.append(&e, nil, p.pix, height)
				room := make([]byte, 0, 9*height*pageStride+1<<10) // more than any coding takes
				if n := testing.AllocsPerRun(2, func() { c.append(&e, room, p.pix, height) }); n != 0 {
					t.Errorf("%s %s: %v allocations to encode %d rows", p.name, c.name, n, height)
				}
				for _, lsb := range []bool{false, true} {
					if lsb {
						src = ccitt.ReverseBits(src)
					}
					o := ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: height, LSBFirst: lsb}
					var d ccitt.Decoder
					var err error
					n := testing.AllocsPerRun(2, func() { _, _, err = d.Decode(room, src, o) })
					if n != 0 || err != nil {
						t.Errorf("%s %s: %v allocations to decode %d rows, LSBFirst %t, %v", p.name, c.name, n, height, lsb, err)
					}
				}
			}
		}
	}
}
