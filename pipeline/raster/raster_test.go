package raster

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"
)

func randomPage(width, height, stride int) *Page {
	rnd := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	p := &Page{Width: width, Height: height, Stride: stride, Pix: make([]byte, stride*height)}
	for i := range p.Pix {
		p.Pix[i] = byte(rnd.Uint32())
	}
	if width%8 != 0 {
		for y := range height {
			r := p.Row(y)
			r[len(r)-1] &= 0xff << (8 - width%8)
		}
	}
	return p
}

func black(p *Page, x, y int) bool { return p.Row(y)[x/8]>>(7-x%8)&1 == 1 }

func TestPNGHasEveryPixelAndNearlySquareOnes(t *testing.T) {
	for _, c := range []struct {
		xres, yres float64
		cols, rows int
		phys       [2]uint32
	}{
		{204, 98, 1, 2, [2]uint32{8031, 7717}},
		{204, 196, 1, 1, [2]uint32{8031, 7717}},
		{204, 391, 2, 1, [2]uint32{16063, 15394}},
		{200, 100, 1, 2, [2]uint32{7874, 7874}},
		{300, 300, 1, 1, [2]uint32{11811, 11811}},
		{0, 0, 1, 1, [2]uint32{}},
	} {
		for _, width := range []int{1, 4, 5, 8, 13, 64, 67, 1728} {
			p := randomPage(width, 7, (width+7)/8+width%3)
			p.XRes, p.YRes = c.xres, c.yres
			var buf bytes.Buffer
			if err := p.WritePNG(&buf); err != nil {
				t.Fatal(err)
			}
			i := bytes.Index(buf.Bytes(), []byte("pHYs"))
			if c.xres == 0 {
				if i >= 0 {
					t.Errorf("pHYs without a known resolution")
				}
			} else if got := [2]uint32{binary.BigEndian.Uint32(buf.Bytes()[i+4:]), binary.BigEndian.Uint32(buf.Bytes()[i+8:])}; got != c.phys {
				t.Errorf("%gx%g: pHYs %d, want %d", c.xres, c.yres, got, c.phys)
			}
			img, err := png.Decode(&buf)
			if err != nil {
				t.Fatal(err)
			}
			if b := img.Bounds(); b.Dx() != width*c.cols || b.Dy() != 7*c.rows {
				t.Fatalf("%gx%g: PNG of %v from %d x 7", c.xres, c.yres, b, width)
			}
			for y := range 7 * c.rows {
				for x := range width * c.cols {
					if got := color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y == 0; got != black(p, x/c.cols, y/c.rows) {
						t.Fatalf("%gx%g width %d: pixel %d,%d black=%v", c.xres, c.yres, width, x, y, got)
					}
				}
			}
		}
	}
}

func TestHashAndCountIgnoreTheStride(t *testing.T) {
	a := randomPage(77, 9, 10)
	b := &Page{Width: 77, Height: 9, Stride: 16, Pix: make([]byte, 16*9)}
	want := 0
	for y := range 9 {
		copy(b.Row(y), a.Row(y))
		for x := range 77 {
			if black(a, x, y) {
				want++
			}
		}
	}
	if a.SHA256() != b.SHA256() || a.SHA256() != sha256.Sum256(a.Pix) {
		t.Error("the hash depends on the stride")
	}
	if a.BlackPixels() != want || b.BlackPixels() != want {
		t.Errorf("black pixels %d and %d, want %d", a.BlackPixels(), b.BlackPixels(), want)
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestPNGReportsTheWritersError(t *testing.T) {
	p := randomPage(1728, 100, 216)
	for _, left := range []int{0, 10, 40, 2000} {
		if err := p.WritePNG(&failingWriter{left}); !errors.Is(err, errFull) {
			t.Errorf("writer failing after %d bytes: %v", left, err)
		}
	}
	if err := New(0, 0).WritePNG(&bytes.Buffer{}); err == nil {
		t.Error("a page without pixels became a PNG")
	}
}

// textPage is a sheet with lines of something like text.
func textPage() *Page {
	p := New(1728, 2200)
	for y := 100; y < 2100; y++ {
		if y%33 < 20 {
			r := p.Row(y)
			for x := 20; x < 190; x += 1 + (x*y)%3 {
				r[x] = byte(x * 37 * (y / 3))
			}
		}
	}
	p.XRes, p.YRes = 204, 196
	return p
}

func BenchmarkPNG(b *testing.B) {
	p := textPage()
	b.SetBytes(int64(len(p.Pix)))
	b.ReportAllocs()
	for b.Loop() {
		n := countWriter(0)
		if err := p.WritePNG(&n); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "bytes/page")
	}
}

type countWriter int

func (w *countWriter) Write(b []byte) (int, error) { *w += countWriter(len(b)); return len(b), nil }
