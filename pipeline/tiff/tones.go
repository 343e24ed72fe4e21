package tiff

import (
	"context"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A tonesReader decodes the strips or tiles of a gray or colour page.
type tonesReader struct {
	im      *Image
	ctx     context.Context
	samples int // of a decoded pixel: 1 or 3
	kind    colours

	planar bool  // a strip holds one sample of its pixels
	planes []int // with planar: those that are needed
	bits   int   // of a stored sample
	stored int   // samples of a pixel in a strip

	colorMap []byte // of a palette: red, green, blue of every index
	tables   []byte // JPEGTables
	old      oldJPEG
}

// How many samples of 8 bits a byte of compressed data can stand for: more is a
// bomb. A block of JPEG, 64 pixels, takes a bit at least; LZW repeats up to
// 4,096 bytes a code of 12 bits.
const (
	maxJPEGDensity = 1024
	maxDensity     = 4096
)

func (im *Image) tonesReader(ctx context.Context, offsets, sizes []uint64) (*tonesReader, error) {
	t := &tonesReader{im: im, ctx: ctx}
	t.kind.photometric = im.Photometric
	if im.Photometric == photometricMissing {
		t.kind.photometric = minIsBlack
		if im.SamplesPerPixel >= 3 {
			t.kind.photometric = photometricRGB
		}
	}
	var err error
	if im.isJPEG() {
		err = t.checkJPEG(offsets, sizes)
	} else {
		err = t.check()
	}
	if err != nil {
		return nil, err
	}
	there := uint64(0)
	for i := range offsets {
		n, _ := im.f.held(offsets[i], sizes[i])
		if there += n; there > im.f.size() {
			return nil, fmt.Errorf("strips share their bytes: %w", ErrMalformed)
		}
	}
	return t, t.checkSize(im.Width, im.Height, int(there)+len(t.tables)+len(t.old.stream))
}

// checkSize refuses more pixels than are allowed or than n bytes can hold.
func (t *tonesReader) checkSize(width, height, n int) error {
	density := maxDensity * 8 / max(t.bits, 1)
	switch {
	case t.im.isJPEG():
		density = maxJPEGDensity
	case t.im.Compression == compressionZstd: // no bound, memory follows the data
		density = t.im.f.lim.MaxTonePixels
	}
	switch limit := t.im.f.lim.MaxTonePixels; {
	case height > limit/width:
		return fmt.Errorf("%d x %d pixels of gray or colour, allowed are %d: %w", width, height, limit, ErrLimit)
	case width*height/density > n:
		return fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", width, height, n, ErrMalformed)
	}
	return nil
}

// strip decodes a strip or tile of width pixels and appends rows rows, or as
// many as a JPEG has when rows is 0.
func (t *tonesReader) strip(pix, data []byte, width, rows int) (strip, error) {
	if err := t.ctx.Err(); err != nil {
		return strip{pix: pix}, err
	}
	if t.im.isJPEG() {
		return t.jpegStrip(pix, data, width, rows)
	}
	return t.samplesStrip(pix, data, width, rows)
}

// samplesStrip decodes what is not JPEG.
func (t *tonesReader) samplesStrip(pix, data []byte, width, rows int) (strip, error) {
	s := strip{pix: pix}
	if rows == 0 {
		return s, fmt.Errorf("no ImageLength: %w", ErrMalformed)
	}
	if err := t.checkSize(width, rows, len(data)); err != nil {
		return s, err
	}
	if t.im.FillOrder == 2 {
		data = ccitt.ReverseBits(data)
	}
	got, err := t.appendPixels(pix, data, width, rows)
	s.rows, s.found = rows, (len(got)-len(pix))/(width*t.samples)
	if err != nil {
		if s.found == 0 {
			return s, typed(err)
		}
		s.warnings = append(s.warnings, err.Error())
	}
	if s.found == 0 {
		return s, fmt.Errorf("%d bytes hold no row: %w", len(data), ErrMalformed)
	}
	if s.pix = appendPaper(got, 0xff, (rows-s.found)*width*t.samples); s.found < rows {
		s.warnings = append(s.warnings, fmt.Sprintf("%d rows instead of %d", s.found, rows))
		s.bad = []ccitt.RowRange{{First: s.found, Last: rows - 1}}
	}
	if t.kind.is == kindLightness {
		s.warnings = append(s.warnings, "colours of L*a*b* are left out: the page is shown in gray")
	}
	return s, nil
}

// appendPixels appends the rows that data hold, at most rows. An error comes
// with the rows before it.
func (t *tonesReader) appendPixels(pix, data []byte, width, rows int) ([]byte, error) {
	if t.asStored() {
		return t.rowsInPlace(pix, data, width, rows)
	}
	raw, err := t.rows(data, width, rows)
	rowBytes, n := width*t.stored, len(pix)
	found := len(raw) / rowBytes
	pix = appendPaper(pix, 0xff, found*width*t.samples)
	for y := range found {
		dst, row := pix[n+y*width*t.samples:][:width*t.samples], raw[y*rowBytes:(y+1)*rowBytes]
		if t.planar {
			copy(dst, row)
		} else {
			t.convert(dst, row)
		}
	}
	return pix, err
}
