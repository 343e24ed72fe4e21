package tiff

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"slices"

	xtiff "golang.org/x/image/tiff"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A tonesReader decodes the strips or tiles of a gray or colour page. Samples
// of 8 bits are read by golang.org/x/image/tiff, which sees one strip at a time
// in a file made for it, with fields that were checked; JPEG (TIFF Technical
// Note 2) by image/jpeg.
type tonesReader struct {
	im          *Image
	ctx         context.Context
	samples     int // of a decoded pixel: 1 or 3
	photometric int
	colorMap    []uint16 // of a palette
	tables      []byte   // JPEGTables
}

// How many samples a byte of compressed data can stand for: more is a bomb. A
// block of JPEG, 64 pixels, takes a bit at least; LZW repeats up to 4,096 bytes
// a code of 12 bits.
const (
	maxJPEGDensity = 1024
	maxDensity     = 4096
)

func (im *Image) tonesReader(ctx context.Context, offsets, sizes []uint64) (*tonesReader, error) {
	t := &tonesReader{im: im, ctx: ctx, samples: 3, photometric: im.Photometric}
	if t.photometric == photometricMissing {
		t.photometric = minIsBlack
		if im.SamplesPerPixel >= 3 {
			t.photometric = photometricRGB
		}
	}
	var err error
	if im.Compression == compressionJPEG {
		err = t.checkJPEG(offsets, sizes)
	} else {
		err = t.check()
	}
	if err != nil {
		return nil, err
	}
	there := uint64(0)
	for i := range offsets {
		data, _ := im.f.segment(offsets[i], sizes[i])
		if there += uint64(len(data)); there > im.f.size() {
			return nil, fmt.Errorf("strips share their bytes: %w", ErrMalformed)
		}
	}
	return t, t.checkSize(im.Width, im.Height, int(there)+len(t.tables))
}

// checkSize refuses more pixels than are allowed or than n bytes can hold.
func (t *tonesReader) checkSize(width, height, n int) error {
	density := maxDensity
	if t.im.Compression == compressionJPEG {
		density = maxJPEGDensity
	}
	switch limit := t.im.f.lim.MaxTonePixels; {
	case height > limit/width:
		return fmt.Errorf("%d x %d pixels of gray or colour, allowed are %d: %w", width, height, limit, ErrLimit)
	case width*height/density > n:
		return fmt.Errorf("%d x %d pixels cannot be in %d bytes: %w", width, height, n, ErrMalformed)
	}
	return nil
}

// check refuses what x/image does not read, or misreads.
func (t *tonesReader) check() error {
	im := t.im
	bits, err := im.f.uints(im.entries[tagBitsPerSample])
	if err != nil || slices.ContainsFunc(bits, func(b uint64) bool { return b != 8 }) {
		return fmt.Errorf("%d samples of %d bits a pixel: %w", im.SamplesPerPixel, im.BitsPerSample, ErrUnsupported)
	}
	if n := im.SamplesPerPixel; n > 1 && im.small(tagPlanarConfiguration, 1) != 1 {
		return fmt.Errorf("samples in planes: %w", ErrUnsupported)
	}
	if v := im.small(tagSampleFormat, 1); v != 1 {
		return fmt.Errorf("a SampleFormat of %d: %w", v, ErrUnsupported)
	}
	if v := im.small(tagPredictor, 1); v != 1 && v != 2 {
		return fmt.Errorf("a Predictor of %d: %w", v, ErrUnsupported)
	}
	switch im.Compression {
	case compressionNone, compressionLZW, compressionDeflate, compressionOldDeflate, compressionPackBits:
	default:
		return fmt.Errorf("compression %d of a gray or colour page: %w", im.Compression, ErrUnsupported)
	}
	switch n := im.SamplesPerPixel; {
	case n == 1 && (t.photometric == minIsWhite || t.photometric == minIsBlack):
		t.samples = 1
	case n == 1 && t.photometric == photometricPalette:
		return t.readColorMap()
	case (n == 3 || n == 4) && t.photometric == photometricRGB:
	default:
		return fmt.Errorf("photometric interpretation %d with %d samples a pixel: %w", t.photometric, n, ErrUnsupported)
	}
	return nil
}

