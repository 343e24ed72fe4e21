package raster_test

import (
	"math/rand/v2"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// seen is where TIFF 6.0 says that a stored pixel is seen: orientation by
// orientation, where row 0 and column 0 are.
func seen(o raster.Orientation, x, y, width, height int) (int, int) {
	switch o {
	case 2: // row 0 is the top, column 0 the right side
		return width - 1 - x, y
	case 3: // bottom, right
		return width - 1 - x, height - 1 - y
	case 4: // bottom, left
		return x, height - 1 - y
	case 5: // left, top
		return y, x
	case 6: // right, top
		return height - 1 - y, x
	case 7: // right, bottom
		return height - 1 - y, width - 1 - x
	case 8: // left, bottom
		return y, width - 1 - x
	}
	return x, y
}

func TestEveryOrientationIsTurnedUpright(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{1, 1}, {8, 8}, {24, 9}, {9, 24}, {13, 7}, {65, 33}, {1728, 17}, {7, 300}} {
		p := raster.New(size[0], size[1])
		p.XRes, p.YRes = 204, 98
		tones := &raster.Tones{Width: p.Width, Height: p.Height, Samples: 3, XRes: 204, YRes: 98, Pix: make([]byte, 3*p.Width*p.Height)}
		for y := range p.Height {
			for x := range p.Width {
				if r.IntN(2) == 1 {
					p.Row(y)[x/8] |= 0x80 >> (x % 8)
				}
				for s := range 3 {
					tones.Row(y)[3*x+s] = byte(r.Uint32())
				}
			}
		}
		before := p.SHA256()
		for o := raster.Orientation(0); o < 10; o++ {
			u, ut := p.Upright(o), tones.Upright(o)
			wantW, wantH := p.Width, p.Height
			if o >= 5 && o <= 8 {
				wantW, wantH = wantH, wantW
				if u.XRes != 98 || u.YRes != 204 || ut.XRes != 98 {
					t.Errorf("orientation %d: %g x %g per inch", o, u.XRes, u.YRes)
				}
			}
			if u.Width != wantW || u.Height != wantH || ut.Width != wantW || ut.Height != wantH {
				t.Fatalf("orientation %d: %d x %d", o, u.Width, u.Height)
			}
			for y := range p.Height {
				for x := range p.Width {
					ux, uy := seen(o, x, y, p.Width, p.Height)
					if u.Row(uy)[ux/8]>>(7-ux%8)&1 != p.Row(y)[x/8]>>(7-x%8)&1 || [3]byte(ut.Row(uy)[3*ux:]) != [3]byte(tones.Row(y)[3*x:]) {
						t.Fatalf("%v, orientation %d: pixel %d, %d is not at %d, %d", size, o, x, y, ux, uy)
					}
				}
			}
			if u.BlackPixels() != p.BlackPixels() || p.SHA256() != before {
				t.Errorf("%v, orientation %d: %d black pixels of %d", size, o, u.BlackPixels(), p.BlackPixels())
			}
		}
	}
}

func BenchmarkUpright(b *testing.B) {
	p := raster.New(1728, 2200)
	for i := range p.Pix {
		p.Pix[i] = byte(i * 7)
	}
	b.SetBytes(int64(len(p.Pix)))
	b.ReportAllocs()
	for b.Loop() {
		if p.Upright(6).Width != 2200 {
			b.Fatal("not turned")
		}
	}
}
