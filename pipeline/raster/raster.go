// Package raster holds a fax page in memory: packed 1-bit rows and the
// resolution that gives them their physical size. Start with [New], or wrap
// rows that a decoder made in a [Page].
package raster

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A Page is a bilevel image. Rows are packed eight pixels to the byte, most
// significant bit first; a set bit is black, whatever a file called it.
type Page struct {
	Width  int // pixels
	Height int // rows
	Stride int // bytes from one row to the next, at least (Width+7)/8

	// Pix holds Height rows. The bits of a row past Width are zero: hashes
	// and counts rely on it.
	Pix []byte

	// XRes and YRes are pixels per inch; zero when the file does not say.
	// They differ on most fax pages, whose pixels are not square.
	XRes, YRes float64
}

// New returns a white page of width by height pixels, without a resolution.
func New(width, height int) *Page {
	stride := (width + 7) / 8
	return &Page{Width: width, Height: height, Stride: stride, Pix: make([]byte, stride*height)}
}

// Row returns the (Width+7)/8 bytes of row y, counted from 0 at the top. The
// slice shares the page's memory.
func (p *Page) Row(y int) []byte {
	o := y * p.Stride
	return p.Pix[o : o+(p.Width+7)/8 : o+(p.Width+7)/8]
}

// SHA256 returns the hash that names a page's pixels everywhere in faxstream:
// over the rows from top to bottom, (Width+7)/8 bytes each.
func (p *Page) SHA256() [32]byte {
	n := (p.Width + 7) / 8
	if p.Stride == n {
		return sha256.Sum256(p.Pix[:n*p.Height])
	}
	h := sha256.New()
	for y := range p.Height {
		h.Write(p.Row(y))
	}
	return [32]byte(h.Sum(nil))
}

// BlackPixels returns the number of black pixels.
func (p *Page) BlackPixels() int {
	n := (p.Width + 7) / 8
	if p.Stride == n {
		return popCount(p.Pix[:n*p.Height])
	}
	black := 0
	for y := range p.Height {
		black += popCount(p.Row(y))
	}
	return black
}

func popCount(b []byte) int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, v := range b {
		n += bits.OnesCount8(v)
	}
	return n
}
