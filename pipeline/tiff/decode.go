package tiff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// Decoded is a page in packed rows and what was amiss with it.
type Decoded struct {
	Raster *raster.Page

	// Tones is the page as it is when it is gray or colour; Raster is then
	// its form in black and white. Nil for a bilevel page.
	Tones *raster.Tones

	// Orientation is how Raster and Tones, which are as stored, are to be
	// seen; Upright turns them. 1 to 8.
	Orientation raster.Orientation

	// Resolution is the one of all outputs, also in Raster and Tones, and what
	// was assumed for it. That of the tags is in Image.
	Resolution raster.Resolution

	// RowsExpected is the ImageLength, 0 where the file does not say;
	// RowsFound is how many rows the data hold, good or bad.
	RowsExpected, RowsFound int

	BadRows       []ccitt.RowRange // rows that are not as sent, from 0
	LongestBadRun int              // rows of the longest range
	Received      Received         // what the receiver says of its rows: not our count
	Warnings      []string
	Coding        string // "mh", "mr", "mmr", "rle", "rlew", "none", "packbits", "lzw", "deflate", "zstd", "jbig" or "jpeg", as found

	// CleanG4 is the page's strip when it can be copied byte for byte into
	// TIFF and PDF: undamaged Group 4 in one strip, MinIsWhite, ended by EOFB,
	// most significant bit first (turned, where the file has the other order).
	// Otherwise nil. It may share the file's memory.
	CleanG4 []byte

	lease *lease // nil: the memory is of no pool
}

// Upright returns the page as a reader sees it: Raster and Tones, which is nil
// for a bilevel page, turned as Orientation demands. They are Raster and Tones
// themselves when that is 1.
func (d *Decoded) Upright() (*raster.Page, *raster.Tones) {
	if d.Tones == nil {
		return d.Raster.Upright(d.Orientation), nil
	}
	return d.Raster.Upright(d.Orientation), d.Tones.Upright(d.Orientation)
}

// Decode decodes a page. It needs Memory bytes, rarely more: then the error is
// a *MemoryError if the page has an Allowed. A damaged page is not an error as long as one row can
// be decoded: damaged and missing rows are listed, but for up to six at the end
// of a page whose end mark says that they were never sent. Errors match
// ErrMalformed, ErrTruncated, ErrLimit, or ErrUnsupported (a compression or
// kind of colour that is not for faxes), or are the context's.
func (im *Image) Decode(ctx context.Context) (*Decoded, error) {
	d, err := im.decode(ctx, new(memory))
	if err != nil {
		return nil, fmt.Errorf("tiff: page %d: %w", im.Page, err)
	}
	return d, nil
}

// decode is Decode in mem. If the file could not be read, that is the error, whatever came of it.
func (im *Image) decode(ctx context.Context, mem *memory) (*Decoded, error) {
	d, err := im.decodeRows(ctx, mem)
	if r := im.f.readError(); r != nil {
		err = r
	}
	return d, err
}

func (im *Image) decodeRows(ctx context.Context, mem *memory) (*Decoded, error) {
	offsets, sizes, err := im.segments()
	if err != nil {
		return nil, err
	}
	p := &pageDecoder{im: im, ctx: ctx, offsets: offsets, sizes: sizes, mem: mem}
	if im.isJPEG() || im.BitsPerSample != 1 || im.SamplesPerPixel != 1 {
		if p.tones, err = im.tonesReader(ctx, offsets, sizes); err != nil {
			return nil, err
		}
		if p.tones.old.stream != nil { // the page is one strip, whatever the fields say
			p.offsets, p.sizes, p.whole = offsets[:1], sizes[:1], true
		}
	}
	if !im.isCCITT() {
		return p.decode(reading{})
	}
	return p.sniff()
}

// A reading is one way of understanding CCITT data: the tags' or a guess.
type reading struct {
	coding ccitt.Coding
	lsb    bool
	width  int  // pixels of a row; 0: ImageWidth
	ragged bool // rows of any width are cut or padded
}

