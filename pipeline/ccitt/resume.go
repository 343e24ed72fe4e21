package ccitt

// T.6 has no marks to find the way by after damage. But a page of text has
// white rows, and the row behind a white one does not depend on anything
// above. So wherever a row could begin behind a white row, it is tried: if all
// rows from there to EOFB decode, thousands of codes without a fault, the place
// is right, and as EOFB stands behind the last row, counting back gives the
// place of the rows on the page. What lies between damage and that row, or
// between two damages, is lost.

// resume4 finds the rows of the end of the page behind damage in the row that
// begins at bit from, and delivers them.
func (d *decoder) resume4(from int) {
	start, n := d.lastRows(from+1, d.o.Rows-d.rows-1)
	if n == 0 {
		return
	}
	lost := d.o.Rows - n - d.rows
	d.res.markBad(d.rows, d.rows+lost-1)
	d.refN = 0
	d.ref.terminate(0, d.width)
	for range lost {
		d.repeat()
	}
	d.w.seek(start)
	for range n {
		k, end := d.w.row2D(d.ref, d.cur, d.width)
		if end != rowComplete {
			return // not met: lastRows decoded the same
		}
		d.emit(k)
	}
}

// maxTrials bounds the rows that lastRows decodes, a fraction of a second.
const maxTrials = 500_000

// lastRows returns the first bit position from bit from on where at most limit
// rows and then EOFB follow a white row, and the number of those rows; 0 when
// there is none.
func (d *decoder) lastRows(from, limit int) (start, rows int) {
	w := window{src: d.w.src}
	ref, cur := newLine(d.o.Width), newLine(d.o.Width)
	// Positions where a row was tried behind a white one: what comes from
	// there is known to end in damage.
	failed := make([]uint64, len(w.src)/8+1)
	trials := 0
	for p := from; p < w.end()-2*eolBits && trials < maxTrials; p++ {
		// The white row before is a single V0; a row with ink begins with H.
		if !w.bit(p) || w.bit(p+1) || w.bit(p+2) || !w.bit(p+3) {
			continue
		}
		w.seek(p + 1)
		ref.terminate(0, d.width)
		white := true
		for n := 0; n <= limit; n++ {
			at := w.pos()
			if at >= w.end() {
				break
			}
			if white {
				if failed[at/64]>>(at%64)&1 != 0 {
					break
				}
				failed[at/64] |= 1 << (at % 64)
			}
			w.refill()
			if w.acc>>(64-2*eolBits) == 1<<eolBits|1 {
				if n == 0 {
					break
				}
				return p + 1, n
			}
			k, end := w.row2D(ref, cur, d.width)
			if trials++; end != rowComplete {
				break
			}
			white = k == 0 || cur[0] >= d.width
			ref, cur = cur, ref
		}
	}
	return 0, 0
}
