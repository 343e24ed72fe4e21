package raster

import (
	"bytes"
	"math/bits"
)

// A Difference says in what two images of one page differ, as far as it has a name.
type Difference string

const (
	Same            Difference = "same"              // pixel by pixel
	Inverted        Difference = "inverted"          // black in one is white in the other
	BlankAgainstInk Difference = "blank_against_ink" // one has nothing to read, the other has
	Other           Difference = "different"
)

// Compare names the difference of two images of one page.
func Compare(a, b *Page) Difference {
	switch {
	case a.equal(b):
		return Same
	case Complementary(a, b):
		return Inverted
	case OneIsBlank(a, b):
		return BlankAgainstInk
	}
	return Other
}

func (p *Page) equal(q *Page) bool {
	if p.Width != q.Width || p.Height != q.Height {
		return false
	}
	for y := range p.Height {
		if !bytes.Equal(p.Row(y), q.Row(y)) {
			return false
		}
	}
	return true
}

// How much of two complementary pages may be the same: rows that are damaged in
// one of them, and by how much their heights may differ. Two pages of text that
// have nothing in common are the same in nine pixels of ten.
const sameShare = 20 // a twentieth

// Complementary tells whether one page is the other with black and white
// exchanged, but for a twentieth of its pixels, as rows may be damaged.
func Complementary(a, b *Page) bool {
	least, most := min(a.Height, b.Height), max(a.Height, b.Height)
	if a.Width != b.Width || least == 0 || (most-least)*sameShare > most {
		return false
	}
	differ := 0
	for y := range least {
		other := b.Row(y)
		for i, v := range a.Row(y) {
			differ += bits.OnesCount8(v ^ other[i])
		}
	}
	pixels := a.Width * least
	return (pixels-differ)*sameShare <= pixels
}

// OneIsBlank tells whether one page has something to read and the other has
// not, as [Page.Quality] sees it.
func OneIsBlank(a, b *Page) bool { return a.Quality().Blank != b.Quality().Blank }