// A pageDecoder decodes one page in one or several readings.
type pageDecoder struct {
	im             *Image
	ctx            context.Context
	offsets, sizes []uint64

	tones   *tonesReader // nil for a bilevel page
	whole   bool         // the first strip has all rows
	mem     *memory
	out     Decoded
	width   int    // pixels of a row, as this reading has it
	rows    int    // rows of the strips before
	decoded int    // strips with rows
	beyond  uint64 // bytes read past what StripByteCounts say
}

// decode decodes all strips or tiles.
func (p *pageDecoder) decode(r reading) (*Decoded, error) {
	im := p.im
	p.out, p.decoded, p.rows = Decoded{Coding: im.coding(r), RowsExpected: im.Height}, 0, 0
	if p.width = r.width; p.width == 0 {
		p.width = im.Width
	}
	switch p.out.Orientation = im.Orientation(); {
	case !p.out.Orientation.Known():
		p.warn(fmt.Sprintf("Orientation %d is none of the eight: the page is shown as it is stored", p.out.Orientation))
		p.out.Orientation = raster.Upright
	case p.out.Orientation != raster.Upright:
		p.warn(fmt.Sprintf("Orientation %d: the page is stored turned, Upright turns it", p.out.Orientation))
	}
	if p.out.Received = im.Received(); p.out.Received.Bad() {
		p.warn(p.out.Received.String())
	}
	var pix []byte
	var err error
	if p.tones != nil && p.tones.planar {
		pix, err = p.planes()
	} else {
		pix, err = p.segments(r)
	}
	if err != nil {
		return nil, err
	}
	height := len(pix) / p.rowBytes(p.width)
	res := im.resolutionTags(p.width, height, p.tones != nil).Decide()
	if p.out.Resolution = res; res.Assumed != "" {
		p.warn(res.Assumed)
	}
	if p.tones != nil {
		p.out.Tones = &raster.Tones{
			Width: p.width, Height: height, Samples: p.tones.samples, Pix: pix, XRes: res.X, YRes: res.Y,
		}
		p.out.Raster = p.out.Tones.Bilevel()
	} else {
		p.out.Raster = &raster.Page{
			Width: p.width, Height: height, Stride: p.rowBytes(p.width), Pix: pix, XRes: res.X, YRes: res.Y,
		}
		clearPadding(p.out.Raster)
	}
	out := p.out
	return &out, nil
}

// segments decodes all strips or tiles.
func (p *pageDecoder) segments(r reading) ([]byte, error) {
	if p.im.Tiled {
		return p.tiles(r)
	}
	return p.strips(r)
}

// rowBytes is the length of a decoded row of width pixels.
func (p *pageDecoder) rowBytes(width int) int {
	if p.tones != nil {
		return width * p.tones.samples
	}
	return (width + 7) / 8
}

// appendWhite appends rows of which nothing is known.
func (p *pageDecoder) appendWhite(pix []byte, width, rows int) []byte {
	paper := byte(0)
	if p.tones != nil {
		paper = 0xff
	}
	return appendPaper(pix, paper, rows*p.rowBytes(width))
}

// appendPaper appends n bytes of paper.
func appendPaper(pix []byte, paper byte, n int) []byte {
	at := len(pix)
	pix = slices.Grow(pix, n)[:at+n]
	for i := range pix[at:] {
		pix[at+i] = paper
	}
	return pix
}

// clearPadding zeroes the bits behind the width.
func clearPadding(pg *raster.Page) {
	if pg.Width%8 == 0 {
		return
	}
	mask := byte(0xff << (8 - pg.Width%8))
	for i := pg.Stride - 1; i < len(pg.Pix); i += pg.Stride {
		pg.Pix[i] &= mask
	}
}

