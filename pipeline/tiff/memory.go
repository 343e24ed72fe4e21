package tiff

import (
	"bytes"
	"errors"
	"fmt"
)

// MemoryError says that Decode needs more than [Image].Allowed. Decode works
// when it is called again with Allowed at least Need, or gives another
// MemoryError with a larger Need, a few times at most.
type MemoryError struct{ Need int64 } // bytes

func (e *MemoryError) Error() string {
	return fmt.Sprintf("the page needs %d bytes of memory to be decoded", e.Need)
}

func (e *MemoryError) Unwrap() error { return errMemory }

var errMemory = errors.New("memory")

// unknownRows is how many bytes of rows Memory counts for a page without
// ImageLength: six times a page of usual size.
const unknownRows = 4 << 20

// decodeExtra covers what is small beside a page: tables, a decompressor.
const decodeExtra = 1 << 20

// Memory returns how many bytes Decode and Upright take at most at one time,
// the page that they return included, if the tags are right. It reads no rows.
// Where the tags are wrong, where a page is badly damaged, or where they do not
// say how many rows there are, Decode may need more, and Allowed bounds it.
func (im *Image) Memory() int64 {
	if im.isTones() {
		return decodeExtra + im.tonesMemory()
	}
	rows := int64(im.Width+7) / 8 * int64(im.Height)
	if im.Height == 0 {
		rows = unknownRows
	}
	n := decodeExtra + rows + im.fileMemory()
	if im.isJBIG() {
		n += rows
	}
	if im.Tiled {
		n += int64(im.TileWidth+7) / 8 * int64(im.TileLength)
	}
	if im.Orientation() != 1 {
		n += rows
	}
	return n
}

func (im *Image) isTones() bool {
	return im.isJPEG() || im.BitsPerSample != 1 || im.SamplesPerPixel != 1
}

// tonesMemory is the part of Memory that follows the size of a gray or colour
// page: its samples, its form in black and white, and the work on a strip.
func (im *Image) tonesMemory() int64 {
	pixels := int64(im.Width) * int64(im.Height)
	if im.Height == 0 { // a JPEG says it
		pixels = int64(im.f.lim.MaxTonePixels)
	}
	samples := int64(3)
	if im.SamplesPerPixel == 1 && !im.isJPEG() && im.Photometric != photometricPalette {
		samples = 1
	}
	page := pixels*samples + pixels/8
	if im.small(tagPlanarConfiguration, 1) == 2 {
		page += pixels * int64(min(im.SamplesPerPixel, maxSamples))
	}
	if im.Orientation() != 1 {
		page += pixels*samples + pixels/8
	}
	segment := int64(im.Width) * int64(im.RowsPerStrip)
	if im.RowsPerStrip == 0 || im.Compression == compressionOldJPEG {
		segment = pixels
	}
	if im.Tiled {
		segment = int64(im.TileWidth) * int64(im.TileLength)
		page += segment * samples
	}
	return page + segment*im.workPerPixel() + im.fileMemory()
}

// workPerPixel is how many bytes a pixel of a strip takes beside its samples
// while the strip is decoded.
func (im *Image) workPerPixel() int64 {
	gray := im.Photometric == minIsBlack || im.Photometric == photometricMissing
	switch n := int64(min(max(im.SamplesPerPixel, 1), maxSamples)); {
	case im.isJPEG() && im.progressive():
		return 4 + 4*4 // the image, and coefficients of 32 bits of four components
	case im.isJPEG():
		return 4
	case im.BitsPerSample == 8 && (n == 1 && gray || n == 3 && im.Photometric == photometricRGB):
		return 0 // they are decoded in their place
	case im.BitsPerSample == 8:
		return n
	default:
		return (n*int64(min(im.BitsPerSample, 16))+7)/8 + n
	}
}

// progressive tells whether the first strip may be a progressive JPEG (T.81
// table B.1, SOF2), which is held in coefficients.
func (im *Image) progressive() bool {
	const head = 64 << 10 // bytes; tables and the texts of programs come before SOF
	offsets, _, err := im.segments()
	if err != nil || len(offsets) == 0 {
		return false
	}
	data, _ := im.f.segment(offsets[0], min(head, im.f.extent(offsets[0])))
	return bytes.Contains(data, []byte{0xff, 0xc2})
}

// fileMemory is how much of a file that is not in memory Decode reads at once,
// twice where its bits are turned.
func (im *Image) fileMemory() int64 {
	offsets, sizes, err := im.segments()
	if err != nil || im.f.disk == nil && im.FillOrder != 2 && !im.isJPEG() {
		return 0
	}
	largest := uint64(0)
	for i := range offsets {
		n, _ := im.f.held(offsets[i], sizes[i])
		largest = max(largest, n)
	}
	if im.f.disk != nil {
		largest *= 2
	}
	return int64(largest)
}

// need fails if the page may not have n bytes at one time.
func (p *pageDecoder) need(n int64) error {
	if p.im.Allowed > 0 && n+decodeExtra > p.im.Allowed {
		return &MemoryError{Need: n + decodeExtra}
	}
	return nil
}

// mostPixels is the limit of pixels of a bilevel page whose rows count
// themselves: they are in memory `copies` times. A decoder that meets it calls
// limited.
func (p *pageDecoder) mostPixels(copies int) int {
	lim := p.im.f.lim.MaxPixels
	if p.im.Allowed == 0 {
		return lim
	}
	return int(min(int64(lim), max(p.im.Allowed-decodeExtra, unknownRows)/int64(copies)*8))
}

// limited is the error where a decoder met the limit most of mostPixels.
func (p *pageDecoder) limited(most int, err error) error {
	if most < p.im.f.lim.MaxPixels {
		return &MemoryError{Need: 2*p.im.Allowed + unknownRows}
	}
	return fmt.Errorf("%w: %w", ErrLimit, err)
}

// eager is how much of n bytes of rows is allocated on the word of ImageLength
// alone: all where somebody has counted them, else a step.
func (p *pageDecoder) eager(n int) int {
	const step = 4 << 20
	if p.im.Allowed > 0 && int64(n) <= p.im.Allowed {
		return n
	}
	return min(n, step)
}
