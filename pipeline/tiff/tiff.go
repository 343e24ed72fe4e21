// Package tiff reads the TIFF files in which faxes travel and writes TIFF
// Class F (RFC 2306). Start with [Parse] and [NewWriter].
//
// Reading is in two steps. Parse and [File.Page] look only at the container:
// classic TIFF and BigTIFF in both byte orders, whose tags may be missing,
// repeated, unsorted or wrong. [Image.Decode] then makes packed rows, salvaging
// what it can; a gray or colour page comes as samples as well. Rows are as they
// are stored: [Decoded.Upright] turns them as a reader is to see them, and
// Decoded.Resolution is the one that all outputs have. A file that was cut in
// transit is told from one that is wrong, because the first is worth fetching
// again.
package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

var (
	// ErrMalformed says that the bytes are not what their format demands.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported says that the file is a TIFF of a kind that this package
	// does not decode.
	ErrUnsupported = errors.New("unsupported")
	// ErrTruncated says that the file refers to bytes past its end: it was cut.
	ErrTruncated = errors.New("truncated")
	// ErrLimit says that the file asks for more than Limits allow.
	ErrLimit = errors.New("limit exceeded")
)

// Limits bound what a file may ask for. A zero field means its default. Time is
// bounded by the context of [Image.Decode].
type Limits struct {
	MaxBytes      int // of the file, default 256 MiB
	MaxPages      int // default 10,000
	MaxIFDEntries int // of one page, default 1,000; real ones have some dozens
	MaxWidth      int // pixels, default 20,000 (the widest page of T.30, A3 at 1,200 per inch, has 14,592)
	MaxRows       int // a page, default 200,000 (3 m at 1,200 lines per inch are 141,732)
	MaxPixels     int // a page, default 2,100,000,000: the widest page of T.30 of that length, which is 260 MB of rows
	MaxTonePixels int // a gray or colour page, default 80,000,000 (an A3 page at 600 per inch is 72,000,000), which is 240 MB in colour
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		v   *int
		def int
	}{
		{&l.MaxBytes, 256 << 20},
		{&l.MaxPages, 10_000},
		{&l.MaxIFDEntries, 1_000},
		{&l.MaxWidth, 20_000},
		{&l.MaxRows, ccitt.DefaultMaxRows},
		{&l.MaxPixels, ccitt.DefaultMaxPixels},
		{&l.MaxTonePixels, 80_000_000},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	return l
}

// A File is a parsed TIFF. It refers to the bytes given to Parse and is safe
// for use by several goroutines.
type File struct {
	data  []byte
	disk  *window // instead of data; nil: the file is in memory
	order binary.ByteOrder
	big   bool // BigTIFF
	lim   Limits
	ifds  []uint64 // offset of each page's IFD
	other []uint64 // offsets of the IFDs that are not pages
	chain error    // why the chain of IFDs ends before its end

	placesOnce sync.Once
	places     []uint64 // see extent
}

// Parse reads the header and follows the chain of IFDs. A chain that breaks,
// loops or is longer than Limits.MaxPages behind the first IFD still gives a
// File with the pages before the break, and [File.Check] tells; without a
// first IFD the error matches ErrMalformed or ErrTruncated. A file larger than
// Limits.MaxBytes is ErrLimit. Parse does not copy data, which must not change
// while the File is in use.
func Parse(data []byte, lim Limits) (*File, error) {
	f, err := (&File{data: data, lim: lim.withDefaults()}).parse()
	if err != nil {
		return nil, err
	}
	return f, nil
}

// parse reads the header and the chain, and returns f also with an error.
func (f *File) parse() (*File, error) {
	if f.size() > uint64(f.lim.MaxBytes) {
		return f, fmt.Errorf("tiff: a file of %d bytes, allowed are %d: %w", f.size(), f.lim.MaxBytes, ErrLimit)
	}
	first, err := f.header()
	if err != nil {
		return f, err
	}
	f.follow(first)
	if len(f.ifds) == 0 {
		if f.chain == nil {
			f.chain = fmt.Errorf("tiff: no page: %w", ErrMalformed)
		}
		return f, f.chain
	}
	f.keepPages()
	return f, nil
}

