package tiff

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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

// Decode decodes a page. A damaged page is not an error as long as one row can
// be decoded: damaged and missing rows are listed, but for up to six at the end
// of a page whose end mark says that they were never sent. Errors match
// ErrMalformed, ErrTruncated, ErrLimit, or ErrUnsupported (a compression or
// kind of colour that is not for faxes), or are the context's.
func (im *Image) Decode(ctx context.Context) (*Decoded, error) {
	d, err := im.decode(ctx)
	if err != nil {
		return nil, fmt.Errorf("tiff: page %d: %w", im.Page, err)
	}
	return d, nil
}

func (im *Image) decode(ctx context.Context) (*Decoded, error) {
	offsets, sizes, err := im.segments()
	if err != nil {
		return nil, err
	}
	p := &pageDecoder{im: im, ctx: ctx, offsets: offsets, sizes: sizes}
	if im.isJPEG() || im.BitsPerSample != 1 || im.SamplesPerPixel != 1 {
		if p.tones, err = im.tonesReader(ctx, offsets, sizes); err != nil {
			return nil, err
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
	dec     ccitt.Decoder
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
	n := rows * p.rowBytes(width)
	if p.tones != nil {
		return append(pix, bytes.Repeat([]byte{0xff}, n)...)
	}
	return append(pix, make([]byte, n)...)
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
	const eager = 4 << 20 // bytes allocated on the word of ImageLength alone
	pix := make([]byte, 0, min(im.Height*p.rowBytes(p.width)+8, eager))
	var lastErr error
	y := 0
	for i := range p.offsets {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		rows := 0
		if im.Height > 0 {
			if rows = min(im.RowsPerStrip, im.Height-y); rows <= 0 {
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
		p.rows = y
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

// maxTileMargin is by how many pixels a tile may be larger than its page.
const maxTileMargin = 4 << 20

// fatal tells whether an error ends the page and not only a strip.
func fatal(err error) bool {
	return errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLimit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// tiles decodes the tiles and puts them together.
func (p *pageDecoder) tiles(r reading) ([]byte, error) {
	im := p.im
	tw, tl := im.TileWidth, im.TileLength
	switch {
	case im.Height == 0:
		return nil, fmt.Errorf("tiles without ImageLength: %w", ErrMalformed)
	case tw <= 0 || tl <= 0:
		return nil, fmt.Errorf("tiles of %d x %d pixels: %w", tw, tl, ErrMalformed)
	case tw > im.f.lim.MaxWidth+1024 || tl > (im.Width*im.Height+maxTileMargin)/tw:
		return nil, fmt.Errorf("tiles of %d x %d pixels: %w", tw, tl, ErrLimit)
	}
	across := (im.Width + tw - 1) / tw
	rowBytes, tileBytes := p.rowBytes(im.Width), p.rowBytes(tw)
	pix := make([]byte, rowBytes*im.Height)
	var tile []byte
	var lastErr error
	for i := range p.offsets {
		x, y := i%across*tw, i/across*tl
		if y >= im.Height {
			break
		}
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		got, err := p.strip(tile[:0], i, tw, tl, r)
		if fatal(err) {
			return nil, err
		}
		tile = got.pix
		if err != nil {
			lastErr = fmt.Errorf("tile %d of %d at byte %d: %w", i+1, len(p.offsets), p.offsets[i], err)
			p.warn(lastErr.Error())
		} else {
			p.decoded++
		}
		for j := range min(tl, im.Height-y) {
			p.place(pix[(y+j)*rowBytes:(y+j+1)*rowBytes], x, tile[j*tileBytes:(j+1)*tileBytes])
		}
		got.clip(im.Height - y)
		p.merge(got, y)
		if i%across == 0 {
			p.out.RowsFound += min(got.found, im.Height-y)
		}
	}
	if p.decoded == 0 {
		if lastErr == nil {
			lastErr = fmt.Errorf("no tiles: %w", ErrMalformed)
		}
		return nil, lastErr
	}
	return pix, nil
}

// place puts a row of a tile at pixel x of a row of the page.
func (p *pageDecoder) place(row []byte, x int, tile []byte) {
	switch {
	case p.tones != nil:
		copy(row[x*p.tones.samples:], tile)
	case x%8 == 0:
		copy(row[x/8:], tile)
	default:
		row = row[x/8:]
		row[0] &= 0xff << (8 - x%8) // past the tile to the left
		for i, b := range tile {
			if row[i] |= b >> (x % 8); i+1 == len(row) {
				break
			}
			row[i+1] = b << (8 - x%8)
		}
	}
}

// A strip is what was decoded from a strip or tile.
type strip struct {
	pix      []byte // with the rows of the strip appended
	rows     int
	found    int              // of them the data hold
	bad      []ccitt.RowRange // within the strip
	ended    bool             // by an end mark
	denied   int              // rows at its end, not among bad, that an end mark says are not there
	warnings []string
}

// clip forgets bad rows from row n on: the last tiles reach past the page.
func (s *strip) clip(n int) {
	for len(s.bad) > 0 && s.bad[len(s.bad)-1].First >= n {
		s.bad = s.bad[:len(s.bad)-1]
	}
	if k := len(s.bad); k > 0 {
		s.bad[k-1].Last = min(s.bad[k-1].Last, n-1)
	}
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

// strip decodes strip or tile i of width pixels and appends exactly rows rows
// to pix, or as many as there are when rows is 0. With an error, its rows are
// white and bad.
func (p *pageDecoder) strip(pix []byte, i, width, rows int, r reading) (strip, error) {
	size := p.size(i)
	data, lacking := p.im.f.segment(p.offsets[i], size)
	s, err := p.decodeStrip(pix, data, i, width, rows, r)
	if lacking == 0 {
		s, err = p.extended(pix, i, width, rows, r, s, err)
	}
	if len(p.offsets) > 1 {
		for j, text := range s.warnings {
			s.warnings[j] = fmt.Sprintf("strip %d of %d: %s", i+1, len(p.offsets), text)
		}
	}
	if lacking > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("strip %d of %d: %d of its %d bytes lie past the end of the file", i+1, len(p.offsets), lacking, size))
		if err != nil && !fatal(err) {
			err = fmt.Errorf("%w: %d of %d bytes lie past the end of the file", ErrTruncated, lacking, size)
		}
	}
	if err != nil && rows > 0 && !fatal(err) {
		s.pix = p.appendWhite(pix, width, rows)
		s.rows, s.bad = rows, []ccitt.RowRange{{First: 0, Last: rows - 1}}
	}
	return s, err
}

// size returns how many bytes strip or tile i has, as the file says.
func (p *pageDecoder) size(i int) uint64 {
	if i < len(p.sizes) {
		return p.sizes[i]
	}
	return 0
}

// decodeStrip decodes the data of strip or tile i.
func (p *pageDecoder) decodeStrip(pix, data []byte, i, width, rows int, r reading) (strip, error) {
	switch {
	case p.tones != nil:
		return p.tones.strip(pix, data, width, rows)
	case p.im.isJBIG():
		return p.jbigStrip(pix, data, width, rows)
	case !p.im.isCCITT():
		return p.plainStrip(pix, data, width, rows)
	}
	s, err := p.ccittStrip(pix, data, width, rows, r)
	if last := i == len(p.offsets)-1; err == nil && s.denied > 0 && !(last && s.denied <= markRows) {
		s.bad = append(s.bad, ccitt.RowRange{First: s.rows - s.denied, Last: s.rows - 1})
	}
	return s, err
}

// markRows is by how much an ImageLength may be too large without harm: fax2tiff
// counts the six EOL codes of the RTC as rows.
const markRows = 6

func (p *pageDecoder) ccittStrip(pix, data []byte, width, rows int, r reading) (strip, error) {
	lim := p.im.f.lim
	before := len(pix)
	if lim.MaxRows -= p.rows; lim.MaxRows <= 0 || lim.MaxPixels/width <= p.rows {
		return strip{pix: pix}, fmt.Errorf("more than %d rows of %d pixels: %w", p.rows, width, ErrLimit)
	}
	pix, res, err := p.dec.Decode(pix, data, ccitt.Options{
		Coding: r.coding, Width: width, Rows: rows, LSBFirst: r.lsb, Ragged: r.ragged,
		MaxRows: lim.MaxRows, MaxPixels: lim.MaxPixels - p.rows*width,
	})
	s := strip{pix: pix, rows: res.Rows, found: res.Found, bad: res.BadRows, ended: res.EndMark}
	for _, w := range res.Warnings {
		s.warnings = append(s.warnings, w.String())
	}
	switch {
	case errors.Is(err, ccitt.ErrUnsupported):
		return s, fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, ccitt.ErrLimit):
		return s, fmt.Errorf("%w: %w", ErrLimit, err)
	case err != nil:
		return strip{pix: pix[:before], warnings: s.warnings}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if res.EndMark && len(res.BadRows) == 0 { // else they are among the bad rows
		s.denied = res.Rows - res.Found
	}
	if p.im.zeroIsBlack() {
		rowBytes := (width + 7) / 8
		invert(pix[before : before+res.Found*rowBytes])
		whiten(pix[before:], rowBytes, res.BadRows)
	}
	if p.copyable(r) && res.Clean() && res.EndMark && res.Found == p.im.Height {
		p.out.CleanG4 = data[:res.Bytes:res.Bytes]
		if r.lsb {
			p.out.CleanG4 = ccitt.ReverseBits(p.out.CleanG4)
		}
	}
	return s, nil
}

// copyable tells whether the page's only strip could be CleanG4.
func (p *pageDecoder) copyable(r reading) bool {
	return r.coding == ccitt.MMR && len(p.offsets) == 1 && !p.im.Tiled && !p.im.zeroIsBlack()
}

// zeroIsBlack tells whether the file's 0 bits are black.
func (im *Image) zeroIsBlack() bool {
	switch im.Photometric {
	case minIsBlack:
		return true
	case photometricPalette:
		return im.darkEntry() == 0
	}
	return false
}

// darkEntry returns which of the two entries of the ColorMap is the darker.
func (im *Image) darkEntry() int {
	v, err := im.f.uints(im.entries[tagColorMap])
	if err != nil || len(v) < 6 {
		return 1
	}
	if v[0]+v[2]+v[4] < v[1]+v[3]+v[5] {
		return 0
	}
	return 1
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// whiten makes bad rows white that became black by inverting a row without
// runs: nothing is known of them.
func whiten(pix []byte, rowBytes int, bad []ccitt.RowRange) {
	for _, b := range bad {
		for y := b.First; y <= b.Last; y++ {
			row := pix[y*rowBytes : (y+1)*rowBytes]
			if bytes.Count(row, []byte{0xff}) == rowBytes {
				clear(row)
			}
		}
	}
}

// plainStrip decodes what is not CCITT.
func (p *pageDecoder) plainStrip(pix, data []byte, width, rows int) (strip, error) {
	if p.im.FillOrder == 2 {
		data = ccitt.ReverseBits(data)
	}
	rowBytes := (width + 7) / 8
	if rows == 0 {
		return strip{pix: pix}, fmt.Errorf("no ImageLength: %w", ErrMalformed)
	}
	before, want := len(pix), rows*rowBytes
	pix, err := p.im.expand(pix, data, want)
	got := len(pix) - before
	s := strip{pix: pix, rows: rows, found: got / rowBytes}
	if err != nil {
		if got < rowBytes || errors.Is(err, ErrUnsupported) {
			return s, err
		}
		s.warnings = append(s.warnings, err.Error())
	}
	if p.im.zeroIsBlack() {
		invert(pix[before:])
	}
	if got < want {
		s.warnings = append(s.warnings, fmt.Sprintf("%d bytes of rows instead of %d", got, want))
		s.bad = []ccitt.RowRange{{First: got / rowBytes, Last: rows - 1}}
		s.pix = append(pix, bytes.Repeat([]byte{0}, want-got)...)
		if got < rowBytes {
			return s, fmt.Errorf("%d bytes of rows instead of %d: %w", got, want, ErrMalformed)
		}
	}
	return s, nil
}
