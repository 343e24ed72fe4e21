package raster

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"golang.org/x/image/draw"
)

// mean is what a thumbnail's pixel should be, one source pixel after the other.
func mean(p *Page, left, right, top, bottom int) byte {
	sum, n := 0, 0
	for y := top; y < bottom; y++ {
		for x := left; x < right; x++ {
			if n++; !black(p, x, y) {
				sum += 255
			}
		}
	}
	return byte((sum + (n-1)/2) / n)
}

func TestThumbnailIsTheMeanOfItsPixels(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	for _, c := range []struct {
		width, height int
		xres, yres    float64
		side          int
		want          image.Point
	}{
		{1728, 2156, 204, 196, 300, image.Pt(231, 300)},
		{1728, 1078, 204, 98, 300, image.Pt(231, 300)}, // the same sheet in another resolution
		{1728, 4301, 204, 391, 300, image.Pt(231, 300)},
		{1728, 2156, 0, 0, 300, image.Pt(240, 300)},
		{2200, 1700, 200, 200, 110, image.Pt(110, 85)},
		{67, 43, 100, 100, 10, image.Pt(10, 6)},
		{67, 43, 100, 100, 1, image.Pt(1, 1)},
		{5, 3, 100, 100, 20, image.Pt(20, 12)}, // enlarged
		{1, 65537, 204, 196, 300, image.Pt(1, 300)},
		{1728, 23150, 204, 196, -1, image.Pt(1, 1)},
		{300, 300, 0, 0, 1 << 40, image.Pt(4096, 4096)},
	} {
		p := randomPage(c.width, c.height, (c.width+7)/8+3)
		p.XRes, p.YRes = c.xres, c.yres
		got := p.Thumbnail(c.side)
		if got.Width != c.want.X || got.Height != c.want.Y {
			t.Errorf("%dx%d at %gx%g in %d: %dx%d, want %v", c.width, c.height, c.xres, c.yres, c.side, got.Width, got.Height, c.want)
			continue
		}
		for y := range got.Height {
			top := y * c.height / got.Height
			for x := range got.Width {
				left := x * c.width / got.Width
				right, bottom := max(left+1, (x+1)*c.width/got.Width), max(top+1, (y+1)*c.height/got.Height)
				if v, want := got.Row(y)[x], mean(p, left, right, top, bottom); v != want {
					t.Fatalf("%dx%d in %d: pixel %d,%d is %d, want %d", c.width, c.height, c.side, x, y, v, want)
				}
			}
		}
	}
	if got := New(0, 0).Thumbnail(300); got.Width != 0 || len(got.Pix) != 0 {
		t.Errorf("a page without pixels: %+v", got)
	}
}

func TestThumbnailKeepsGrayAndColour(t *testing.T) {
	for _, samples := range []int{1, 3} {
		page := &Tones{Width: 40, Height: 20, Samples: samples, XRes: 200, YRes: 100, Pix: make([]byte, 40*20*samples)}
		for i := range page.Pix {
			page.Pix[i] = byte(10*(i%samples) + i/samples%40*6) // each column a tone darker
		}
		small := page.Thumbnail(10)
		if small.Width != 10 || small.Height != 10 || small.Samples != samples {
			t.Fatalf("%d samples: %dx%dx%d", samples, small.Width, small.Height, small.Samples)
		}
		for i, v := range small.Pix {
			if want := byte(10*(i%samples) + i/samples%10*24 + 9); v != want {
				t.Fatalf("%d samples: sample %d is %d, want %d", samples, i, v, want)
			}
		}
	}
}

// The same thumbnail is the same file, and a browser reads it as gray.
func TestThumbnailsAreFiles(t *testing.T) {
	p := textPage()
	var a, b bytes.Buffer
	for _, buf := range []*bytes.Buffer{&a, &b} {
		if err := p.Thumbnail(300).WritePNG(buf); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two files differ")
	}
	img, err := png.Decode(&a)
	if err != nil {
		t.Fatal(err)
	}
	if img.ColorModel() != color.GrayModel || img.Bounds().Dy() != 300 {
		t.Errorf("%T of %v", img, img.Bounds())
	}
}

// BenchmarkThumbnailPeers makes a thumbnail from packed rows, next to x/image/draw from an image.
func BenchmarkThumbnailPeers(b *testing.B) {
	p := textPage()
	img := image.NewGray(image.Rect(0, 0, p.Width, p.Height))
	for y := range p.Height {
		for x := range p.Width {
			if !black(p, x, y) {
				img.Pix[y*img.Stride+x] = 255
			}
		}
	}
	small := image.NewGray(image.Rect(0, 0, 231, 300))
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"ours", func() { p.Thumbnail(300) }},
		{"ours with its PNG", func() {
			var n countWriter
			if err := p.Thumbnail(300).WritePNG(&n); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n), "bytes")
		}},
		{"ApproxBiLinear", func() { draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil) }},
		{"BiLinear", func() { draw.BiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.do()
			}
		})
	}
}
