package tiff

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

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
		s.warnings = append(s.warnings,
			fmt.Sprintf("strip %d of %d: %d of its %d bytes lie past the end of the file", i+1, len(p.offsets), lacking, size))
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

// rowCopies is how often rows are in memory while a slice of unknown length
// grows: once as they were, and once with room for more.
const rowCopies = 3

func (p *pageDecoder) ccittStrip(pix, data []byte, width, rows int, r reading) (strip, error) {
	lim := p.im.f.lim
	before := len(pix)
	if lim.MaxRows -= p.rows; lim.MaxRows <= 0 || lim.MaxPixels/width <= p.rows {
		return strip{pix: pix}, fmt.Errorf("more than %d rows of %d pixels: %w", p.rows, width, ErrLimit)
	}
	most := lim.MaxPixels
	if rows == 0 {
		most = p.mostPixels(rowCopies)
		if most/width <= p.rows {
			return strip{pix: pix}, p.limited(most, ErrLimit)
		}
	}
	pix, res, err := p.mem.dec.Decode(pix, data, ccitt.Options{
		Coding: r.coding, Width: width, Rows: rows, LSBFirst: r.lsb, Ragged: r.ragged,
		MaxRows: lim.MaxRows, MaxPixels: most - p.rows*width,
	})
	s := strip{pix: pix, rows: res.Rows, found: res.Found, bad: res.BadRows, ended: res.EndMark}
	for _, w := range res.Warnings {
		s.warnings = append(s.warnings, w.String())
	}
	switch {
	case errors.Is(err, ccitt.ErrUnsupported):
		return s, fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, ccitt.ErrLimit):
		return s, p.limited(most, err)
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

// Strip returns the first size bytes of the page's only strip, most significant
// bit first, without decoding it: the CleanG4 that an earlier Decode found,
// whose size and hash the caller has kept. It returns nil when the page has not
// exactly one strip of at least that size. It may share the file's memory.
func (im *Image) Strip(size int) []byte {
	offsets, sizes, err := im.segments()
	if err != nil || len(offsets) != 1 || im.Tiled || size < 0 || uint64(size) > sizes[0] && uint64(size) > im.f.extent(offsets[0]) {
		return nil
	}
	data, lacking := im.f.segment(offsets[0], uint64(size))
	if lacking > 0 {
		return nil
	}
	if im.FillOrder == 2 {
		return ccitt.ReverseBits(data)
	}
	return data
}
