package tiff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// isJPEG tells whether strips are JPEG, of TIFF Technical Note 2 or of TIFF 6.0.
func (im *Image) isJPEG() bool {
	return im.Compression == compressionJPEG || im.Compression == compressionOldJPEG
}

// Markers of JPEG (T.81 table B.1).
var (
	jpegSOI = []byte{0xff, 0xd8}
	jpegEOI = []byte{0xff, 0xd9}
	// adobeRGB is Adobe's APP14 for components that are not YCbCr, without
	// which three are taken for it and four are refused.
	adobeRGB = []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
)

// checkJPEG finds out by the first strip what the page is: the tags of JPEG
// pages are often left at their defaults.
func (t *tonesReader) checkJPEG(offsets, sizes []uint64) error {
	im := t.im
	t.bits, t.stored = 8, im.SamplesPerPixel
	if e, ok := im.entries[tagJPEGTables]; ok && im.f.within(e.value, e.count) {
		t.tables = im.f.read(e.value, e.count)
	}
	if len(offsets) == 0 {
		return fmt.Errorf("no strips: %w", ErrMalformed)
	}
	if im.Compression == compressionOldJPEG {
		if err := t.readOldJPEG(offsets, sizes); err != nil {
			return err
		}
	}
	data, lacking := im.f.segment(offsets[0], max(sizes[0], im.f.extent(offsets[0])))
	cfg, err := jpeg.DecodeConfig(t.reader(t.stream(data, im.Width, max(im.RowsPerStrip, 1))))
	switch {
	case err != nil && lacking > 0:
		return fmt.Errorf("the first strip, JPEG: %w: %w", ErrTruncated, err)
	case err != nil:
		return fmt.Errorf("the first strip, JPEG: %w", typed(err))
	}
	return t.checkComponents(cfg.ColorModel)
}

// checkComponents settles the kind of page by that of its JPEG.
func (t *tonesReader) checkComponents(model color.Model) error {
	k := &t.kind
	t.samples = 3
	switch {
	case t.inPlanes() && k.photometric == photometricYCbCr:
		return t.checkYCbCrPlanes()
	case t.inPlanes():
		if err := t.checkColours(); err != nil {
			return err
		}
		t.usePlanes()
	case k.photometric == photometricCIELab || k.photometric == photometricITULab:
		k.is, k.inks, t.samples = kindLightness, 1, 1
	case model == color.GrayModel:
		k.is, k.inks, t.samples = kindGray, 1, 1
	case model == color.CMYKModel && k.photometric == photometricRGB: // four components, and no inks
		k.is, k.inks = kindRGB, 3
		t.findAlpha()
	case model == color.CMYKModel:
		k.is, k.inks = kindCMYK, 4
	default:
		k.is, k.inks = kindRGB, 3
	}
	return nil
}

// inPlanes tells whether each sample has JPEGs of its own.
func (t *tonesReader) inPlanes() bool {
	return t.im.SamplesPerPixel > 1 && t.im.SamplesPerPixel <= maxSamples && t.im.small(tagPlanarConfiguration, 1) == 2
}

// checkYCbCrPlanes takes planes of YCbCr that are of one size.
func (t *tonesReader) checkYCbCrPlanes() error {
	if err := t.checkColours(); err != nil {
		return err
	}
	t.usePlanes()
	return nil
}

// stream makes a JPEG stream of its own of a strip, which lacks the tables that
// it shares with others.
func (t *tonesReader) stream(data []byte, width, rows int) []byte {
	if t.im.Compression == compressionOldJPEG {
		return t.oldStream(data, width, rows)
	}
	var s []byte
	s = append(s, jpegSOI...)
	switch t.kind.photometric {
	case photometricRGB, photometricSeparated:
		s = append(s, adobeRGB...)
	}
	s = append(s, bytes.TrimSuffix(bytes.TrimPrefix(t.tables, jpegSOI), jpegEOI)...)
	return append(s, bytes.TrimPrefix(data, jpegSOI)...)
}

// jpegStrip decodes a strip or tile.
func (t *tonesReader) jpegStrip(pix, data []byte, width, rows int) (strip, error) {
	s := strip{pix: pix}
	img, err := t.decodeJPEG(t.stream(data, width, rows), width)
	if err != nil {
		if ctxErr := t.ctx.Err(); ctxErr != nil {
			return s, ctxErr
		}
		return s, typed(err)
	}
	got, w := img.Bounds().Dy(), img.Bounds().Dx()
	if rows == 0 {
		rows = got
	}
	s.rows, s.found = rows, min(got, rows)
	s.pix = t.appendRows(pix, img, width, rows)
	if got < rows || w < width {
		s.warnings = append(s.warnings, fmt.Sprintf("a JPEG of %d x %d pixels instead of %d x %d", w, got, width, rows))
	}
	if got < rows {
		s.bad = []ccitt.RowRange{{First: got, Last: rows - 1}}
	}
	if t.kind.is == kindLightness {
		s.warnings = append(s.warnings, "colours of L*a*b* are left out: the page is shown in gray")
	}
	return s, nil
}

