// Package jbig reads the bilevel coding of ITU-T T.82 (JBIG) as fax machines
// (T.85) and TIFF files have it: one bit plane in one resolution. Start with
// [Decode].
//
// An image is a header and stripes. Each stripe is an arithmetic code of its
// own, followed by a marker, so that a file that was cut keeps the stripes
// before the cut. Within a stripe damage does not show.
//
// Rows are packed, most significant bit first, a set bit is black (the
// foreground of T.82), the bits past the width are zero.
package jbig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrMalformed says that the bytes are no JBIG, or hold no row.
	ErrMalformed = errors.New("malformed JBIG")
	// ErrUnsupported says that they are of a kind that no fax has: several
	// bit planes or resolutions.
	ErrUnsupported = errors.New("unsupported JBIG")
	// ErrLimit says that the image is larger than Limits allow.
	ErrLimit = errors.New("limit exceeded")
)

// Limits bound an image. A zero field means its default. Time is bounded by the
// context of [Decode].
type Limits struct {
	MaxWidth  int // default 20,000
	MaxRows   int // default 200,000
	MaxPixels int // default 2,100,000,000
	Wanted    int // rows from the top after which decoding ends; default all
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		v   *int
		def int
	}{{&l.MaxWidth, 20_000}, {&l.MaxRows, 200_000}, {&l.MaxPixels, 2_100_000_000}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	return l
}

// rows returns how many rows of a width are allowed.
func (l Limits) rows(width int) int { return min(l.MaxRows, l.MaxPixels/width) }

// headerSize is the length of the header (T.82 6.2.1, figure 23) in bytes.
const headerSize = 20

// Bits of the header's last two bytes (T.82 tables 9 and 10).
const (
	optionLowestTwoLine = 1 << 6 // LRLTWO
	optionLength        = 1 << 5 // VLENGTH: the height may be corrected later
	optionTypical       = 1 << 3 // TPBON
)

// unknownHeight is the YD of an image whose height a NEWLEN marker tells (T.85).
const unknownHeight = 1<<32 - 1

// A Header is what the first 20 bytes say.
type Header struct {
	Width, Height int // pixels, rows; 0 rows when the header leaves them open
	StripeRows    int // L0
	options       byte
}

// ParseHeader reads the header of an image. Errors match ErrMalformed or
// ErrUnsupported.
func ParseHeader(data []byte) (Header, error) {
	if len(data) < headerSize {
		return Header{}, fmt.Errorf("%d bytes are too short for a header: %w", len(data), ErrMalformed)
	}
	be := binary.BigEndian
	xd, yd, l0 := be.Uint32(data[4:]), be.Uint32(data[8:]), be.Uint32(data[12:])
	h := Header{Width: int(xd), Height: int(yd), StripeRows: int(l0), options: data[19]}
	lowest, highest, planes, fill := data[0], data[1], data[2], data[3]
	switch {
	case fill != 0 || lowest > highest || highest > 36 || planes == 0, xd == 0 || xd == unknownHeight || l0 == 0,
		h.options&0x80 != 0 || data[18]&0xf0 != 0:
		return Header{}, fmt.Errorf("header % x: %w", data[:headerSize], ErrMalformed)
	case highest > 0:
		return Header{}, fmt.Errorf("an image of %d resolutions: %w", int(highest)+1, ErrUnsupported)
	case planes > 1:
		return Header{}, fmt.Errorf("an image of %d bit planes: %w", planes, ErrUnsupported)
	case yd == 0 || yd == unknownHeight && h.options&optionLength == 0:
		return Header{}, fmt.Errorf("an image without height: %w", ErrMalformed)
	case yd == unknownHeight:
		h.Height = 0
	}
	return h, nil
}

// A Result describes what Decode delivered.
type Result struct {
	Width, Rows int // Rows: of the image, at most Limits.Wanted
	Found       int // rows that the data hold; the rest, up to Rows, is white
	Doubtful    int // of those found, rows at the end that a cut may have changed
	Warnings    []string
}

// Decode decodes an image: (Width+7)/8 bytes a row, appended to dst. Stripes
// that are missing are white. Errors match ErrMalformed, ErrUnsupported or
// ErrLimit, or are the context's.
func Decode(ctx context.Context, dst, data []byte, lim Limits) ([]byte, Result, error) {
	h, err := ParseHeader(data)
	if err != nil {
		return dst, Result{}, fmt.Errorf("jbig: %w", err)
	}
	s := splitStripes(h, data)
	if lim = lim.withDefaults(); h.Width > lim.MaxWidth || s.height > lim.rows(h.Width) {
		return dst, Result{}, fmt.Errorf("jbig: %d x %d pixels: %w", h.Width, s.height, ErrLimit)
	}
	d := newDecoder(ctx, h, dst)
	d.most, d.wanted = lim.rows(h.Width), lim.Wanted
	if lim.Wanted > 0 {
		s.height = min(s.height, lim.Wanted)
	}
	res := Result{Width: h.Width, Warnings: s.warnings}
	if err := d.stripes(s); err != nil {
		return dst, res, fmt.Errorf("jbig: %w", err)
	}
	res.Doubtful = d.doubtful
	if res.Found = d.rows; res.Found == d.doubtful {
		return dst, res, fmt.Errorf("jbig: no row in %d bytes: %w", len(data), ErrMalformed)
	}
	if res.Rows = s.height; s.height == 0 {
		res.Rows = d.rows
	}
	if missing := res.Rows - d.rows; missing > 0 {
		res.Warnings = append(res.Warnings, fmt.Sprintf("%d rows instead of %d", d.rows, res.Rows))
		d.out = append(d.out, make([]byte, missing*d.rowBytes)...)
	}
	return d.out, res, nil
}
