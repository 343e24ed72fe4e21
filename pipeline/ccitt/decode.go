package ccitt

import (
	"fmt"
	"math/bits"
	"slices"
)

// Decode decodes src and appends the rows to dst, (Width+7)/8 bytes each. It
// returns the extended slice with a description of what it found. With
// Options.Rows it delivers exactly so many rows, as long as src holds one:
// rows that are damaged repeat the row above, rows that are missing are white.
//
// Only a stream without a single decodable row is an error ([ErrMalformed],
// with the reason); [ErrLimit] and [ErrUnsupported] are the others. With an
// error the rows appended so far are returned, but are not a page. Memory
// follows the rows that src holds and Options.Rows, which is bounded by the
// limits. Decode does not keep or change src. It may write to the eight bytes
// of dst's capacity that follow the rows.
func Decode(dst, src []byte, o Options) ([]byte, Result, error) {
	return new(Decoder).Decode(dst, src, o)
}

// A Decoder decodes one stream after the other, the strips of a page for
// example, in the same memory. The zero value is ready to use.
type Decoder struct {
	narrow   lines[uint16]
	wide     lines[int32]
	reversed []byte // a stream of the other bit order
}

// Memory returns how many bytes the Decoder keeps for the next stream.
func (dec *Decoder) Memory() int {
	return 2*2*cap(dec.narrow.ref) + 2*4*cap(dec.wide.ref) + 8*cap(dec.narrow.words) + 8*cap(dec.wide.words) + cap(dec.reversed)
}

// lines are what rows of one width are decoded in.
type lines[T position] struct {
	ref, cur line[T]  // of the row above and of the row being decoded
	words    []uint64 // for line.fill
}

// Decode does what the function of this name does.
func (dec *Decoder) Decode(dst, src []byte, o Options) ([]byte, Result, error) {
	if err := o.check(); err != nil {
		return dst, Result{}, err
	}
	if o.LSBFirst {
		dec.reversed = appendReversed(dec.reversed[:0], src)
		src = dec.reversed
	}
	if o.Width <= maxNarrow {
		return decode(&dec.narrow, dst, src, o)
	}
	return decode(&dec.wide, dst, src, o)
}

// decode does what Decoder.Decode promises, for options that were checked.
func decode[T position](l *lines[T], dst, src []byte, o Options) ([]byte, Result, error) {
	if len(l.ref) < lineSize(o.Width) {
		l.ref, l.cur = newLine[T](o.Width), newLine[T](o.Width)
		l.words = make([]uint64, len(l.ref)/64+1)
	}
	d := newDecoder[T](dst, src, o)
	d.lines = *l
	d.ref.terminate(0, d.width)
	switch {
	case o.Coding == MMR:
		d.group4()
	case o.Coding == RLE:
		d.aligned(8)
	case o.Coding == RLEW:
		d.aligned(16)
	case o.Coding == MH && o.Ragged:
		d.ragged3()
	default:
		if !d.group3() && !o.Strict {
			d.restart()
			d.salvage3()
		}
	}
	return d.finish()
}

func (o *Options) check() error {
	if o.MaxRows == 0 {
		o.MaxRows = DefaultMaxRows
	}
	if o.MaxPixels == 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	switch {
	case o.Coding < MH || o.Coding > RLEW:
		return fmt.Errorf("ccitt: coding %d: %w", o.Coding, ErrUnsupported)
	case o.Width < 1 || o.Width > MaxWidth:
		return fmt.Errorf("ccitt: width of %d pixels, allowed are 1 to %d: %w", o.Width, MaxWidth, ErrLimit)
	case o.Rows < 0 || o.Rows > o.MaxRows:
		return fmt.Errorf("ccitt: %d rows, allowed are %d: %w", o.Rows, o.MaxRows, ErrLimit)
	case o.Rows > o.MaxPixels/o.Width:
		return fmt.Errorf("ccitt: %d rows of %d pixels, allowed are %d pixels: %w", o.Rows, o.Width, o.MaxPixels, ErrLimit)
	}
	return nil
}

// A decoder holds the state between rows.
type decoder[T position] struct {
	w        window
	o        Options
	width    int32
	rowBytes int

	out  []byte
	base int // length of the caller's dst
	rows int // rows in out
	max  int // rows allowed

	lines[T]
	refN int // changing elements in ref
	res  Result
	err  error
}

// eager is how many bytes of rows are allocated on the word of Options.Rows
// alone; past it memory follows the data.
const eager = 4 << 20

// slack is what line.fill may write past a row.
const slack = 8

