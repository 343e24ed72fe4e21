package ccitt

import (
	"fmt"
	"math/bits"
)

// A damaged Group 3 stream is read a second time, now from its EOL codes.
// Damage is rarely more than single bits, and what one bit can do is known:
//
//   - A run code changes: the row has too few or too many pixels. It is bad.
//   - An EOL code is broken: two rows seem to be one. The first is decoded to
//     its last pixel, so the place where the next begins is known.
//   - An EOL code is invented within a row: two short rows, both bad. They are
//     one row when the page, or the T.4 K-cycle, has one row too many.
//   - A white row of one V0 code is lost: two EOL codes follow each other. More
//     than two are a writer's habit, up to the six that end the page.
//   - A tag bit changes: the row decodes only with the other tag.
//
// First all rows are found and judged, then their number is put right, then
// they are delivered.

// A found row is one that the salvager met.
type foundRow struct {
	start, end int  // bits; end is where decoding ended, or the segment when it failed
	oneD       bool // its tag, after repair
	ok         bool // exactly the width, and an EOL code or the end behind it
	why        rowEnd
	lost       bool // not in the stream: inserted to keep the others in place
	eols       int  // EOL codes before it
}

func (d *decoder[T]) salvage3() {
	rows := d.withoutJunk(d.findRows())
	if d.o.Coding == MR {
		rows = d.fixCycles(rows)
	}
	if d.o.Rows > 0 {
		rows = d.fixCount(rows)
	}
	trusted := true
	for _, r := range rows {
		if !d.wanted() {
			return
		}
		n, end := 0, rowBadCode
		if !r.lost {
			d.w.seek(r.start)
			n, end = d.row(r.oneD)
		}
		if r.ok && r.oneD {
			trusted = true
		}
		switch {
		case r.ok && end == rowComplete && trusted:
			d.emit(n)
			continue
		case r.ok && end == rowComplete: // its reference line is bad
			d.res.markBad(d.rows, d.rows)
			d.emit(n)
			continue
		}
		if r.lost {
			d.res.warn(r.start/8, d.rows, "a row was lost with its EOL code")
		} else {
			d.failed(r.why)
		}
		trusted = false
		d.res.markBad(d.rows, d.rows)
		d.repeat()
	}
}

// row decodes a row into cur.
func (d *decoder[T]) row(oneD bool) (int, rowEnd) {
	if oneD {
		return row1D(&d.w, d.cur, d.width)
	}
	return row2D(&d.w, d.ref, d.cur, d.width)
}

// findRows goes from EOL code to EOL code and judges what lies between.
func (d *decoder[T]) findRows() []foundRow {
	w := &d.w
	limit := 2*d.limit() + 64
	var rows []foundRow
	w.seek(0)
	for len(rows) < limit {
		before := w.pos()
		eols, tags := d.eolRun()
		at := w.pos()
		if eols >= rtcEOLs || at >= w.end() || w.onlyZeros(at) {
			d.res.EndMark = eols > 1
			break
		}
		if eols == 2 && tags == 0 && d.o.Coding == MR && len(rows) > 0 {
			// Two EOL codes and no RTC: the row between them is gone, as the
			// single 1 of a white row may be.
			rows = append(rows, foundRow{start: at, end: at, lost: true})
		} else if eols > 1 {
			d.res.warn(before/8, len(rows), "more than one EOL code before a row")
		}
		n := len(rows)
		rows = d.findSegment(rows, at, eols > 0)
		rows[n].eols = eols
	}
	d.refN = 0
	d.ref.terminate(0, d.width)
	return rows
}

// eolRun consumes the EOL codes that come next, up to those of an RTC, with
// their tag bits, and returns their number and how many of the tags, but the
// last, say that a one-dimensional row was to come.
func (d *decoder[T]) eolRun() (n, tags int) {
	last := 0
	for n < rtcEOLs && d.w.skipEOL() {
		tags += last
		if n++; d.o.Coding == MR {
			d.w.refill()
			last = int(d.w.acc >> 63)
			d.w.skip(1)
		}
	}
	return n, tags
}

// withoutJunk drops what stands before the page's first EOL code (T.4 4.1.2) or
// among the last, if it is no row and no row is missing.
func (d *decoder[T]) withoutJunk(rows []foundRow) []foundRow {
	if n := len(rows); n > 1 && d.res.EndMark && !rows[n-1].ok && rows[n-1].eols > 1 && rows[n-1].end-rows[n-1].start < 2*eolBits {
		rows = rows[:n-1] // a broken EOL code of the RTC
	}
	if len(rows) < 2 || rows[0].ok || rows[0].eols > 0 {
		return rows
	}
	if r := d.behindBrokenEOL(rows[0]); r.ok {
		rows[0] = r
	} else if len(rows) > d.o.Rows {
		d.res.warn(0, 0, fmt.Sprintf("%d bits before the first EOL code are not a row", rows[0].end))
		rows = rows[1:]
	}
	return rows
}

