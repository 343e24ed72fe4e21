package raster

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// sheetOfText is half a letter of lines of something like text, as ink by place: 400 by 400 to the inch.
func sheetOfText(lines int) func(x, y int) bool {
	const width, height, letter, line = 3400, 2200, 24, 66
	rnd := rand.New(rand.NewPCG(1, 2))
	ink := make([]bool, width*height)
	box := func(x, y, w, h int) {
		for dy := range h {
			for dx := range w {
				ink[(y+dy)*width+x+dx] = true
			}
		}
	}
	for n := range lines {
		for i := range 120 {
			x, y := 200+i*letter, 200+n*line
			if rnd.IntN(6) == 0 {
				continue // between words
			}
			box(x, y, 5, 28) // a stem, a serif and a bar
			box(x, y+24, 10, 4)
			box(x, y+7*rnd.IntN(4), 16, 4)
		}
	}
	return func(x, y int) bool { return x >= 0 && x < width && y >= 0 && y < height && ink[y*width+x] }
}

// scan turns the sheet clockwise about its middle and reads it at a resolution.
func scan(ink func(x, y int) bool, xres, yres, degrees float64) *Page {
	p := New(int(8.5*xres)/8*8, int(5.5*yres))
	p.XRes, p.YRes = xres, yres
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	for y := range p.Height {
		row, down := p.Row(y), (float64(y)+0.5)/yres-2.75
		for x := range p.Width {
			right := (float64(x)+0.5)/xres - 4.25
			if ink(int(400*(right*cos+down*sin+4.25)), int(400*(down*cos-right*sin+2.75))) {
				row[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

func TestSkewIsThatOfTheSheet(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	full, single := sheetOfText(27), sheetOfText(1)
	for _, res := range [][2]float64{{204, 98}, {204, 196}, {204, 391}, {300, 300}} {
		for _, c := range []struct {
			name    string
			ink     func(x, y int) bool
			degrees []float64
			within  float64
		}{
			{"text", full, []float64{-3, -1.33, -0.2, 0, 0.06, 0.71, 2.05, 3, 4.6}, 75},
			{"one line", single, []float64{-1.6, 0.4}, 100},
		} {
			for _, degrees := range c.degrees {
				q := scan(c.ink, res[0], res[1], degrees).Quality()
				if !q.SkewKnown || math.Abs(float64(q.Skew)-1000*degrees) > c.within {
					t.Errorf("%s at %gx%g, turned by %g degrees: skew %d, known %v", c.name, res[0], res[1], degrees, q.Skew, q.SkewKnown)
				}
			}
		}
	}
}

func TestSkewIsUnknownWhereNothingLeans(t *testing.T) {
	noise := New(1728, 2200)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range noise.Pix {
		noise.Pix[i] = byte(rnd.Uint32() & rnd.Uint32() & (rnd.Uint32() | rnd.Uint32()))
	}
	picture := New(1728, 2200)
	for y := range 2200 { // the lines of its halftone lean, not what it shows
		for x := range 1728 {
			if (y+3+x/30)%6 < 3 {
				picture.fill(x, y, 1, 1)
			}
		}
	}
	narrow := New(190, 300)
	for y := 15; y < 300; y += 30 {
		narrow.fill(20, y, 150, 2)
	}
	for name, p := range map[string]*Page{"noise": noise, "picture": picture, "narrow": narrow, "white": New(1728, 2200)} {
		if q := p.Quality(); q.Skew != 0 || q.SkewKnown {
			t.Errorf("%s: skew %d, known %v", name, q.Skew, q.SkewKnown)
		}
	}
}

// A tint that fills the page ends at its edges, which are straight: they must not count.
func TestSkewIsThatOfTheTextOnATint(t *testing.T) {
	p := scan(sheetOfText(1), 204, 196, 2)
	rnd := rand.New(rand.NewPCG(7, 8))
	for i := range p.Pix {
		p.Pix[i] |= byte(rnd.Uint32() & rnd.Uint32() & (rnd.Uint32() | rnd.Uint32()))
	}
	if q := p.Quality(); !q.SkewKnown || q.Skew < 1900 || q.Skew > 2100 {
		t.Errorf("%+v, want a skew of 2,000", q)
	}
}

// A black border is straight however the sheet lies on the glass: it must not count.
func TestSkewIsThatOfTheTextInABorder(t *testing.T) {
	p := scan(sheetOfText(4), 204, 196, 2)
	for y := range p.Height {
		for x := range p.Width {
			if x < 60 || x >= p.Width-90 || y < 30 || y >= p.Height-200 {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	want := p.Width*p.Height - (p.Width-150)*(p.Height-230)
	if q := p.Quality(); !q.SkewKnown || q.Skew < 1900 || q.Skew > 2100 || q.Border != perMillion(want, p.Width*p.Height) {
		t.Errorf("%+v, want a skew of 2,000 and a border of %d", q, perMillion(want, p.Width*p.Height))
	}
}

func TestAnglesAndSharesAreRounded(t *testing.T) {
	for _, degrees := range []float64{-4.9, -3, -0.01, 0, 0.02, 1, 4.5} {
		slope := math.Round(math.Tan(degrees*math.Pi/180) * (1 << slopeBits))
		if got := milliDegrees(int64(slope)); math.Abs(float64(got)-1000*degrees) > 0.9 {
			t.Errorf("%g degrees are %d thousandths", degrees, got)
		}
	}
	if got := perMillion(2, 3); got != 666_667 {
		t.Errorf("two thirds are %d per million", got)
	}
}

// A resolution that no scanner has is taken as none.
func TestQualityAtAbsurdResolutions(t *testing.T) {
	p := scan(sheetOfText(5), 200, 200, 1.5)
	want := p.Quality()
	for _, res := range [][2]float64{
		{0, 0},
		{204, 0},
		{-204, 98},
		{math.NaN(), 98},
		{204, math.Inf(1)},
		{1e300, 1e300},
		{9, 12},
		{12, 9},
		{9_000, 11_000},
		{11_000, 9_000},
		{10, 10_000},
		{10_000, 10},
	} {
		p.XRes, p.YRes = res[0], res[1]
		if got := p.Quality(); got != want || !got.SkewKnown {
			t.Errorf("at %gx%g: %+v, want %+v", res[0], res[1], got, want)
		}
	}
}

// counted is the ink, border and isolated pixels of a page, found one pixel after the other.
func counted(p *Page) (ink, border, isolated int) {
	at := func(x, y int) bool { return x >= 0 && y >= 0 && x < p.Width && y < p.Height && black(p, x, y) }
	straight := func(x, y, dx, dy int) bool { // black to the edge
		for ; x >= 0 && y >= 0 && x < p.Width && y < p.Height; x, y = x+dx, y+dy {
			if !at(x, y) {
				return false
			}
		}
		return true
	}
	for y := range p.Height {
		for x := range p.Width {
			if !at(x, y) {
				continue
			}
			ink++
			if straight(x, y, 1, 0) || straight(x, y, -1, 0) || straight(x, y, 0, 1) || straight(x, y, 0, -1) {
				border++
			}
			neighbours := 0
			for _, d := range [][2]int{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}, {1, 0}, {-1, 1}, {0, 1}, {1, 1}} {
				if at(x+d[0], y+d[1]) {
					neighbours++
				}
			}
			if neighbours == 0 {
				isolated++
			}
		}
	}
	return ink, border, isolated
}

// agree compares what Quality counts with counted.
func agree(t *testing.T, p *Page, q Quality) {
	t.Helper()
	ink, border, isolated := counted(p)
	want := [3]int{perMillion(ink, p.Width*p.Height), perMillion(border, p.Width*p.Height), perMillion(isolated, ink)}
	if got := [3]int{q.Ink, q.Border, q.Isolated}; got != want {
		t.Errorf("%dx%d: ink, border and isolated are %d, one by one %d", p.Width, p.Height, got, want)
	}
}

func TestQualityCountsEveryPixel(t *testing.T) {
	for _, width := range []int{1, 2, 7, 8, 63, 64, 65, 100, 127, 128, 129, 200} {
		for _, height := range []int{1, 2, 3, 40} {
			for share := range 4 { // of black: a half, a quarter, an eighth, and 15 of 16
				p := randomPage(width, height, (width+7)/8+share)
				for i := range p.Pix {
					for range share % 3 {
						p.Pix[i] &= byte(i*37) ^ byte(i>>3)
					}
				}
				if share == 3 {
					q := randomPage(width, height, p.Stride)
					for i := range p.Pix {
						p.Pix[i] |= q.Pix[i] | q.Pix[len(q.Pix)-1-i]
					}
					clearPadding(p)
				}
				agree(t, p, p.Quality())
			}
		}
	}
}

func clearPadding(p *Page) {
	for y := range p.Height {
		if row := p.Row(y); p.Width%8 != 0 {
			row[len(row)-1] &= 0xff << (8 - p.Width%8)
		}
	}
}

// fill blackens a rectangle.
func (p *Page) fill(x, y, width, height int) {
	for dy := range height {
		for dx := range width {
			p.Row(y + dy)[(x+dx)/8] |= 0x80 >> ((x + dx) % 8)
		}
	}
}

func TestBlankMeansNothingToRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		name  string
		draw  func(p *Page)
		blank bool
	}{
		{"white", func(*Page) {}, true},
		{"specks", func(p *Page) {
			for range 300 {
				p.fill(rnd.IntN(1700), rnd.IntN(p.Height-4), 1+rnd.IntN(3), 1+rnd.IntN(2))
			}
		}, true},
		{"noise of one pixel in a hundred", func(p *Page) {
			for range p.Width * p.Height / 100 {
				p.fill(rnd.IntN(1728), rnd.IntN(p.Height), 1, 1)
			}
		}, true},
		{"border all around", func(p *Page) {
			p.fill(0, 0, 1728, 20)
			p.fill(0, 0, 31, p.Height)
			p.fill(1700, 0, 28, p.Height)
			p.fill(0, p.Height-50, 1728, 50)
		}, true},
		{"black", func(p *Page) { p.fill(0, 0, 1728, p.Height) }, true},
		{"line of text", func(p *Page) {
			for i := range 20 {
				p.fill(300+i*9, p.Height/2, 2, p.Height/200)
				p.fill(300+i*9, p.Height/2, 5, 1)
			}
		}, false},
		{"page number", func(p *Page) { // a 7 of ten points
			p.fill(860, p.Height/20, 12, max(p.Height/1000, 1))
			p.fill(866, p.Height/20, 3, p.Height/90)
		}, false},
		{"rule", func(p *Page) { p.fill(200, p.Height/2, 1300, 1) }, false},
		{"streak of dust on the glass", func(p *Page) { p.fill(999, 100, 1, p.Height-200) }, true},
		{"rule upright", func(p *Page) { p.fill(999, 100, 2, p.Height-200) }, false},
		{"frame and text in it", func(p *Page) {
			p.fill(0, 0, 1728, 20)
			p.fill(500, p.Height/2, 40, p.Height/100)
		}, false},
	} {
		for _, res := range []float64{98, 196, 391} {
			p := New(1728, int(11*res))
			p.XRes, p.YRes = 204, res
			c.draw(p)
			if q := p.Quality(); q.Blank != c.blank {
				t.Errorf("%s at 204x%g: blank %v: %+v", c.name, res, q.Blank, q)
			}
		}
	}
}

// The numbers stand in plans and manifests, which are the same bytes on every platform.
func TestQualityIsTheSameOnEveryPlatform(t *testing.T) {
	leaning := New(1728, 2200)
	leaning.XRes, leaning.YRes = 203.2, 97.79
	for y := 100; y < 2000; y++ {
		for x := 100; x < 1600; x++ {
			if (y-x/91)%37 < 15 && (x*x+(y-x/91)/37*x)%7 < 3 || x*y%2719 == 1 {
				leaning.fill(x, y, 1, 1)
			}
		}
	}
	leaning.fill(0, 2150, 1728, 50)
	for name, c := range map[string]struct {
		page *Page
		want string
	}{
		"text":      {textPage(), `{"blank":false,"ink_ppm":108454,"skew_mdeg":-7,"skew_known":true,"border_ppm":0,"isolated_ppm":85758}`},
		"leaning":   {leaning, `{"blank":false,"ink_ppm":174524,"skew_mdeg":1309,"skew_known":true,"border_ppm":22727,"isolated_ppm":987}`},
		"no pixels": {New(0, 0), `{"blank":true,"ink_ppm":0,"skew_mdeg":0,"skew_known":false,"border_ppm":0,"isolated_ppm":0}`},
	} {
		got, err := json.Marshal(c.page.Quality())
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

// Sizes and resolutions at the ends of what decoders let through.
func TestQualityNeedsLittleMemory(t *testing.T) {
	for _, c := range []struct {
		width, height int
		xres, yres    float64
	}{
		{1728, 50_000, 204, 196},
		{1, 200_000, 204, 196},
		{4_000, 64, 204, 196},
		{1 << 20, 8, 204, 196},
		{20_000, 6_000, 1200, 1200},
		{4_000, 12_000, 100, 10_000},
		{4_000, 12_000, 10_000, 10},
		{1728, 2200, math.NaN(), math.Inf(1)},
	} {
		p := New(c.width, c.height)
		p.XRes, p.YRes = c.xres, c.yres
		for i := range p.Pix {
			p.Pix[i] = byte(i/7*i) & byte(i/5*i) & byte(i/3*i)
		}
		clearPadding(p)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		q := p.Quality()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(3<<20+8*c.width) {
			t.Errorf("%dx%d at %gx%g: %d bytes", c.width, c.height, c.xres, c.yres, used)
		}
		if want := perMillion(p.BlackPixels(), c.width*c.height); q.Ink != want {
			t.Errorf("%dx%d: ink %d, want %d", c.width, c.height, q.Ink, want)
		}
	}
}

func FuzzQuality(f *testing.F) {
	f.Add(uint16(64), 204.0, 196.0, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04\x05\x06\x07\x08"))
	f.Add(uint16(300), 204.0, 98.0, binary.BigEndian.AppendUint64(make([]byte, 300), 1<<40))
	f.Add(uint16(1), math.NaN(), -1e300, []byte{0x80, 0, 0x80})
	f.Fuzz(func(t *testing.T, width uint16, xres, yres float64, pix []byte) {
		w := int(width)%2000 + 1
		stride := (w + 7) / 8
		p := &Page{Width: w, Height: len(pix) / stride, Stride: stride, Pix: pix[:len(pix)/stride*stride], XRes: xres, YRes: yres}
		clearPadding(p)
		q := p.Quality()
		agree(t, p, q)
		if q.Skew < -5000 || q.Skew > 5000 || q.Skew != 0 && !q.SkewKnown {
			t.Errorf("skew %d, known %v", q.Skew, q.SkewKnown)
		}
	})
}

func BenchmarkQuality(b *testing.B) {
	text := sheetOfText(27)
	for name, p := range map[string]*Page{
		"standard":  scan(text, 204, 98, 1),
		"fine":      textPage(),
		"superfine": scan(text, 204, 391, 1),
		"white":     New(1728, 2200),
		"dense":     randomPage(1728, 2200, 216),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p.Pix)))
			b.ReportAllocs()
			for b.Loop() {
				if q := p.Quality(); q.Skew > 5000 {
					b.Fatal(q)
				}
			}
		})
	}
}
