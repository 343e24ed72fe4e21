package raster

import (
	"bytes"
	"math"
	"testing"
)

// boxed is a white page with a black box, a twentieth of the page inside its edges on every side, and a line of one pixel down its middle.
func boxed(width, height int, xres, yres float64) *Page {
	p := New(width, height)
	p.XRes, p.YRes = xres, yres
	set := func(x, y int) { p.Row(y)[x/8] |= 0x80 >> (x % 8) }
	for y := height / 20; y < height-height/20; y++ {
		for x := width / 20; x < width/20+8; x++ {
			set(x, y)
			set(width-1-x, y)
		}
		set(width/2, y)
	}
	return p
}

// ends gives the first and last black column of a row, and whether the column in the middle between them is black.
func ends(p *Page, y int) (first, last int, middle bool) {
	black := func(x int) bool { return p.Row(y)[x/8]&(0x80>>(x%8)) != 0 }
	first, last = -1, -1
	for x := range p.Width {
		if black(x) {
			last = x
			if first < 0 {
				first = x
			}
		}
	}
	for x := (first+last)/2 - 3; first >= 0 && x <= (first+last)/2+3; x++ {
		middle = middle || black(x)
	}
	return first, last, middle
}

// Whatever a page was, it has a width and resolution of fax machines afterwards, its size on the sheet, and its lines.
func TestFaxFormHasTheSizeOfTheSheet(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	for name, c := range map[string]struct {
		page   *Page
		width  int
		inches float64 // between the sides of the box on the sheet
	}{
		"a scanned letter, 300 per inch": {boxed(2550, 3300, 300, 300), 1728, 0.9 * 8.47},
		"A4, 200 per inch":               {boxed(1654, 2339, 200, 200), 1728, 0.9 * 8.27},
		"a receipt, 100 per inch":        {boxed(300, 500, 100, 100), 1728, 0.9 * 3},
		"superfine columns, 408 x 391":   {boxed(3456, 4300, 408, 391), 1728, 0.9 * 8.47},
		"B4, 300 per inch":               {boxed(2953, 4169, 300, 300), 2048, 0.9 * 9.84},
		"A3, 300 per inch":               {boxed(3508, 4961, 300, 300), 2432, 0.9 * 11.69},
		"a poster":                       {boxed(3000, 4000, 150, 150), 2432, 0.9 * 11.92},
		"without a resolution":           {boxed(1700, 2200, 0, 0), 1728, 0.9 * 8.33},
	} {
		got := c.page.FaxForm()
		if got.Width != c.width || got.XRes != 204 || got.YRes != 196 || len(got.Pix) != got.Stride*got.Height {
			t.Errorf("%s: %d wide, %g x %g per inch, want %d and 204 x 196", name, got.Width, got.XRes, got.YRes, c.width)
			continue
		}
		first, last, middle := ends(got, got.Height/2)
		if inches := float64(last+1-first) / 204; math.Abs(inches-c.inches) > 0.05 || !middle {
			t.Errorf("%s: %.2f inches between the sides, want %.2f; the line of one pixel: %t", name, inches, c.inches, middle)
		}
		if off := first + last + 1 - got.Width; off < -16 || off > 16 {
			t.Errorf("%s: from %d to %d is not the middle of %d", name, first, last, got.Width)
		}
		if c.page.XRes != c.page.YRes {
			continue
		}
		want := float64(c.page.Height) / float64(c.page.Width) * c.inches / 0.9
		if high := float64(got.Height) / 196; c.page.XRes > 0 && math.Abs(high/want-1) > 0.01 {
			t.Errorf("%s: %.2f inches high, want %.2f", name, high, want)
		}
	}
}

// A page of a fax machine keeps its pixels, read as machines read them.
func TestFaxFormKeepsPixels(t *testing.T) {
	for _, c := range []struct {
		width            int
		xres, yres, want float64
	}{
		{1728, 204, 98, 98},
		{1728, 204, 196, 196},
		{1728, 204, 391, 391},
		{1728, 200, 100, 98},
		{1728, 200, 200, 196},
		{2048, 203.2, 195.58, 196},
		{2432, 204, 391, 391},
	} {
		p := boxed(c.width, 300, c.xres, c.yres)
		got := p.FaxForm()
		if !bytes.Equal(got.Pix, p.Pix) || got.Width != c.width || got.XRes != 204 || got.YRes != c.want {
			t.Errorf("%d at %g x %g: %d x %d at %g x %g per inch, want the same pixels at 204 x %g",
				c.width, c.xres, c.yres, got.Width, got.Height, got.XRes, got.YRes, c.want)
		}
		if p.XRes != c.xres {
			t.Errorf("the page itself has another resolution: %g", p.XRes)
		}
	}
}

// A page that lies across is put on its side instead of on a sheet that few machines have.
func TestFaxFormPutsAPageOnItsSide(t *testing.T) {
	stored := boxed(1728, 2200, 204, 196)
	if got := stored.Upright(6).FaxForm(); got.Width != 1728 || got.Height != 2200 || got.BlackPixels() != stored.BlackPixels() {
		t.Errorf("a fax that is seen turned: %d x %d with %d black, want its own pixels", got.Width, got.Height, got.BlackPixels())
	}
	if got := boxed(3300, 2550, 300, 300).FaxForm(); got.Width != 1728 || math.Abs(float64(got.Height)/196-11) > 0.1 {
		t.Errorf("a letter across: %d x %d", got.Width, got.Height)
	}
}

// A page that says to be a mile long costs no memory.
func TestFaxFormOfALongPage(t *testing.T) {
	p := New(8, 300_000)
	p.XRes, p.YRes = 50, 50
	if got := p.FaxForm(); got.Width != 1728 || got.Height > 23150 || got.Height < 23000 {
		t.Errorf("%d x %d", got.Width, got.Height)
	}
}

// The mean of all pixels stays, whatever the size.
func FuzzArea(f *testing.F) {
	f.Add([]byte("some gray pixels"), uint8(4), uint8(3), uint8(2))
	f.Fuzz(func(t *testing.T, pix []byte, w, newWidth, newHeight uint8) {
		if w == 0 || newWidth == 0 || newHeight == 0 || len(pix) < int(w) || len(pix) > 1<<12 {
			return
		}
		width, height := int(w), len(pix)/int(w)
		got := area(width, height, func(y int, line []byte) { copy(line, pix[y*width:]) }, int(newWidth), int(newHeight))
		mean := func(pix []byte) float64 {
			sum := 0
			for _, v := range pix {
				sum += int(v)
			}
			return float64(sum) / float64(len(pix))
		}
		if a, b := mean(pix[:width*height]), mean(got.Pix); math.Abs(a-b) > 0.51 || len(got.Pix) != int(newWidth)*int(newHeight) {
			t.Errorf("%d x %d of %g become %d x %d of %g", width, height, a, newWidth, newHeight, b)
		}
	})
}

func BenchmarkFaxForm(b *testing.B) {
	p := boxed(2550, 3300, 300, 300)
	b.SetBytes(int64(len(p.Pix)))
	b.ReportAllocs()
	for b.Loop() {
		if p.FaxForm().Width != 1728 {
			b.Fatal("no fax width")
		}
	}
}