// follow fills ifds from the chain that begins at offset first. Each page may
// have another image beside it.
func (f *File) follow(first uint64) {
	seen, pages := map[uint64]bool{}, 0
	for next := first; next != 0; {
		switch {
		case seen[next]:
			f.chain = fmt.Errorf("tiff: image %d: its IFD at byte %d was met before: the chain is a loop: %w", len(f.ifds)+1, next, ErrMalformed)
		case pages >= f.lim.MaxPages || len(f.ifds) >= 2*f.lim.MaxPages:
			f.chain = fmt.Errorf("tiff: more than %d pages: %w", f.lim.MaxPages, ErrLimit)
		}
		if f.chain != nil {
			return
		}
		seen[next] = true
		following, err := f.following(next)
		if err != nil {
			f.chain = fmt.Errorf("tiff: image %d: %w", len(f.ifds)+1, err)
			return
		}
		if f.isPage(next) {
			pages++
		}
		f.ifds = append(f.ifds, next)
		next = following
	}
}

// header returns the offset of the first IFD (TIFF 6.0 section 2).
func (f *File) header() (uint64, error) {
	if f.size() < 8 {
		return 0, fmt.Errorf("tiff: %d bytes are no TIFF header: %w", f.size(), ErrTruncated)
	}
	head := f.read(0, min(f.size(), 16))
	switch string(head[:2]) {
	case "II":
		f.order = binary.LittleEndian
	case "MM":
		f.order = binary.BigEndian
	default:
		return 0, fmt.Errorf("tiff: not a TIFF: it begins with % x: %w", head[:4], ErrMalformed)
	}
	switch v := f.order.Uint16(head[2:]); v {
	case 42:
		return uint64(f.order.Uint32(head[4:])), nil
	case 43:
		if len(head) < 16 {
			return 0, fmt.Errorf("tiff: %d bytes are no BigTIFF header: %w", len(head), ErrTruncated)
		}
		if n := f.order.Uint16(head[4:]); n != 8 {
			return 0, fmt.Errorf("tiff: BigTIFF with offsets of %d bytes: %w", n, ErrUnsupported)
		}
		f.big = true
		return f.order.Uint64(head[8:]), nil
	default:
		return 0, fmt.Errorf("tiff: version %d instead of 42 or 43: %w", v, ErrMalformed)
	}
}

// NumPages returns the number of pages, at least 1. Images of a reduced
// resolution and masks are no pages: see [File.NotPages].
func (f *File) NumPages() int { return len(f.ifds) }

// NotPages returns how many images of the file are no pages but a smaller or
// other view of one: thumbnails and masks.
func (f *File) NotPages() int { return len(f.other) }

// Chain tells why the chain of IFDs ends before its end; nil when it does not.
func (f *File) Chain() error { return f.chain }

// Check tells whether the file is whole: the chain of IFDs ends properly and
// the data of every page lie within the file. A file that was cut gives an
// error matching ErrTruncated.
func (f *File) Check() error {
	err := f.check()
	if r := f.readError(); r != nil {
		return r
	}
	return err
}

func (f *File) check() error {
	if f.chain != nil {
		return f.chain
	}
	strips := uint64(0)
	for i := range f.ifds {
		im, err := f.Page(i)
		if err != nil {
			return err
		}
		// Each offset takes two bytes at least, so this is more than there
		// is room for.
		if strips += uint64(im.Strips); 2*strips > f.size() {
			return fmt.Errorf("tiff: page %d: the pages share their StripOffsets: %w", im.Page, ErrMalformed)
		}
		if err := im.Truncated(); err != nil {
			return err
		}
	}
	return nil
}