func (t *tonesReader) decodeJPEG(s []byte, width int) (image.Image, error) {
	cfg, err := jpeg.DecodeConfig(t.reader(s))
	if err != nil {
		return nil, err
	}
	if cfg.Width < 1 || cfg.Height < 1 {
		return nil, fmt.Errorf("a JPEG of %d x %d pixels: %w", cfg.Width, cfg.Height, ErrMalformed)
	}
	if err := t.checkSize(cfg.Width, cfg.Height, len(s)); err != nil {
		return nil, err
	}
	if most := max(t.im.f.lim.MaxWidth, width); cfg.Width > most || cfg.Height > t.im.f.lim.MaxRows {
		return nil, fmt.Errorf("a JPEG of %d x %d pixels: %w", cfg.Width, cfg.Height, ErrLimit)
	}
	pixels := int64(cfg.Width) * int64(cfg.Height)
	if need := int64(t.im.Width)*int64(t.im.Height)*int64(t.samples) + pixels*t.im.workPerPixel(); t.im.Allowed > 0 && need > t.im.Allowed {
		return nil, &MemoryError{Need: need}
	}
	return jpeg.Decode(t.reader(s))
}

// appendRows appends rows of img in 8-bit samples; what img has not is white.
func (t *tonesReader) appendRows(pix []byte, img image.Image, width, rows int) []byte {
	n := len(pix)
	pix = appendPaper(pix, 0xff, rows*width*t.samples)
	b := img.Bounds()
	w, samples := min(width, b.Dx()), t.samples
	line := t.liner(img)
	for y := range min(rows, b.Dy()) {
		dst := pix[n+y*width*samples:][:w*samples]
		if row := line(y, w); t.planar {
			copy(dst, row)
		} else {
			t.convert(dst, row)
		}
	}
	return pix
}

// liner returns a function that gives the samples of the first w pixels of a
// row of img, as the kind of page needs them.
func (t *tonesReader) liner(img image.Image) func(y, w int) []byte {
	b := img.Bounds()
	at := func(stride, y int) int { return y * stride }
	switch c := img.(type) {
	case *image.Gray:
		if t.outSamples() == 1 || t.planar {
			return func(y, w int) []byte { return c.Pix[at(c.Stride, y):][:w] }
		}
	case *image.YCbCr:
		if t.kind.is == kindLightness || t.kind.is == kindGray || t.planar {
			return func(y, w int) []byte { return c.Y[at(c.YStride, y):][:w] }
		}
	case *image.CMYK:
		// image/jpeg takes them for Adobe's, which are inverted; those of TIFF are not.
		return func(y, w int) []byte {
			row := bytes.Clone(c.Pix[at(c.Stride, y):][:4*w])
			invert(row)
			return row
		}
	}
	if t.outSamples() == 1 || t.planar {
		gray := image.NewGray(image.Rect(0, 0, b.Dx(), 1))
		return func(y, w int) []byte {
			draw.Draw(gray, gray.Rect, img, image.Pt(b.Min.X, b.Min.Y+y), draw.Src)
			return gray.Pix[:w]
		}
	}
	return t.rgbLiner(img)
}

// rgbLiner gives red, green and blue, of some rows at once, which is faster.
func (t *tonesReader) rgbLiner(img image.Image) func(y, w int) []byte {
	const band = 16 // also the rows that share their colours
	b := img.Bounds()
	rgba := image.NewRGBA(image.Rect(0, 0, b.Dx(), band))
	line, have := make([]byte, 0, 3*b.Dx()), -1
	return func(y, w int) []byte {
		if y/band != have {
			have = y / band
			draw.Draw(rgba, rgba.Rect, img, image.Pt(b.Min.X, b.Min.Y+have*band), draw.Src)
		}
		line = line[:0]
		for row := rgba.Pix[y%band*rgba.Stride:]; len(line) < 3*w; row = row[4:] {
			line = append(line, row[0], row[1], row[2])
		}
		return line
	}
}

// reader reads from memory until the context ends.
func (t *tonesReader) reader(b []byte) *interruptible {
	return &interruptible{bytes.NewReader(b), t.ctx}
}

type interruptible struct {
	r   *bytes.Reader
	ctx context.Context
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// typed gives an error of the other decoders one of our kinds.
func typed(err error) error {
	var unsupported jpeg.UnsupportedError
	switch {
	case errors.Is(err, ErrLimit), errors.Is(err, ErrMalformed), errors.Is(err, errMemory),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &unsupported):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
