package tiff

import (
	"fmt"
	"slices"
)

// maxSamples bounds the samples of a pixel; a scan has five at most.
const maxSamples = 16

// maxStoredBytes is how many bytes the stored samples of a pixel may take where
// a strip has all pixels that are allowed: four inks of 8 bits. Deeper samples
// may come in smaller strips.
const maxStoredBytes = 4

// check finds out what the samples are and refuses, by name, what is not read.
func (t *tonesReader) check() error {
	im := t.im
	t.stored = im.SamplesPerPixel
	if t.stored < 1 || t.stored > maxSamples {
		return fmt.Errorf("%d samples a pixel: %w", t.stored, ErrUnsupported)
	}
	switch v := im.small(tagSampleFormat, 1); v {
	case 1, 4: // unsigned, undefined
	case 3:
		return fmt.Errorf("samples in floating point: %w", ErrUnsupported)
	default:
		return fmt.Errorf("samples of SampleFormat %d, which are signed or complex: %w", v, ErrUnsupported)
	}
	if err := t.checkDepth(); err != nil {
		return err
	}
	if v := im.small(tagPredictor, 1); v != 1 && (v != 2 || t.bits != 8 && t.bits != 16) {
		return fmt.Errorf("a Predictor of %d with samples of %d bits: %w", v, t.bits, ErrUnsupported)
	}
	if !im.expands() {
		return fmt.Errorf("%s of a gray or colour page: %w", compressionName(im.Compression), ErrUnsupported)
	}
	if err := t.checkColours(); err != nil {
		return err
	}
	t.usePlanes()
	return nil
}

// checkDepth reads BitsPerSample, which must be the same for all samples.
func (t *tonesReader) checkDepth() error {
	t.bits = t.im.BitsPerSample
	bits, err := t.im.f.uints(t.im.entries[tagBitsPerSample])
	if t.im.has(tagBitsPerSample) && err != nil {
		return fmt.Errorf("BitsPerSample: %w", err)
	}
	if t.bits < 1 || t.bits > 16 || slices.ContainsFunc(bits, func(b uint64) bool { return b != uint64(t.bits) }) {
		return fmt.Errorf("samples of %v bits a pixel: %w", bits, ErrUnsupported)
	}
	return nil
}

// usePlanes settles what a strip holds where samples are kept apart.
func (t *tonesReader) usePlanes() {
	if t.stored == 1 || t.im.small(tagPlanarConfiguration, 1) != 2 {
		return
	}
	t.planar, t.samples = true, 1
	for i := range t.kind.inks {
		t.planes = append(t.planes, i)
	}
	if t.kind.alpha > 0 {
		t.planes = append(t.planes, t.kind.alpha)
	}
	t.stored = 1
}

// asStored tells whether the samples of a strip are those of the page.
func (t *tonesReader) asStored() bool {
	k := t.kind
	return t.bits == 8 && t.stored == t.samples && k.alpha == 0 &&
		(t.planar || k.is == kindRGB || k.is == kindGray && k.photometric != minIsWhite || k.is == kindLightness)
}

// rowsInPlace is rows for samples that are asStored: they are appended to dst.
func (t *tonesReader) rowsInPlace(dst, data []byte, width, rows int) ([]byte, error) {
	n, rowBytes := len(dst), width*t.stored
	dst, err := t.im.expand(dst, data, rows*rowBytes)
	dst = dst[:n+(len(dst)-n)/rowBytes*rowBytes]
	if t.im.small(tagPredictor, 1) == 2 {
		for at := n; at < len(dst); at += rowBytes {
			t.undoPredictor(dst[at : at+rowBytes])
		}
	}
	return dst, err
}

// room returns room for n bytes that somebody has counted, so that they need
// not be copied while they grow; else nil.
func (t *tonesReader) room(n int) []byte {
	if t.im.Allowed > 0 && int64(n) <= t.im.Allowed {
		return make([]byte, 0, n)
	}
	return nil
}

// rows decompresses rows and returns their samples at 8 bits, but for the
// indices of a palette. An error comes with the rows before it.
func (t *tonesReader) rows(data []byte, width, rows int) ([]byte, error) {
	if t.kind.is == kindYCbCr && !t.planar {
		return t.subsampledRows(data, width, rows)
	}
	perRow := width * t.stored
	rowBytes := (perRow*t.bits + 7) / 8
	if most := maxStoredBytes * t.im.f.lim.MaxTonePixels; rows > most/rowBytes {
		return nil, fmt.Errorf("%d rows of %d bytes in one strip or tile, allowed are %d bytes: %w", rows, rowBytes, most, ErrLimit)
	}
	packed, err := t.im.expand(t.room(rows*rowBytes), data, rows*rowBytes)
	packed = packed[:len(packed)/rowBytes*rowBytes]
	if t.im.small(tagPredictor, 1) == 2 {
		for at := 0; at < len(packed); at += rowBytes {
			t.undoPredictor(packed[at : at+rowBytes])
		}
	}
	if t.bits == 8 {
		return packed, err
	}
	out := make([]byte, 0, len(packed)/rowBytes*perRow)
	for at := 0; at < len(packed); at += rowBytes {
		out = t.appendSamples(out, packed[at:at+rowBytes], perRow)
	}
	return out, err
}

// undoPredictor adds up the differences of a row (TIFF 6.0 section 14).
func (t *tonesReader) undoPredictor(row []byte) {
	if t.bits == 8 {
		for i := t.stored; i < len(row); i++ {
			row[i] += row[i-t.stored]
		}
		return
	}
	order, n := t.im.f.order, 2*t.stored
	for i := n; i+1 < len(row); i += 2 {
		order.PutUint16(row[i:], order.Uint16(row[i:])+order.Uint16(row[i-n:]))
	}
}

// appendSamples appends n samples of a packed row as 8 bits each.
func (t *tonesReader) appendSamples(out, row []byte, n int) []byte {
	if t.bits == 16 {
		high := 0
		if t.im.f.order.Uint16([]byte{0, 1}) != 1 { // little-endian
			high = 1
		}
		for i := range n {
			out = append(out, row[2*i+high])
		}
		return out
	}
	most := uint32(1)<<t.bits - 1
	acc, have := uint32(0), 0
	for range n {
		for have < t.bits {
			acc, have, row = acc<<8|uint32(row[0]), have+8, row[1:]
		}
		have -= t.bits
		v := acc >> have & most
		if t.kind.is != kindPalette {
			v = v * 255 / most
		}
		out = append(out, byte(v))
	}
	return out
}

// subsampledRows decompresses YCbCr (TIFF 6.0 section 21), where several
// pixels share their colour, and gives each its own.
func (t *tonesReader) subsampledRows(data []byte, width, rows int) ([]byte, error) {
	h, v := t.kind.subX, t.kind.subY
	unit := h*v + 2
	across := (width + h - 1) / h
	lineBytes := across * unit // of v rows
	units, err := t.im.expand(t.room((rows+v-1)/v*lineBytes), data, (rows+v-1)/v*lineBytes)
	if t.im.small(tagPredictor, 1) == 2 {
		for at := 0; at+lineBytes <= len(units); at += lineBytes {
			t.undoPredictor(units[at : at+lineBytes])
		}
	}
	found := min(len(units)/lineBytes*v, rows)
	out := make([]byte, found*width*3)
	for y := range found {
		line := units[y/v*lineBytes:]
		for x := range width {
			u := line[x/h*unit:][:unit]
			p := out[(y*width+x)*3:]
			p[0], p[1], p[2] = u[y%v*h+x%h], u[unit-2], u[unit-1]
		}
	}
	return out, err
}
