package raster_test

import (
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// inked is a page with bars of ink on about a tenth of it.
func inked(width, height, phase int) *raster.Page {
	p := raster.New(width, height)
	p.XRes, p.YRes = 204, 196
	for y := range height {
		for x := range (width + 7) / 8 {
			if (y/10+phase)%4 == 0 && (x+phase)%3 == 0 {
				p.Row(y)[x] = 0xf8
			}
		}
	}
	return masked(p)
}

// masked clears the bits past the width.
func masked(p *raster.Page) *raster.Page {
	for y := range p.Height {
		if p.Width%8 != 0 {
			p.Row(y)[len(p.Row(y))-1] &= 0xff << (8 - p.Width%8)
		}
	}
	return p
}

func negative(p *raster.Page) *raster.Page {
	out := raster.New(p.Width, p.Height)
	for i, v := range p.Pix {
		out.Pix[i] = ^v
	}
	return masked(out)
}

func TestDifferencesHaveTheirNames(t *testing.T) {
	page, other := inked(1730, 500, 0), inked(1730, 500, 1)
	white := raster.New(1730, 500)
	damaged := negative(page)
	for y := 100; y < 120; y++ {
		copy(damaged.Row(y), page.Row(y))
	}
	shorter := negative(inked(1730, 490, 0))
	speck := raster.New(1730, 500)
	speck.Row(70)[9] = 0x10
	for _, c := range []struct {
		name string
		a, b *raster.Page
		want raster.Difference
	}{
		{"itself", page, inked(1730, 500, 0), raster.Same},
		{"its negative", page, negative(page), raster.Inverted},
		{"its negative with damage", page, damaged, raster.Inverted},
		{"its negative, cut", page, shorter, raster.Inverted},
		{"black against white", negative(white), white, raster.Inverted},
		{"another page", page, other, raster.Other},
		{"another width", page, inked(1728, 500, 0), raster.Other},
		{"half the rows", page, inked(1730, 250, 0), raster.Other},
		{"a white page", page, white, raster.BlankAgainstInk},
		{"a speck", speck, page, raster.BlankAgainstInk},
		{"white and a speck", white, speck, raster.Other},
	} {
		if got, back := raster.Compare(c.a, c.b), raster.Compare(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%s: %s and %s, want %s", c.name, got, back, c.want)
		}
	}
}
