package tiff

import (
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/jbig"
)

func (im *Image) isJBIG() bool {
	return im.Compression == compressionT85 || im.Compression == compressionJBIG
}

// jbigStrip decodes a strip or tile in JBIG, each an image of its own.
func (p *pageDecoder) jbigStrip(pix, data []byte, width, rows int) (strip, error) {
	before, lim, most := len(pix), p.im.f.lim, p.mostPixels(2)
	data = p.im.jbigOrder(data, width)
	own, res, err := jbig.Decode(p.ctx, nil, data, jbig.Limits{
		MaxWidth: lim.MaxWidth, MaxRows: lim.MaxRows, MaxPixels: most, Wanted: rows,
	})
	s := strip{pix: pix, warnings: res.Warnings}
	switch {
	case errors.Is(err, jbig.ErrUnsupported):
		return s, fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, jbig.ErrLimit):
		return s, p.limited(most, err)
	case errors.Is(err, jbig.ErrMalformed):
		return s, fmt.Errorf("%w: %w", ErrMalformed, err)
	case err != nil:
		return s, err
	}
	if res.Width != width {
		s.warnings = append(s.warnings,
			fmt.Sprintf("a JBIG of %d pixels a row instead of %d: rows are cut or padded with white", res.Width, width))
	}
	if rows == 0 {
		rows = res.Rows
	}
	s.rows, s.found = rows, min(res.Found, rows)
	s.pix = fitRows(pix, own, res.Width, width, rows)
	if p.im.zeroIsBlack() {
		invert(s.pix[before:][:s.found*((width+7)/8)])
	}
	if sure := min(res.Found-res.Doubtful, rows); sure < rows {
		s.warnings = append(s.warnings, fmt.Sprintf("%d rows instead of %d", sure, rows))
		s.bad = []ccitt.RowRange{{First: sure, Last: rows - 1}}
	}
	s.ended = res.Doubtful == 0 && res.Found == res.Rows
	return s, nil
}

// jbigOrder returns the data with their most significant bit first. Libtiff
// keeps JBIG with the bits of every byte reversed where FillOrder is 1; others
// write it as it is. The header tells.
func (im *Image) jbigOrder(data []byte, width int) []byte {
	straight, straightErr := jbig.ParseHeader(data)
	turned := ccitt.ReverseBits(data[:min(len(data), 20)])
	other, otherErr := jbig.ParseHeader(turned)
	known := func(err error) bool { return err == nil || errors.Is(err, jbig.ErrUnsupported) }
	if known(otherErr) && (!known(straightErr) || straight.Width != width && other.Width == width) {
		return ccitt.ReverseBits(data)
	}
	return data
}

// fitRows appends rows rows of width pixels: those of own, which has its own
// width, and then white ones.
func fitRows(pix, own []byte, ownWidth, width, rows int) []byte {
	ownBytes, rowBytes := (ownWidth+7)/8, (width+7)/8
	n := len(pix)
	pix = append(pix, make([]byte, rows*rowBytes)...)
	for y := 0; y < rows && (y+1)*ownBytes <= len(own); y++ {
		row := pix[n+y*rowBytes : n+(y+1)*rowBytes]
		copy(row, own[y*ownBytes:(y+1)*ownBytes])
		if ownWidth > width && width%8 != 0 {
			row[rowBytes-1] &= 0xff << (8 - width%8)
		}
	}
	return pix
}
