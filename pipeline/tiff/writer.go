package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/klauspost/compress/zlib"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// tiffHeader is the length of classic TIFF's header in bytes.
const tiffHeader = 8

// PageMeta describes a page to write.
type PageMeta struct {
	Width, Height int     // pixels, rows
	XRes, YRes    float64 // pixels per inch; 0: unknown, left out
	Page, Pages   int     // page Page, from 1, of Pages; Pages 0: unknown

	Orientation raster.Orientation // how the rows are to be seen; 0: upright

	// Quality as RFC 2306 has it (tags 326, 328, 327). CleanFaxData is 0 for
	// a page without bad lines, 1 when they were repaired, 2 when they are
	// still bad.
	BadFaxLines            int
	ConsecutiveBadFaxLines int
	CleanFaxData           int

	DateTime    time.Time // when the page was received; zero: left out
	Description string    // 7-bit text; empty: left out
	Software    string    // 7-bit text; empty: left out
}

// A Strip is the coded rows of a page, all in one, and what the fields of its
// IFD must say of them. The zero Strip is no page.
type Strip struct {
	data                   []byte
	compression            uint16
	t4Options              uint32
	fillOrder, photometric uint16
	samples                int // of 8 bits a pixel; 0: bilevel
}

// G4Strip is rows in Group 4, most significant bit first and 1 as black, as
// ccitt.AppendG4 makes them.
func G4Strip(data []byte) Strip {
	return Strip{data: data, compression: compressionGroup4, fillOrder: 1}
}

// G3Strip is rows in Group 3 as ccitt.AppendG3 makes them with these options.
func G3Strip(data []byte, o ccitt.G3Options) Strip {
	s := Strip{data: data, compression: compressionGroup3, fillOrder: 1}
	if o.TwoD {
		s.t4Options |= 1
	}
	if o.Fill {
		s.t4Options |= 4
	}
	if o.LSBFirst {
		s.fillOrder = 2
	}
	return s
}