// readColorMap reads 3 x 256 values. Old writers left them at 8 bits.
func (t *tonesReader) readColorMap() error {
	vs, err := t.im.f.uints(t.im.entries[tagColorMap])
	if err != nil || len(vs) != 3*256 {
		return fmt.Errorf("a palette of %d values instead of 768: %w", len(vs), ErrMalformed)
	}
	factor := uint64(1)
	if slices.Max(vs) < 256 {
		factor = 257
	}
	for _, v := range vs {
		t.colorMap = append(t.colorMap, uint16(v*factor))
	}
	return nil
}

// checkJPEG finds out by the first strip whether the page is gray: the tags of
// JPEG pages are often left at their defaults.
func (t *tonesReader) checkJPEG(offsets, sizes []uint64) error {
	if e, ok := t.im.entries[tagJPEGTables]; ok && t.im.f.within(e.value, e.count) {
		t.tables = t.im.f.data[e.value : e.value+e.count]
	}
	if len(offsets) == 0 {
		return fmt.Errorf("no strips: %w", ErrMalformed)
	}
	data, lacking := t.im.f.segment(offsets[0], sizes[0])
	cfg, err := jpeg.DecodeConfig(t.reader(t.stream(data)))
	switch {
	case err != nil && lacking > 0:
		return fmt.Errorf("the first strip, JPEG: %w: %w", ErrTruncated, err)
	case err != nil:
		return fmt.Errorf("the first strip, JPEG: %w", typed(err))
	case cfg.ColorModel == color.GrayModel, t.lab():
		t.samples = 1
	}
	return nil
}

