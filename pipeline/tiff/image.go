package tiff

import (
	"fmt"
	"math"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// Compression schemes as their tag names them.
const (
	compressionNone       = 1
	compressionRLE        = 2 // T.4 1-D codes in byte-aligned rows
	compressionGroup3     = 3
	compressionGroup4     = 4
	compressionLZW        = 5
	compressionOldJPEG    = 6
	compressionJPEG       = 7
	compressionDeflate    = 8
	compressionT85        = 9     // JBIG as fax machines send it (RFC 2301 profile T)
	compressionRLEW       = 32771 // RLE in 16-bit aligned rows
	compressionPackBits   = 32773
	compressionOldDeflate = 32946
	compressionJBIG       = 34661 // JBIG as libtiff writes it
	compressionZstd       = 50000
)

const (
	photometricMissing   = -1
	minIsWhite           = 0
	minIsBlack           = 1
	photometricRGB       = 2
	photometricPalette   = 3
	photometricSeparated = 5 // CMYK
	photometricYCbCr     = 6
	photometricCIELab    = 8
	photometricITULab    = 10 // T.42, colour fax
)

// An Image describes one page as its IFD does, with the defaults of TIFF 6.0
// for what is missing. Numbers may be wrong; Decode copes.
type Image struct {
	Page          int // from 1
	Width, Height int // pixels, rows; Height 0 when the file does not say or says nonsense
	// XRes and YRes are pixels per inch, converted from centimetres; 0 when
	// missing. They may be impossible: Decoded.Resolution is what counts.
	XRes, YRes      float64
	BitsPerSample   int
	SamplesPerPixel int
	Compression     int
	T4Options       int // bit 0: two-dimensional, bit 2: fill bits
	FillOrder       int // 1: most significant bit first, 2: least
	Photometric     int // 0: MinIsWhite, 1: MinIsBlack, 2: RGB, 3: palette, 6: YCbCr, -1: missing
	RowsPerStrip    int // at most Height, when that is known
	Tiled           bool
	TileWidth       int
	TileLength      int
	Strips          int // strips or tiles

	// Allowed is how many bytes Decode may take at one time, the page that it
	// returns included; 0: as many as the Limits allow. See Memory.
	Allowed int64

	f       *File
	entries map[uint16]entry
}

// Page reads the IFD of page i, counted from 0. Errors match ErrMalformed,
// ErrTruncated or ErrLimit.
func (f *File) Page(i int) (*Image, error) {
	if i < 0 || i >= len(f.ifds) {
		return nil, fmt.Errorf("tiff: page %d of %d: %w", i+1, len(f.ifds), ErrMalformed)
	}
	im := &Image{Page: i + 1, f: f, entries: f.entries(f.ifds[i])}
	im.BitsPerSample = im.small(tagBitsPerSample, 1)
	im.SamplesPerPixel = im.small(tagSamplesPerPixel, 1)
	im.Compression = im.small(tagCompression, compressionNone)
	im.T4Options = im.small(tagT4Options, 0)
	im.FillOrder = im.small(tagFillOrder, 1)
	im.Photometric = im.small(tagPhotometric, photometricMissing)
	im.Width = im.small(tagImageWidth, 0)
	im.Height = im.small(tagImageLength, 0)
	im.XRes, im.YRes = im.resolution()
	im.Tiled = im.has(tagTileOffsets)
	im.TileWidth, im.TileLength = im.small(tagTileWidth, 0), im.small(tagTileLength, 0)
	im.Strips = int(min(im.entries[im.offsetsTag()].count, math.MaxInt32))
	err := im.check()
	if r := f.readError(); r != nil {
		return nil, r
	}
	if err != nil {
		return nil, fmt.Errorf("tiff: page %d: %w", im.Page, err)
	}
	return im, nil
}

// check applies the limits.
func (im *Image) check() error {
	lim := im.f.lim
	switch {
	case im.Width == 0:
		return fmt.Errorf("no ImageWidth: %w", ErrMalformed)
	case im.Width > lim.MaxWidth:
		return fmt.Errorf("ImageWidth %d, allowed are %d pixels: %w", im.Width, lim.MaxWidth, ErrLimit)
	}
	if im.Height > lim.MaxRows || im.Height > lim.MaxPixels/im.Width {
		// Some writers leave 0xFFFFFFFF when they do not know. The rows of
		// CCITT data count themselves, under the same limits.
		if !im.isCCITT() || im.Tiled {
			return fmt.Errorf("ImageLength %d at a width of %d, allowed are %d rows and %d pixels: %w",
				im.Height, im.Width, lim.MaxRows, lim.MaxPixels, ErrLimit)
		}
		im.Height = 0
	}
	im.RowsPerStrip = im.small(tagRowsPerStrip, math.MaxInt32)
	if im.RowsPerStrip == 0 || im.Strips == 1 && !im.Tiled || im.Height > 0 && im.RowsPerStrip > im.Height {
		im.RowsPerStrip = im.Height
	}
	if n := max(im.Strips, 1); im.RowsPerStrip < (im.Height+n-1)/n {
		im.RowsPerStrip = (im.Height + n - 1) / n // too few strips for what the tag says
	}
	return nil
}

// Orientation returns the field of this name, 1 where it is missing. It may be
// none of the eight that there are.
func (im *Image) Orientation() raster.Orientation {
	return raster.Orientation(im.small(tagOrientation, int(raster.Upright)))
}

func (im *Image) isCCITT() bool {
	switch im.Compression {
	case compressionRLE, compressionGroup3, compressionGroup4, compressionRLEW:
		return true
	}
	return false
}

func (im *Image) has(tag uint16) bool { _, ok := im.entries[tag]; return ok }

// small returns the first value of a field that fits 31 bits; larger ones are
// nonsense that the limits catch.
func (im *Image) small(tag uint16, missing int) int {
	e, ok := im.entries[tag]
	if !ok {
		return missing
	}
	return int(min(im.f.number(e), math.MaxInt32))
}

// resolutionTags is what the file says of the resolution of a page of this size.
func (im *Image) resolutionTags(width, height int, tones bool) raster.ResolutionTags {
	return raster.ResolutionTags{
		X: im.f.number(im.entries[tagXResolution]), Y: im.f.number(im.entries[tagYResolution]),
		Unit: raster.Unit(im.small(tagResolutionUnit, int(raster.UnitInch))), Width: width, Height: height, Tones: tones,
	}
}

// resolution returns pixels per inch.
func (im *Image) resolution() (x, y float64) {
	x, y = im.f.number(im.entries[tagXResolution]), im.f.number(im.entries[tagYResolution])
	switch im.small(tagResolutionUnit, 2) {
	case 3: // centimetres
		return x * 2.54, y * 2.54
	case 1: // only the ratio is meant
		return 0, 0
	}
	return x, y
}

func (im *Image) offsetsTag() uint16 {
	if im.Tiled {
		return tagTileOffsets
	}
	return tagStripOffsets
}

// segments returns where the strips or tiles lie. Sizes that are missing or 0
// reach to the next structure of the file.
func (im *Image) segments() (offsets, sizes []uint64, err error) {
	countsTag := uint16(tagStripByteCounts)
	if im.Tiled {
		countsTag = tagTileByteCounts
	}
	e, ok := im.entries[im.offsetsTag()]
	if !ok {
		return nil, nil, fmt.Errorf("no StripOffsets or TileOffsets: %w", ErrMalformed)
	}
	if offsets, err = im.f.uints(e); err != nil {
		return nil, nil, fmt.Errorf("offsets of strips: %w", err)
	}
	if e, ok := im.entries[countsTag]; ok {
		if sizes, err = im.f.uints(e); err != nil {
			return nil, nil, fmt.Errorf("sizes of strips: %w", err)
		}
	}
	for len(sizes) < len(offsets) {
		sizes = append(sizes, 0)
	}
	for i, off := range offsets {
		if sizes[i] == 0 {
			sizes[i] = im.f.extent(off)
		}
	}
	return offsets, sizes, nil
}

// Truncated tells, by an error matching ErrTruncated, that strips of the page
// or its resolution lie past the end of the file; nil when they do not.
func (im *Image) Truncated() error {
	for _, tag := range [2]uint16{tagXResolution, tagYResolution} {
		if e, ok := im.entries[tag]; ok && !im.f.within(e.value, typeSizes[e.typ]) {
			return fmt.Errorf("tiff: page %d: the resolution at byte %d of %d: %w", im.Page, e.value, im.f.size(), ErrTruncated)
		}
	}
	offsets, sizes, err := im.segments()
	if err != nil {
		return fmt.Errorf("tiff: page %d: %w", im.Page, err)
	}
	for i := range offsets {
		if _, lacking := im.f.held(offsets[i], sizes[i]); lacking > 0 {
			return fmt.Errorf("tiff: page %d: strip %d of %d, %d bytes at byte %d, reaches %d bytes past the end of the file at %d: %w",
				im.Page, i+1, len(offsets), sizes[i], offsets[i], lacking, im.f.size(), ErrTruncated)
		}
	}
	return nil
}
