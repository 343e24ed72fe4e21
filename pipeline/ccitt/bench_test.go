package ccitt_test

import (
	"bytes"
	"io"
	"testing"

	xccitt "golang.org/x/image/ccitt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// benchCodings are what the benchmarks compare.
var benchCodings = []struct {
	name   string
	coding ccitt.Coding
	append func(dst, pix []byte) []byte
}{
	{"G4", ccitt.MMR, func(dst, pix []byte) []byte {
		return ccitt.AppendG4(dst, pix, pageWidth, pageHeight, pageStride)
	}},
	{"G3-1D", ccitt.MH, func(dst, pix []byte) []byte {
		return ccitt.AppendG3(dst, pix, pageWidth, pageHeight, pageStride, ccitt.G3Options{})
	}},
	{"G3-2D", ccitt.MR, func(dst, pix []byte) []byte {
		return ccitt.AppendG3(dst, pix, pageWidth, pageHeight, pageStride, ccitt.G3Options{TwoD: true, Fill: true})
	}},
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchCodings {
		for _, p := range testPages() {
			b.Run(c.name+"/"+p.name, func(b *testing.B) {
				src := c.append(nil, p.pix)
				dst := make([]byte, 0, len(p.pix)+8)
				b.SetBytes(int64(len(p.pix)))
				b.ReportAllocs()
				for b.Loop() {
					got, res, err := ccitt.Decode(dst, src, ccitt.Options{Coding: c.coding, Width: pageWidth, Rows: pageHeight})
					if err != nil || !res.Clean() || len(got) != len(p.pix) {
						b.Fatal(res, err)
					}
				}
			})
		}
	}
}

func BenchmarkDecodeXImage(b *testing.B) {
	for _, p := range testPages() {
		b.Run("G4/"+p.name, func(b *testing.B) {
			src := ccitt.AppendG4(nil, p.pix, pageWidth, pageHeight, pageStride)
			got := make([]byte, len(p.pix))
			b.SetBytes(int64(len(p.pix)))
			b.ReportAllocs()
			for b.Loop() {
				r := xccitt.NewReader(bytes.NewReader(src), xccitt.MSB, xccitt.Group4, pageWidth, pageHeight, &xccitt.Options{Invert: true})
				if _, err := io.ReadFull(r, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchCodings {
		for _, p := range testPages() {
			b.Run(c.name+"/"+p.name, func(b *testing.B) {
				dst := c.append(nil, p.pix)
				b.SetBytes(int64(len(p.pix)))
				b.ReportAllocs()
				for b.Loop() {
					dst = c.append(dst[:0], p.pix)
				}
				b.ReportMetric(float64(len(dst)), "bytes/page")
			})
		}
	}
}