// coding names the coding of a reading.
func (im *Image) coding(r reading) string {
	switch im.Compression {
	case compressionNone:
		return "none"
	case compressionLZW:
		return "lzw"
	case compressionDeflate, compressionOldDeflate:
		return "deflate"
	case compressionPackBits:
		return "packbits"
	case compressionJPEG, compressionOldJPEG:
		return "jpeg"
	case compressionZstd:
		return "zstd"
	case compressionT85, compressionJBIG:
		return "jbig"
	}
	return r.coding.String()
}

// strips decodes the strips one below the other.
func (p *pageDecoder) strips(r reading) ([]byte, error) {
	im := p.im
	pix := p.mem.rows(p.eager(im.Height*p.rowBytes(p.width) + 8))
	var lastErr error
	y := 0
	for i := range p.offsets {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		rows := 0
		if im.Height > 0 {
			if rows = min(im.RowsPerStrip, im.Height-y); p.whole {
				rows = im.Height
			}
			if rows <= 0 {
				break // more strips than rows
			}
		}
		got, err := p.strip(pix, i, p.width, rows, r)
		if fatal(err) {
			return nil, err
		}
		pix = got.pix
		if err != nil {
			lastErr = fmt.Errorf("strip %d of %d at byte %d: %w", i+1, len(p.offsets), p.offsets[i], err)
			p.warn(lastErr.Error())
		} else {
			p.decoded++
		}
		p.merge(got, y)
		p.out.RowsFound += got.found
		y += got.rows
		if p.rows = y; y > p.mostRows() { // without ImageLength nothing else bounds their sum
			return nil, fmt.Errorf("strip %d of %d: more than %d rows of %d pixels: %w", i+1, len(p.offsets), p.mostRows(), p.width, ErrLimit)
		}
	}
	if p.decoded == 0 {
		if lastErr == nil {
			lastErr = fmt.Errorf("no strips: %w", ErrMalformed)
		}
		return nil, lastErr
	}
	if missing := im.Height - y; missing > 0 {
		p.warn(fmt.Sprintf("rows %d to %d have no strip", y, im.Height-1))
		p.markBad(y, im.Height-1)
		pix = p.appendWhite(pix, p.width, missing)
	}
	return pix, nil
}

// mostRows returns how many rows a page of this width may have.
func (p *pageDecoder) mostRows() int {
	lim := p.im.f.lim
	pixels := lim.MaxPixels
	if p.tones != nil {
		pixels = lim.MaxTonePixels
	}
	return min(lim.MaxRows, pixels/p.width)
}

// fatal tells whether an error ends the page and not only a strip.
func fatal(err error) bool {
	return errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLimit) || errors.Is(err, errMemory) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// maxWarnings bounds Decoded.Warnings.
const maxWarnings = 50

func (p *pageDecoder) warn(text string) {
	if len(p.out.Warnings) < maxWarnings {
		p.out.Warnings = append(p.out.Warnings, text)
	}
}

// merge adds a strip whose first row is row y of the page.
func (p *pageDecoder) merge(s strip, y int) {
	for _, w := range s.warnings {
		p.warn(w)
	}
	for _, b := range s.bad {
		p.markBad(y+b.First, y+b.Last)
	}
}

// markBad adds a range to BadRows; tiles side by side may repeat rows.
func (p *pageDecoder) markBad(first, last int) {
	bs := p.out.BadRows
	for len(bs) > 0 && bs[len(bs)-1].First > first {
		first, last = min(first, bs[len(bs)-1].First), max(last, bs[len(bs)-1].Last)
		bs = bs[:len(bs)-1]
	}
	if n := len(bs); n > 0 && first <= bs[n-1].Last+1 {
		bs[n-1].Last = max(bs[n-1].Last, last)
	} else {
		bs = append(bs, ccitt.RowRange{First: first, Last: last})
	}
	p.out.BadRows = bs
	b := bs[len(bs)-1]
	p.out.LongestBadRun = max(p.out.LongestBadRun, b.Last-b.First+1)
}
