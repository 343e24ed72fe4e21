package ccitt_test

import (
	"image"
	"math"
	"strings"
	"sync"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// A testPage is a page of one kind of content, 1728 x 2200.
type testPage struct {
	name string
	pix  []byte
}

const (
	pageWidth  = 1728
	pageHeight = 2200
	pageStride = pageWidth / 8
)

// testPages draws the three kinds of page that cost codecs differently: text,
// a photo as a halftone of ordered dots, and a photo dithered by error
// diffusion.
var testPages = sync.OnceValue(func() []testPage {
	text, err := drawText()
	if err != nil {
		panic(err)
	}
	return []testPage{{"text", text}, {"halftone", drawHalftone()}, {"dithered", drawDithered()}}
})

func pageOf(t testing.TB, name string) []byte {
	for _, p := range testPages() {
		if p.name == name {
			return p.pix
		}
	}
	t.Fatalf("no page %q", name)
	return nil
}

const words = "Please find enclosed the corrected statement of account for October. The balance of 1,204.50 is due within thirty days " +
	"of receipt; should you have any question about an entry, call our office before noon and quote the number printed above. "

func drawText() ([]byte, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 11, DPI: 200, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	img := image.NewAlpha(image.Rect(0, 0, pageWidth, pageHeight))
	d := font.Drawer{Dst: img, Src: image.Opaque, Face: face}
	text := strings.Repeat(words, 20)
	for y := 200; y < pageHeight-150; y += 40 {
		n := strings.LastIndex(text[:86], " ") + 1
		if y/40%9 != 8 { // a blank line after each paragraph
			d.Dot = fixed.P(140, y)
			d.DrawString(text[:n])
		}
		text = text[n:]
	}
	return threshold(func(x, y int) bool { return img.AlphaAt(x, y).A > 127 }), nil
}

func threshold(black func(x, y int) bool) []byte {
	pix := make([]byte, pageStride*pageHeight)
	for y := range pageHeight {
		for x := range pageWidth {
			if black(x, y) {
				pix[y*pageStride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return pix
}

// tone is the darkness of a photo-like scene, 0 to 1.
func tone(x, y int) float64 {
	u, v := float64(x)/pageWidth, float64(y)/pageHeight
	return 0.5 + 0.3*math.Sin(5*u+3*v) + 0.2*math.Sin(17*u*v+4*v)
}

func drawHalftone() []byte {
	const period = 204.0 / 60 // pixels: 60 lines an inch, at 45 degrees
	step := 2 * math.Pi / period / math.Sqrt2
	return threshold(func(x, y int) bool {
		a, b := float64(x+y)*step, float64(x-y)*step
		return tone(x, y) > 0.5+0.25*(math.Cos(a)+math.Cos(b))
	})
}

func drawDithered() []byte {
	cur, next := make([]float64, pageWidth+2), make([]float64, pageWidth+2)
	pix := make([]byte, pageStride*pageHeight)
	for y := range pageHeight {
		for x := range pageWidth {
			v := tone(x, y) + cur[x+1]
			e := v
			if v > 0.5 {
				pix[y*pageStride+x/8] |= 0x80 >> (x % 8)
				e--
			}
			cur[x+2] += e * 7 / 16
			next[x] += e * 3 / 16
			next[x+1] += e * 5 / 16
			next[x+2] += e / 16
		}
		cur, next = next, cur
		clear(next)
	}
	return pix
}