func newDecoder[T position](dst, src []byte, o Options) decoder[T] {
	d := decoder[T]{
		w: window{src: src}, o: o, width: int32(o.Width), rowBytes: (o.Width + 7) / 8,
		out: dst, base: len(dst),
		max: min(o.MaxRows, o.MaxPixels/o.Width),
	}
	if want := o.Rows*d.rowBytes + slack; o.Rows > 0 && want <= eager {
		d.out = slices.Grow(d.out, want)
	}
	return d
}

// restart forgets all rows, for another way of reading the same stream.
func (d *decoder[T]) restart() {
	d.out, d.rows, d.res, d.err = d.out[:d.base], 0, Result{}, nil
	d.w = window{src: d.w.src}
	d.refN = 0
	d.ref.terminate(0, d.width)
}

// wanted tells whether another row is to be decoded.
func (d *decoder[T]) wanted() bool {
	if d.o.Rows > 0 {
		return d.rows < d.o.Rows
	}
	if d.rows < d.max {
		return true
	}
	if d.err == nil && !d.w.onlyZeros(d.w.pos()) {
		d.err = fmt.Errorf("ccitt: more than %d rows of %d pixels: %w", d.max, d.o.Width, ErrLimit)
	}
	return false
}

// room extends out by a row and returns it with the slack behind it.
func (d *decoder[T]) room() []byte {
	n := len(d.out)
	if cap(d.out)-n < d.rowBytes+slack {
		left := (d.limit() - d.rows) * d.rowBytes
		grow := min(n-d.base, left)
		if n-d.base >= eager && left <= 16*eager {
			grow = left // once, rather than copy large pages again and again
		}
		d.out = slices.Grow(d.out, max(d.rowBytes, grow)+slack)
	}
	d.out = d.out[:n+d.rowBytes]
	d.rows++
	return d.out[n : n+d.rowBytes+slack]
}

// emit makes cur with n changing elements the next row and the reference line.
func (d *decoder[T]) emit(n int) {
	d.cur.fill(d.room(), d.words, n, d.width)
	d.ref, d.cur, d.refN = d.cur, d.ref, n
}

// blank emits a white row for each of the V0 codes that come next below a white
// row, which stays the reference line.
func (d *decoder[T]) blank() {
	n := min(bits.LeadingZeros64(^d.w.acc), int(d.w.have), d.limit()-d.rows)
	for range n {
		clear(d.room())
	}
	d.w.skip(uint(n))
}

// repeat makes the row above the next row.
func (d *decoder[T]) repeat() {
	d.ref.fill(d.room(), d.words, d.refN, d.width)
}

// failed notes why row d.rows cannot be decoded.
func (d *decoder[T]) failed(end rowEnd) {
	text := "no such code"
	switch end {
	case rowComplete: // its bits lie past the end
		text = "the data end within the row"
	case rowTooLong:
		text = "a run reaches past the width"
	case rowExtension:
		text = "uncompressed mode is not supported"
		if d.err == nil && d.rows == 0 {
			d.err = fmt.Errorf("ccitt: row 0: %s: %w", text, ErrUnsupported)
		}
	case rowBadCode:
		if d.w.pos() >= d.w.end() {
			text = "the data end within the row"
		}
	}
	d.res.warn(d.w.pos()/8, d.rows, text)
}

// finish adds the missing rows and settles the result.
func (d *decoder[T]) finish() ([]byte, Result, error) {
	r := &d.res
	r.Found = d.rows
	if d.w.emptyRuns {
		r.warn(0, 0, "runs of no pixels, which not every decoder reads")
	}
	r.Bytes = min((d.w.pos()+7)/8, len(d.w.src))
	if d.err == nil && d.rows == r.bad() {
		d.err = fmt.Errorf("ccitt: %d bytes of %s: %w", len(d.w.src), d.o.Coding, ErrMalformed)
		if len(r.Warnings) > 0 {
			d.err = fmt.Errorf("%w: %s", d.err, r.Warnings[0])
		}
	}
	if d.err != nil {
		r.Rows = d.rows
		return d.out, *r, d.err
	}
	if missing := d.o.Rows - d.rows; missing > 0 {
		r.warn(d.w.end()/8, d.rows, fmt.Sprintf("%d rows instead of %d", d.rows, d.o.Rows))
		if !r.EndMark || len(r.BadRows) > 0 {
			r.markBad(d.rows, d.o.Rows-1)
		}
		n := len(d.out)
		d.out = slices.Grow(d.out, missing*d.rowBytes)[:n+missing*d.rowBytes]
		clear(d.out[n:])
		d.rows = d.o.Rows
	}
	r.Rows = d.rows
	return d.out, *r, nil
}