// stream makes a JPEG stream of its own of a strip, which lacks the tables that
// it shares with others.
func (t *tonesReader) stream(data []byte) []byte {
	soi, eoi := []byte{0xff, 0xd8}, []byte{0xff, 0xd9}
	var s []byte
	s = append(s, soi...)
	if t.photometric == photometricRGB {
		// Without Adobe's APP14 three components are taken for YCbCr.
		s = append(s, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	s = append(s, bytes.TrimSuffix(bytes.TrimPrefix(t.tables, soi), eoi)...)
	return append(s, bytes.TrimPrefix(data, soi)...)
}

// lab tells whether the first component is CIE lightness, which serves as gray:
// the colours of T.42 are left out.
func (t *tonesReader) lab() bool {
	return t.photometric == photometricCIELab || t.photometric == photometricITULab
}

// strip decodes a strip or tile of width pixels and appends rows rows, or as
// many as a JPEG has when rows is 0.
func (t *tonesReader) strip(pix, data []byte, width, rows int) (strip, error) {
	s := strip{pix: pix}
	var img image.Image
	var err error
	if t.im.Compression == compressionJPEG {
		img, err = t.decodeJPEG(data, width)
	} else {
		img, err = t.decodeSamples(data, width, rows)
	}
	if err != nil {
		if ctxErr := t.ctx.Err(); ctxErr != nil {
			return s, ctxErr
		}
		return s, typed(err)
	}
	got := img.Bounds().Dy()
	if rows == 0 {
		rows = got
	}
	s.rows, s.found = rows, min(got, rows)
	s.pix = t.appendRows(pix, img, width, rows)
	if w := img.Bounds().Dx(); got < rows || w < width {
		s.warnings = append(s.warnings, fmt.Sprintf("a JPEG of %d x %d pixels instead of %d x %d", w, got, width, rows))
	}
	if got < rows {
		s.bad = []ccitt.RowRange{{First: got, Last: rows - 1}}
	}
	if t.lab() {
		s.warnings = append(s.warnings, "colours of T.42 are left out: the page is shown in gray")
	}
	return s, nil
}

func (t *tonesReader) decodeJPEG(data []byte, width int) (image.Image, error) {
	s := t.stream(data)
	cfg, err := jpeg.DecodeConfig(t.reader(s))
	if err != nil {
		return nil, err
	}
	if err := t.checkSize(max(cfg.Width, 1), cfg.Height, len(s)); err != nil {
		return nil, err
	}
	if most := max(t.im.f.lim.MaxWidth, width); cfg.Width > most || cfg.Height > t.im.f.lim.MaxRows {
		return nil, fmt.Errorf("a JPEG of %d x %d pixels: %w", cfg.Width, cfg.Height, ErrLimit)
	}
	return jpeg.Decode(t.reader(s))
}

// decodeSamples lets x/image read a file with nothing but this strip.
func (t *tonesReader) decodeSamples(data []byte, width, rows int) (image.Image, error) {
	if rows == 0 {
		return nil, fmt.Errorf("no ImageLength: %w", ErrMalformed)
	}
	if err := t.checkSize(width, rows, len(data)); err != nil {
		return nil, err
	}
	if t.im.FillOrder == 2 {
		data = ccitt.ReverseBits(data)
	}
	n := t.im.SamplesPerPixel
	var b ifdBuilder
	b.long(tagImageWidth, uint32(width))
	b.long(tagImageLength, uint32(rows))
	b.short(tagBitsPerSample, slices.Repeat([]uint16{8}, n)...)
	b.short(tagCompression, uint16(t.im.Compression))
	b.short(tagPhotometric, uint16(t.photometric))
	b.long(tagStripOffsets, tiffHeader)
	b.short(tagSamplesPerPixel, uint16(n))
	b.long(tagRowsPerStrip, uint32(rows))
	b.long(tagStripByteCounts, uint32(len(data)))
	b.short(tagPredictor, uint16(t.im.small(tagPredictor, 1)))
	if t.colorMap != nil {
		b.short(tagColorMap, t.colorMap...)
	}
	if n == 4 {
		b.short(tagExtraSamples, uint16(t.im.small(tagExtraSamples, 0)))
	}
	at := uint32(tiffHeader+len(data)+1) &^ 1
	file := binary.LittleEndian.AppendUint32([]byte{'I', 'I', 42, 0}, at)
	file = append(file, data...)
	file = append(file, make([]byte, int(at)-len(file))...)
	return xtiff.Decode(t.reader(append(file, b.bytes(at)...)))
}

// appendRows appends rows of img in 8-bit samples over white paper.
func (t *tonesReader) appendRows(pix []byte, img image.Image, width, rows int) []byte {
	const band = 64
	r := img.Bounds()
	for y := 0; y < rows; y += band {
		h := min(band, rows-y)
		area, from := image.Rect(0, 0, width, h), image.Pt(r.Min.X, r.Min.Y+y)
		if t.samples == 1 {
			dst := &image.Gray{Pix: bytes.Repeat([]byte{0xff}, width*h), Stride: width, Rect: area}
			copyGray(dst, img, from)
			pix = append(pix, dst.Pix...)
			continue
		}
		dst := image.NewRGBA(area)
		draw.Draw(dst, area, image.White, image.Point{}, draw.Src)
		draw.Draw(dst, area, img, from, draw.Over)
		for i := 0; i < len(dst.Pix); i += 4 {
			pix = append(pix, dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2])
		}
	}
	return pix
}

// copyGray fills dst from a gray image, or from the lightness of a JPEG in colour.
func copyGray(dst *image.Gray, img image.Image, from image.Point) {
	if c, ok := img.(*image.YCbCr); ok {
		img = &image.Gray{Pix: c.Y, Stride: c.YStride, Rect: c.Rect}
	}
	gray, ok := img.(*image.Gray)
	if !ok {
		draw.Draw(dst, dst.Rect, img, from, draw.Over)
		return
	}
	n := min(dst.Rect.Dx(), gray.Rect.Max.X-from.X)
	for y := range min(dst.Rect.Dy(), gray.Rect.Max.Y-from.Y) {
		i := gray.PixOffset(from.X, from.Y+y)
		copy(dst.Pix[y*dst.Stride:], gray.Pix[i:i+n])
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

func (i *interruptible) ReadAt(p []byte, off int64) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.ReadAt(p, off)
}

// typed gives an error of the other decoders one of our kinds.
func typed(err error) error {
	var unsupportedJPEG jpeg.UnsupportedError
	var unsupportedTIFF xtiff.UnsupportedError
	switch {
	case errors.Is(err, ErrLimit), errors.Is(err, ErrMalformed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &unsupportedJPEG), errors.As(err, &unsupportedTIFF):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