// behindBrokenEOL reads the page's first row behind an EOL code with a wrong bit.
func (d *decoder[T]) behindBrokenEOL(first foundRow) foundRow {
	for _, at := range [2]int{eolBits, 2 * 8} {
		if d.o.Coding == MR {
			at++
		}
		if r := d.judge(at, first.end, true); d.w.ones(0, at) <= 3 && r.ok {
			return r
		}
	}
	return foundRow{}
}

// limit returns how many rows are wanted at most.
func (d *decoder[T]) limit() int {
	if d.o.Rows > 0 {
		return d.o.Rows
	}
	return d.max
}

// findSegment appends the rows from bit start to the next EOL code and moves
// there. Behind an EOL code the bit before start is the row's tag.
func (d *decoder[T]) findSegment(rows []foundRow, start int, marked bool) []foundRow {
	w := &d.w
	oneD := true
	if d.o.Coding == MR && marked {
		oneD = w.bit(start - 1)
	}
	end := w.nextEOL(start)
	r := d.judge(start, end, oneD)
	if !r.ok && d.o.Coding == MR && marked {
		if other := d.judge(start, end, !oneD); other.ok {
			r = other
		}
	}
	if !r.ok && len(rows) > 0 && rows[len(rows)-1].ok {
		// The row above may be followed by an EOL code that seems longer
		// than it is.
		if moved := d.retry(rows[len(rows)-1], end); moved.ok {
			r = moved
		}
	}
	if !r.ok && r.why == rowComplete {
		// The row has all its pixels but no EOL code follows: is there a
		// broken one, and a row behind it?
		if next := d.retry(r, end); next.ok {
			r.ok = true
			rows = d.keep(rows, r)
			r = next
		}
	}
	rows = d.keep(rows, r)
	w.seek(end)
	return rows
}

// keep appends a row and makes it the reference line if it is good.
func (d *decoder[T]) keep(rows []foundRow, r foundRow) []foundRow {
	d.keepRef(r)
	return append(rows, r)
}

func (d *decoder[T]) keepRef(r foundRow) {
	if !r.ok {
		return
	}
	d.w.seek(r.start)
	if n, end := d.row(r.oneD); end == rowComplete {
		d.ref, d.cur, d.refN = d.cur, d.ref, n
	}
}

// judge decodes the row at bit start of a segment that ends at bit end.
func (d *decoder[T]) judge(start, end int, oneD bool) foundRow {
	w := &d.w
	w.seek(start)
	_, why := d.row(oneD)
	r := foundRow{start: start, end: w.pos(), oneD: oneD, why: why}
	if why != rowComplete || r.end > end {
		if why == rowComplete {
			r.why = rowBadCode
		}
		r.end = end
		return r
	}
	// Behind the row may be fill bits, one of which may be damaged.
	ones := w.ones(r.end, end)
	r.ok = ones == 0 || ones == 1 && end-r.end < eolBits
	return r
}

// retry looks for a row behind the complete row r, where the EOL code between
// them has a wrong bit: 12 bits on, or at the byte boundary after them.
func (d *decoder[T]) retry(r foundRow, end int) foundRow {
	w := &d.w
	for _, at := range [2]int{r.end + eolBits, (r.end + eolBits + 7) &^ 7} {
		if !(r.why == rowComplete) || at >= end || w.ones(r.end, at) > 2 {
			continue
		}
		if d.o.Coding != MR {
			if next := d.judge(at, end, true); next.ok {
				return next
			}
			continue
		}
		if next := d.judge(at+1, end, w.bit(at)); next.ok {
			return next
		}
	}
	return foundRow{}
}

// nextEOL returns the position of the next EOL code, which fill bits may
// precede, or the end of the data.
func (w *window) nextEOL(from int) int {
	w.seek(from)
	zeros := 0
	for {
		w.refill()
		z := uint(bits.LeadingZeros64(w.acc))
		if z >= w.have {
			if w.pos() >= w.end() {
				return w.end()
			}
			zeros += int(w.have)
			w.seek(w.next * 8)
			continue
		}
		zeros += int(z)
		if zeros >= eolBits-1 {
			return w.pos() + int(z) + 1 - eolBits
		}
		w.skip(z + 1)
		zeros = 0
	}
}

// bit returns the bit at position p.
func (w *window) bit(p int) bool {
	return p>>3 < len(w.src) && w.src[p>>3]>>(7-p&7)&1 != 0
}

// ones counts the bits set from position from to position to, which is near.
func (w *window) ones(from, to int) int {
	n := 0
	for p := from; p < to; p++ {
		if w.bit(p) {
			n++
		}
	}
	return n
}