// group4 decodes T.6.
func (d *decoder[T]) group4() {
	w := &d.w
	for d.wanted() {
		start := w.pos()
		if d.eofb() {
			return
		}
		if w.acc>>63 != 0 && int32(d.ref[0]) >= d.width {
			d.blank()
			continue
		}
		n, end := row2D(w, d.ref, d.cur, d.width)
		if end != rowComplete || w.pos() > w.end() {
			if w.onlyZeros(start) {
				return
			}
			d.failed(end)
			if d.o.Rows > 0 && !d.o.Strict {
				d.resume4(start)
			}
			if d.rows < d.o.Rows {
				return
			}
			break
		}
		d.emit(n)
	}
	d.eofb()
}

// eofb consumes an end-of-facsimile-block code (T.6 2.4.1.1) if it comes next,
// or the half of it that some writers leave.
func (d *decoder[T]) eofb() bool {
	w := &d.w
	w.refill()
	if w.acc>>(64-eolBits) != 1 {
		return false
	}
	d.res.EndMark = true
	w.skip(eolBits)
	if w.acc>>(64-eolBits) == 1 {
		w.skip(eolBits)
	} else {
		d.res.warn(w.pos()/8, d.rows, "half an EOFB")
	}
	return true
}

// aligned decodes rows without EOL codes that begin on multiples of n bits.
func (d *decoder[T]) aligned(n int) {
	w := &d.w
	for d.wanted() {
		w.align(n)
		start := w.pos()
		if start >= w.end() {
			return
		}
		k, end := row1D(w, d.cur, d.width)
		if end == rowComplete && w.pos() <= w.end() {
			d.emit(k)
			continue
		}
		if w.onlyZeros(start) {
			return
		}
		d.failed(end)
		w.seek(max(w.pos(), start+1))
		if w.pos() >= w.end() {
			return
		}
		d.res.markBad(d.rows, d.rows)
		d.repeat()
	}
}

// group3 decodes T.4 as long as nothing is amiss. It reports false when
// something is, and the stream has EOL codes to find the way by.
func (d *decoder[T]) group3() bool {
	w, twoD := &d.w, d.o.Coding == MR
	marked := false // rows begin with EOL
	noEOL := false  // no EOL code is ahead
	for d.wanted() {
		start := w.pos()
		eols, tag1D := d.eols(twoD)
		switch {
		case eols >= rtcEOLs || eols > 1 && w.onlyZeros(w.pos()):
			d.res.EndMark = true
			return true
		case eols > 1:
			return false
		case d.rows == 0:
			marked = eols == 1
		case marked != (eols == 1):
			return w.onlyZeros(start)
		}
		if twoD && !marked {
			return false
		}
		rowStart := w.pos()
		var n int
		var end rowEnd
		if tag1D {
			n, end = row1D(w, d.cur, d.width)
		} else {
			n, end = row2D(w, d.ref, d.cur, d.width)
		}
		switch stopped := w.pos(); {
		case end == rowComplete && stopped <= w.end():
			d.emit(n)
		case w.onlyZeros(rowStart):
			return true
		case marked || !noEOL && w.nextEOL(rowStart) < w.end():
			return false
		default:
			noEOL = true
			w.seek(max(stopped, rowStart+1))
			d.failed(end)
			if w.pos() >= w.end() {
				return true
			}
			d.res.markBad(d.rows, d.rows)
			d.repeat()
		}
	}
	end := w.pos()
	eols, _ := d.eols(twoD)
	d.res.EndMark = eols > 1
	if eols > 1 || d.o.Rows == 0 || w.onlyZeros(w.pos()) {
		return true
	}
	if eols > 0 || w.nextEOL(end) < w.end() {
		return false
	}
	w.seek(end) // what follows is no row, as none has an EOL code
	return true
}

// rtcEOLs is the number of consecutive EOL codes that end a page (T.4 4.1.4).
const rtcEOLs = 6

// eols consumes the EOL codes that come next, each with its tag bit when the
// stream is two-dimensional, and returns their number and whether the row
// behind them is one-dimensionally coded.
func (d *decoder[T]) eols(twoD bool) (n int, tag1D bool) {
	tag1D = true
	for n < rtcEOLs && d.w.skipEOL() {
		if twoD {
			d.w.refill()
			tag1D = d.w.acc>>63 != 0
			d.w.skip(1)
		}
		n++
	}
	return n, tag1D
}
