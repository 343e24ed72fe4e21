package ccitt

// T.6 has no marks to find the way by after damage. But a page of text has
// white rows, and the row behind a white one does not depend on anything
// above. So wherever a row could begin behind a white row, it is tried. If all
// rows from there to EOFB decode, thousands of codes without a fault, the way is
// found, and as EOFB stands behind the last row, counting back from
// Options.Rows gives the place of the rows on the page.
//
// A try that began at a wrong bit finds the way too, at the next white row or
// so, with some wrong rows before. What other tries also reach is certain; the
// rows before that are delivered, but as bad ones. What lies between damage and
// the first row found, or between two damages, is lost.

// A tail is the rows at the end of a stream.
type tail struct {
	start   int // bits
	rows    int // up to EOFB
	certain int // rows at the end of which several tries agree
}

// resume4 finds the rows at the end of the page behind damage in the row that
// begins at bit from, and delivers them.
func (d *decoder[T]) resume4(from int) {
	t := d.findTail(from + 1)
	if t.rows == 0 {
		return
	}
	first, certain := d.o.Rows-t.rows, d.o.Rows-t.certain
	// Rows that were decoded behind the damage, before it showed, may stand
	// where the tail belongs.
	keep := min(d.rows, certain)
	d.out, d.rows = d.out[:d.base+keep*d.rowBytes], keep
	d.res.markBad(min(keep, max(certain-1, 0)), max(certain-1, 0))
	d.refN = 0
	d.ref.terminate(0, d.width)
	for d.rows < first {
		d.repeat()
	}
	d.w.seek(t.start)
	for y := first; y < d.o.Rows; y++ {
		n, end := row2D(&d.w, d.ref, d.cur, d.width)
		switch {
		case end != rowComplete:
			return // not met: findTail decoded the same
		case y < keep:
			d.ref, d.cur = d.cur, d.ref
		default:
			d.emit(n)
		}
	}
}

// Bounds of the search, a fraction of a second.
const (
	maxEffort   = 100_000_000 // bits decoded
	rowEffort   = 200         // what a row costs, in bits
	maxWitness  = 64          // tries that reach EOFB
	enoughVotes = 2           // tries that make a row certain
)

// findTail tries the bit positions from bit from on.
func (d *decoder[T]) findTail(from int) tail {
	w := window{src: d.w.src}
	s := search[T]{w: &w, width: d.width, limit: d.o.Rows - 1, ref: newLine[T](d.o.Width), cur: newLine[T](d.o.Width)}
	s.failed = make([]uint64, len(w.src)/8+1)
	s.left, s.votes = map[int]int{}, map[int]int{}
	var t tail
	witnesses := 0
	for p := from; p < w.end()-2*eolBits && s.effort < maxEffort && witnesses < maxWitness; p++ {
		// The white row before is a single V0; a row with ink begins with H.
		if !w.bit(p) || w.bit(p+1) || w.bit(p+2) || !w.bit(p+3) {
			continue
		}
		met, rows := s.try(p + 1)
		switch {
		case rows == 0:
		case t.rows == 0:
			t = tail{start: p + 1, rows: rows}
		case met != p+1: // it joined the way of an earlier one
			if s.votes[s.left[met]]++; s.votes[s.left[met]] >= enoughVotes {
				t.certain = max(t.certain, s.left[met])
			}
			witnesses++
		}
	}
	return t
}

// A search remembers what rows behind a white one lead to.
type search[T position] struct {
	w        *window
	width    int32
	limit    int // rows of a tail
	ref, cur line[T]
	failed   []uint64    // a bit for every position from which damage is reached
	left     map[int]int // rows up to EOFB from the positions from which it is reached
	votes    map[int]int
	path, at []int // positions of this try, and the rows decoded up to each
	effort   int
}

// try decodes from bit p. It returns the number of rows up to EOFB, 0 when
// damage comes before, and the position where a known way was met.
func (s *search[T]) try(p int) (met, rows int) {
	w := s.w
	w.seek(p)
	s.ref.terminate(0, s.width)
	s.path, s.at = s.path[:0], s.at[:0]
	white := true
	for n := 0; n <= s.limit; n++ {
		pos := w.pos()
		if pos >= w.end() {
			return 0, 0
		}
		if white {
			if left, ok := s.left[pos]; ok && n+left <= s.limit {
				s.remember(n + left)
				return pos, n + left
			}
			if s.failed[pos/64]>>(pos%64)&1 != 0 {
				return 0, 0
			}
			s.failed[pos/64] |= 1 << (pos % 64)
			s.path, s.at = append(s.path, pos), append(s.at, n)
		}
		w.refill()
		if w.acc>>(64-2*eolBits) == 1<<eolBits|1 {
			s.remember(n)
			return p, n
		}
		k, end := row2D(w, s.ref, s.cur, s.width)
		if s.effort += w.pos() - pos + rowEffort; end != rowComplete {
			return 0, 0
		}
		white = k == 0 || int32(s.cur[0]) >= s.width
		s.ref, s.cur = s.cur, s.ref
	}
	return 0, 0
}

// remember notes for the positions of path how many rows are left from there.
func (s *search[T]) remember(rows int) {
	for i, pos := range s.path {
		s.left[pos] = rows - s.at[i]
	}
}
