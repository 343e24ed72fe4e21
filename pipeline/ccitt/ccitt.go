// Package ccitt reads and writes the bilevel codings of facsimile: ITU-T T.4
// one-dimensional (MH) and two-dimensional (MR), known as Group 3, and T.6
// (MMR), known as Group 4, with the variants that TIFF adds. Start with
// [Decode], [AppendG4] and [AppendG3].
//
// Rows are packed, most significant bit first, a set bit is black, the bits
// past the width are zero.
//
// A damaged stream costs the damaged rows. Group 3 is read again from the next
// end-of-line code, and lines lost or invented by the damage are counted out
// so that the rest stays in place; Group 4 has no such marks, so what
// follows the damage is lost unless the stream finds itself. Which rows are
// bad is part of the [Result].
//
// How a row is decoded: the reference line and the coding line are arrays of
// changing elements (T.4 4.2.1.1), never pixels. Codes are looked up in tables
// from a 64-bit window of the stream, up to four at once where their elements
// are side by side. A finished array is turned into pixels 64 at a time.
package ccitt

import (
	"errors"
	"fmt"
)

// A Coding names how rows are coded.
type Coding int

const (
	// MH is T.4 one-dimensional (Modified Huffman), TIFF compression 3
	// without T4Options bit 0. Rows are found with or without EOL codes,
	// fill bits and RTC.
	MH Coding = iota
	// MR is T.4 two-dimensional (Modified READ), TIFF compression 3 with
	// T4Options bit 0. EOL codes with their tag bits are required.
	MR
	// MMR is T.6 (Modified Modified READ), TIFF compression 4.
	MMR
	// RLE is MH without EOL codes whose rows begin on byte boundaries, TIFF
	// compression 2.
	RLE
	// RLEW is RLE whose rows begin on 16-bit boundaries, TIFF compression
	// 32771.
	RLEW
)

func (c Coding) String() string {
	switch c {
	case MH:
		return "mh"
	case MR:
		return "mr"
	case MMR:
		return "mmr"
	case RLE:
		return "rle"
	case RLEW:
		return "rlew"
	}
	return fmt.Sprintf("Coding(%d)", int(c))
}

// Limits that apply when Options leaves them zero. They admit every page of
// T.30: 14,592 pixels wide and 3 m long at 1,200 lines per inch.
const (
	DefaultMaxRows   = 200_000
	DefaultMaxPixels = 2_100_000_000
)

// MaxWidth is the widest row, in pixels, that Decode accepts.
const MaxWidth = 1 << 20

// Options say what the bytes given to Decode are.
type Options struct {
	Coding   Coding
	Width    int  // pixels of a row, 1 to MaxWidth
	Rows     int  // rows to deliver; 0: as many as the data holds
	LSBFirst bool // the first bit of a byte is its least significant (TIFF FillOrder 2)

	// Strict stops at the first damage instead of looking for a way on: the
	// rows before it are delivered.
	Strict bool

	// Ragged takes rows of MH whose codes are in order but whose runs are
	// shorter or longer than Width: they are padded with white or cut, and
	// not bad.
	Ragged bool

	// Limits on the rows delivered; 0 means DefaultMaxRows and
	// DefaultMaxPixels.
	MaxRows   int
	MaxPixels int
}

// A RowRange is the rows First to Last, both included, counted from 0.
type RowRange struct{ First, Last int }

// A Warning is something found in the stream that a faultless one has not.
type Warning struct {
	Offset int // bytes into the stream
	Row    int // the row being decoded, from 0
	Text   string
}

func (w Warning) String() string {
	return fmt.Sprintf("byte %d, row %d: %s", w.Offset, w.Row, w.Text)
}

// maxWarnings bounds Result.Warnings: past it damage is only counted in BadRows.
const maxWarnings = 20

// A Result describes what Decode delivered.
type Result struct {
	Rows  int // rows delivered
	Found int // rows that the stream held; the rest, up to Options.Rows, is white

	// BadRows lists, in order, the rows whose pixels are not what was sent:
	// damaged and replaced by the row above, or missing because the data end
	// without an end mark.
	BadRows       []RowRange
	LongestBadRun int // rows of the longest range

	// EndMark tells that the stream ended with EOFB (T.6) or RTC (T.4).
	EndMark bool
	Bytes   int // bytes of the stream up to the end of the last row or of the end mark

	Warnings []Warning // at most 20
}

// Clean tells that every row was there and nothing was amiss.
func (r *Result) Clean() bool { return len(r.BadRows) == 0 && len(r.Warnings) == 0 }

var (
	// ErrMalformed says that not a single row could be decoded.
	ErrMalformed = errors.New("no decodable row")
	// ErrUnsupported says that the stream uses what no fax machine sends:
	// the uncompressed mode of T.4 4.2.1.3.2 and T.6 2.2.5.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit says that the stream holds more rows or pixels than the limits
	// in Options, or that Options ask for more.
	ErrLimit = errors.New("limit exceeded")
)

func (r *Result) warn(offset, row int, text string) {
	if len(r.Warnings) < maxWarnings {
		r.Warnings = append(r.Warnings, Warning{Offset: offset, Row: row, Text: text})
	}
}

// bad returns the number of bad rows.
func (r *Result) bad() int {
	n := 0
	for _, b := range r.BadRows {
		n += b.Last - b.First + 1
	}
	return n
}

// markBad adds rows first to last, which follow or touch those already listed.
func (r *Result) markBad(first, last int) {
	if n := len(r.BadRows); n > 0 && first <= r.BadRows[n-1].Last+1 {
		r.BadRows[n-1].Last = max(last, r.BadRows[n-1].Last)
	} else {
		r.BadRows = append(r.BadRows, RowRange{first, last})
	}
	b := r.BadRows[len(r.BadRows)-1]
	r.LongestBadRun = max(r.LongestBadRun, b.Last-b.First+1)
}