// TonesStrip compresses a gray or colour page as Deflate with Predictor 2,
// which PDF reads too.
func TonesStrip(t *raster.Tones) (Strip, error) {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	line := make([]byte, t.Width*t.Samples)
	for y := range t.Height {
		copy(line, t.Row(y))
		raster.Differences(line, t.Samples)
		if _, err := z.Write(line); err != nil {
			return Strip{}, fmt.Errorf("tiff: deflate: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return Strip{}, fmt.Errorf("tiff: deflate: %w", err)
	}
	return CodedStrip(buf.Bytes(), t.Samples), nil
}

// CodedStrip is a strip that was written before: the Bytes of a page with these
// Samples, in Group 4 or as TonesStrip makes them.
func CodedStrip(data []byte, samples int) Strip {
	if samples == 0 {
		return G4Strip(data)
	}
	s := Strip{data: data, compression: compressionDeflate, fillOrder: 1, photometric: minIsBlack, samples: samples}
	if samples == 3 {
		s.photometric = photometricRGB
	}
	return s
}

// Strip is the page in one strip: in Group 4, the page's own bytes where they
// are clean, else coded anew; a gray or colour page as Deflate.
func (d *Decoded) Strip() (Strip, error) {
	switch r := d.Raster; {
	case d.Tones != nil:
		return TonesStrip(d.Tones)
	case d.CleanG4 != nil:
		return G4Strip(d.CleanG4), nil
	default:
		return G4Strip(ccitt.AppendG4(nil, r.Pix, r.Width, r.Height, r.Stride)), nil
	}
}

// Bytes returns the coded rows, which the Strip shares.
func (s Strip) Bytes() []byte { return s.data }

// Samples returns how many samples of 8 bits a pixel has: 1 for gray, 3 for
// colour, 0 for a bilevel page.
func (s Strip) Samples() int { return s.samples }

// A Writer writes TIFF Class F (RFC 2306), one strip a page. A gray or colour
// page makes it plain TIFF 6.0. It only moves forward and holds one page's IFD:
// the IFD of a page follows its strip and is written when the next page, whose
// place it names, is known.
//
//	header | strip 1 | IFD 1 | strip 2 | IFD 2 | ...
//
// The bytes are a function of the calls alone. After an error every call
// returns it.
type Writer struct {
	w       io.Writer
	at      int64  // bytes written
	pending []byte // the IFD held back
	spare   []byte // memory for the next one
	ifd     ifdBuilder
	err     error
	closed  bool
}

// NewWriter returns a Writer of little-endian classic TIFF to w. Nothing is written before the first page.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

var errClosed = errors.New("tiff: the Writer is closed")

// AddPage writes a page and returns the offset of its strip in the file. A file
// is at most 4 GiB: then the error matches ErrLimit.
func (w *Writer) AddPage(m PageMeta, s Strip) (stripOffset int64, err error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case w.closed:
		return 0, errClosed
	case m.Width < 1 || m.Height < 1 || m.Width > math.MaxInt32 || m.Height > math.MaxInt32:
		return 0, fmt.Errorf("tiff: write page %d: %d x %d pixels: %w", m.Page, m.Width, m.Height, ErrMalformed)
	case s.compression == 0:
		return 0, fmt.Errorf("tiff: write page %d: no strip: %w", m.Page, ErrMalformed)
	}
	strip := int64(tiffHeader)
	if w.at > 0 {
		strip = w.at + int64(len(w.pending))
	}
	ifdAt := (strip + int64(len(s.data)) + 1) &^ 1 // IFDs begin on a word boundary
	ifd := w.ifd.build(w.spare[:0], m, s, uint32(strip), ifdAt)
	if ifdAt+int64(len(ifd)) > math.MaxUint32 {
		return 0, fmt.Errorf("tiff: write page %d: it ends past the 4 GiB of a TIFF: %w", m.Page, ErrLimit)
	}
	if w.at == 0 {
		w.write([]byte{'I', 'I', 42, 0})
		w.write(binary.LittleEndian.AppendUint32(nil, uint32(ifdAt)))
	} else {
		w.flushIFD(uint32(ifdAt))
	}
	w.write(s.data)
	if len(s.data)&1 != 0 {
		w.write([]byte{0})
	}
	w.pending = ifd
	return strip, w.err
}

// Close writes the last IFD. It does not close the destination. Closing a
// Writer without pages is an error, because a TIFF has at least one.
func (w *Writer) Close() error {
	if w.err != nil || w.closed {
		return w.err
	}
	w.closed = true
	if w.pending == nil {
		w.err = fmt.Errorf("tiff: a file without pages: %w", ErrMalformed)
		return w.err
	}
	w.flushIFD(0)
	return w.err
}

// flushIFD writes the IFD held back, with the offset of the next.
func (w *Writer) flushIFD(next uint32) {
	entries := int(binary.LittleEndian.Uint16(w.pending))
	binary.LittleEndian.PutUint32(w.pending[2+12*entries:], next)
	w.write(w.pending)
	w.spare, w.pending = w.pending, nil
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(b)
	w.at += int64(n)
	if err != nil {
		w.err = fmt.Errorf("tiff: write: %w", err)
	}
}

// build appends to dst the IFD that is to stand at offset at, with its values
// and a next offset of 0.
func (b *ifdBuilder) build(dst []byte, m PageMeta, s Strip, strip uint32, at int64) []byte {
	b.entries, b.values = b.entries[:0], b.values[:0]
	b.long(tagNewSubfileType, 2) // a page of several
	b.long(tagImageWidth, uint32(m.Width))
	b.long(tagImageLength, uint32(m.Height))
	if s.samples > 0 {
		b.short(tagBitsPerSample, slices.Repeat([]uint16{8}, s.samples)...)
	} else {
		b.short(tagBitsPerSample, 1)
	}
	b.short(tagCompression, s.compression)
	b.short(tagPhotometric, s.photometric)
	b.short(tagFillOrder, s.fillOrder)
	b.ascii(tagImageDescription, m.Description)
	b.long(tagStripOffsets, strip)
	b.short(tagOrientation, uint16(m.orientation()))
	b.short(tagSamplesPerPixel, uint16(max(s.samples, 1)))
	b.long(tagRowsPerStrip, uint32(m.Height))
	b.long(tagStripByteCounts, uint32(len(s.data)))
	if m.XRes > 0 && m.YRes > 0 {
		b.rational(tagXResolution, m.XRes)
		b.rational(tagYResolution, m.YRes)
	}
	switch s.compression {
	case compressionGroup3:
		b.long(tagT4Options, s.t4Options)
	case compressionGroup4:
		b.long(tagT6Options, 0)
	}
	b.short(tagResolutionUnit, 2)
	b.short(tagPageNumber, uint16(max(m.Page-1, 0)), uint16(m.Pages))
	b.ascii(tagSoftware, m.Software)
	if !m.DateTime.IsZero() {
		b.ascii(tagDateTime, m.DateTime.UTC().Format("2006:01:02 15:04:05"))
	}
	if s.samples > 0 {
		b.short(tagPredictor, 2)
	} else {
		b.long(tagBadFaxLines, uint32(m.BadFaxLines))
		b.short(tagCleanFaxData, uint16(m.CleanFaxData))
		b.long(tagConsecutiveBadFaxLines, uint32(m.ConsecutiveBadFaxLines))
	}
	return b.append(dst, uint32(at))
}

// orientation is upright unless the page has another.
func (m *PageMeta) orientation() raster.Orientation {
	if m.Orientation.Known() {
		return m.Orientation
	}
	return raster.Upright
}

// An ifdBuilder collects fields in ascending order of their tags.
type ifdBuilder struct {
	entries []builtEntry
	values  []byte // of all entries
}

type builtEntry struct {
	tag, typ uint16
	count    uint32
	value    []byte // up to four bytes stand in the entry, more behind the IFD
}

// add adds a field whose value begins at byte from of values.
func (b *ifdBuilder) add(tag, typ uint16, count, from int) {
	b.entries = append(b.entries, builtEntry{tag, typ, uint32(count), b.values[from:]})
}

func (b *ifdBuilder) long(tag uint16, v uint32) {
	from := len(b.values)
	b.values = binary.LittleEndian.AppendUint32(b.values, v)
	b.add(tag, typeLong, 1, from)
}

func (b *ifdBuilder) short(tag uint16, vs ...uint16) {
	from := len(b.values)
	for _, v := range vs {
		b.values = binary.LittleEndian.AppendUint16(b.values, v)
	}
	b.add(tag, typeShort, len(vs), from)
}

// ascii adds a text unless it is empty. What is not printable ASCII becomes a
// question mark, as the type is 7-bit.
func (b *ifdBuilder) ascii(tag uint16, s string) {
	if s == "" {
		return
	}
	from := len(b.values)
	for _, r := range s {
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.values = append(b.values, byte(r))
	}
	b.values = append(b.values, 0)
	b.add(tag, typeASCII, len(b.values)-from, from)
}

// rational adds a number to three decimals.
func (b *ifdBuilder) rational(tag uint16, v float64) {
	num, den := math.Round(min(v, 1e6)*1000), uint32(1000)
	for den > 1 && math.Mod(num, 10) == 0 {
		num, den = num/10, den/10
	}
	from := len(b.values)
	b.values = binary.LittleEndian.AppendUint32(b.values, uint32(num))
	b.values = binary.LittleEndian.AppendUint32(b.values, den)
	b.add(tag, typeRational, 1, from)
}

// append lays out the IFD for offset at, behind dst.
func (b *ifdBuilder) append(dst []byte, at uint32) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint16(dst, uint16(len(b.entries)))
	next := at + 2 + 12*uint32(len(b.entries)) + 4 // of the values behind the IFD
	for _, e := range b.entries {
		dst = le.AppendUint16(dst, e.tag)
		dst = le.AppendUint16(dst, e.typ)
		dst = le.AppendUint32(dst, e.count)
		if len(e.value) <= 4 {
			var inside [4]byte
			copy(inside[:], e.value)
			dst = append(dst, inside[:]...)
			continue
		}
		dst = le.AppendUint32(dst, next)
		next += uint32(len(e.value)+1) &^ 1
	}
	dst = append(dst, 0, 0, 0, 0)
	for _, e := range b.entries {
		if len(e.value) <= 4 {
			continue
		}
		if dst = append(dst, e.value...); len(e.value)&1 != 0 {
			dst = append(dst, 0)
		}
	}
	return dst
}
