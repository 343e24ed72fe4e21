package tiff

import (
	"fmt"
	"image/color"
	"slices"
)

// A colourKind is what the samples of a pixel are.
type colourKind int

const (
	kindGray colourKind = iota
	kindPalette
	kindRGB
	kindCMYK
	kindYCbCr
	kindLightness // of CIE L*a*b* or T.42; its colours are left out
)

// colours say how the stored samples of a pixel become gray or red, green and blue.
type colours struct {
	photometric int
	is          colourKind
	inks        int  // samples that are colour, the first of the pixel
	alpha       int  // the index of the sample that is opacity; 0: none
	associated  bool // colours are multiplied by it already
	subX, subY  int  // of YCbCr: pixels that share their colour
}

// checkColours finds out what the samples are by Photometric and ExtraSamples.
func (t *tonesReader) checkColours() error {
	k, n := &t.kind, t.im.SamplesPerPixel
	t.samples = 3
	switch k.photometric {
	case minIsWhite, minIsBlack:
		k.is, k.inks, t.samples = kindGray, 1, 1
	case photometricRGB:
		k.is, k.inks = kindRGB, 3
	case photometricPalette:
		k.is, k.inks = kindPalette, 1
		if err := t.readColorMap(); err != nil {
			return err
		}
	case photometricSeparated:
		if v := t.im.small(tagInkSet, 1); v != 1 {
			return fmt.Errorf("inks other than cyan, magenta, yellow and black (InkSet %d): %w", v, ErrUnsupported)
		}
		k.is, k.inks = kindCMYK, 4
	case photometricYCbCr:
		k.is, k.inks = kindYCbCr, 3
		if err := t.checkSubsampling(); err != nil {
			return err
		}
	case photometricCIELab, photometricITULab:
		k.is, k.inks, t.samples = kindLightness, 1, 1
	default:
		return fmt.Errorf("photometric interpretation %d with %d samples a pixel: %w", k.photometric, n, ErrUnsupported)
	}
	if n < k.inks {
		return fmt.Errorf("photometric interpretation %d with %d samples a pixel: %w", k.photometric, n, ErrUnsupported)
	}
	t.findAlpha()
	return nil
}

// findAlpha looks among the samples behind the colours for one that is opacity.
// Samples that the file does not call so are ignored.
func (t *tonesReader) findAlpha() {
	extra, err := t.im.f.uints(t.im.entries[tagExtraSamples])
	if err != nil {
		return // missing: there is none
	}
	first := t.im.SamplesPerPixel - len(extra)
	for i, v := range extra {
		if at := first + i; (v == 1 || v == 2) && at >= t.kind.inks && t.kind.is != kindLightness {
			t.kind.alpha, t.kind.associated = at, v == 1
			return
		}
	}
}

// readColorMap reads three times as many values as there are indices. Old
// writers left them at 8 bits.
func (t *tonesReader) readColorMap() error {
	vs, err := t.im.f.uints(t.im.entries[tagColorMap])
	if t.bits > 8 {
		return fmt.Errorf("a palette of indices of %d bits: %w", t.bits, ErrUnsupported)
	}
	n := 1 << t.bits
	if err != nil || len(vs) < 3*n {
		return fmt.Errorf("a palette of %d values instead of %d: %w", len(vs), 3*n, ErrMalformed)
	}
	shift := 8
	if slices.Max(vs) < 256 {
		shift = 0
	}
	for i := range n {
		for c := range 3 {
			t.colorMap = append(t.colorMap, byte(vs[c*n+i]>>shift))
		}
	}
	return nil
}

// checkSubsampling reads how many pixels share their colour.
func (t *tonesReader) checkSubsampling() error {
	k := &t.kind
	k.subX, k.subY = 2, 2
	if vs, err := t.im.f.uints(t.im.entries[tagYCbCrSubSampling]); err == nil && len(vs) >= 2 {
		k.subX, k.subY = int(min(vs[0], 8)), int(min(vs[1], 8))
	}
	planar := t.im.small(tagPlanarConfiguration, 1) == 2
	switch {
	case !slices.Contains([]int{1, 2, 4}, k.subX) || !slices.Contains([]int{1, 2, 4}, k.subY):
		return fmt.Errorf("YCbCrSubSampling of %d and %d: %w", k.subX, k.subY, ErrMalformed)
	case t.bits != 8 || t.im.SamplesPerPixel != 3:
		return fmt.Errorf("YCbCr of %d samples of %d bits: %w", t.im.SamplesPerPixel, t.bits, ErrUnsupported)
	case planar && k.subX*k.subY > 1:
		return fmt.Errorf("YCbCr in planes of several sizes: %w", ErrUnsupported)
	}
	return nil
}

// convert makes gray or red, green and blue on white paper of a row of samples.
func (t *tonesReader) convert(dst, row []byte) {
	k := &t.kind
	n := len(row) * t.outSamples() / len(dst) // samples of a pixel in row
	if n == t.outSamples() && (k.is == kindRGB || k.is == kindGray && k.photometric != minIsWhite || k.is == kindLightness) {
		copy(dst, row)
		return
	}
	for ; len(row) >= n && len(dst) > 0; row = row[n:] {
		var c [3]byte
		px := row[:n]
		switch k.is {
		case kindGray:
			if c[0] = px[0]; k.photometric == minIsWhite {
				c[0] = 255 - c[0]
			}
		case kindLightness:
			c[0] = px[0]
		case kindPalette:
			copy(c[:], t.colorMap[3*int(px[0]):])
		case kindRGB:
			copy(c[:], px)
		case kindCMYK:
			if n < 4 { // a strip of JPEG that has other components than the first one
				copy(c[:], px)
				break
			}
			for i := range c {
				c[i] = byte(int(255-px[i]) * int(255-px[3]) / 255)
			}
		case kindYCbCr:
			c[0], c[1], c[2] = color.YCbCrToRGB(px[0], px[1], px[2])
		}
		if k.alpha > 0 && k.alpha < n { // a JPEG has no more components than four, whatever SamplesPerPixel says
			k.onWhite(&c, px[k.alpha])
		}
		dst = dst[copy(dst, c[:t.outSamples()]):]
	}
}

// outSamples is how many samples a pixel has in the end: 1 or 3.
func (t *tonesReader) outSamples() int {
	if t.kind.is == kindGray || t.kind.is == kindLightness {
		return 1
	}
	return 3
}

// onWhite puts a colour of some opacity on white paper.
func (k *colours) onWhite(c *[3]byte, alpha byte) {
	for i, v := range c {
		if !k.associated {
			v = byte((int(v)*int(alpha) + 127) / 255)
		}
		c[i] = byte(min(int(v)+255-int(alpha), 255))
	}
}
