package ccitt

import "slices"

// Some writers say another ImageWidth than they code: 1700 over rows of 1728,
// or one pixel more. Group 3 tells for itself: the runs of a one-dimensional
// row, up to the EOL code behind it, add up to the coded width.

// CodedWidth returns the width on which the one-dimensional rows of a page in
// Group 3 agree, in pixels. It returns 0 when they do not, when there are fewer
// than two, or for another coding than MH and MR. It looks at the beginning of
// the page's strips, and of Options at Coding and LSBFirst. It never fails.
func CodedWidth(strips [][]byte, o Options) int {
	widths := codedWidths(strips, o)
	votes := map[int]int{}
	best := 0
	for _, n := range widths {
		if n == 0 {
			continue
		}
		if votes[n]++; votes[n] > votes[best] {
			best = n
		}
	}
	if votes[best] < 2 || votes[best]*2 <= len(widths) {
		return 0
	}
	return best
}

// Ragged tells whether nearly all rows of a page in MH are well-formed codes
// between EOL codes, whatever their widths. Such rows are not damaged: Decode
// with Options.Ragged.
func Ragged(strips [][]byte, o Options) bool {
	if o.Coding != MH {
		return false
	}
	widths := codedWidths(strips, o)
	slices.Sort(widths)
	broken, _ := slices.BinarySearch(widths, 1)
	return len(widths) > 1 && broken*10 <= len(widths)
}

// How much of a page is looked at for its width.
const (
	widthRows  = 2_000
	widthBytes = 4 << 20
)

// codedWidths returns the sum of runs of the one-dimensional rows that begin
// with an EOL code, 0 for a row whose codes are broken.
func codedWidths(strips [][]byte, o Options) []int {
	if o.Coding != MH && o.Coding != MR {
		return nil
	}
	var widths []int
	left := widthBytes
	for _, src := range strips {
		if len(widths) >= widthRows || left <= 0 {
			break
		}
		src = src[:min(len(src), left)]
		left -= len(src)
		if o.LSBFirst {
			src = ReverseBits(src)
		}
		w := window{src: src}
		widths = w.rowWidths(widths, o.Coding == MR)
	}
	return widths
}

// rowWidths appends the sum of runs of the rows of a strip.
func (w *window) rowWidths(widths []int, twoD bool) []int {
	for at := w.nextEOL(0); at < w.end() && len(widths) < widthRows; at = w.nextEOL(w.pos()) {
		w.seek(at)
		n, oneD := 0, true
		for ; n < rtcEOLs && w.skipEOL(); n++ {
			if twoD {
				oneD = w.bit(w.pos())
				w.seek(w.pos() + 1)
			}
		}
		if n >= rtcEOLs || w.onlyZeros(w.pos()) {
			break
		}
		if oneD {
			widths = append(widths, w.runs())
		}
	}
	return widths
}

// runs adds up the runs of a row in front of an EOL code or of zeros; 0 when
// other bits end the row, or when it is wider than MaxWidth.
func (w *window) runs() int {
	sum := 0
	runs, others := whiteRuns, blackRuns
	for sum <= MaxWidth {
		w.refill()
		if w.acc>>(64-eolBits+1) == 0 {
			return sum
		}
		r := w.run(runs, MaxWidth)
		if r < 0 {
			return 0
		}
		sum += int(r)
		runs, others = others, runs
	}
	return 0
}

// ragged3 decodes rows of MH between EOL codes that may have any width.
func (d *decoder[T]) ragged3() {
	w := &d.w
	other := 0 // rows of another width
	for d.wanted() {
		eols, _ := d.eols(false)
		start := w.pos()
		if eols >= rtcEOLs || start >= w.end() || w.onlyZeros(start) {
			d.res.EndMark = eols > 1
			break
		}
		sum := int32(w.runs())
		next := w.nextEOL(w.pos())
		w.seek(start)
		n, end := row1D(w, d.cur, d.width)
		if sum == 0 {
			d.failed(end)
			d.res.markBad(d.rows, d.rows)
			d.repeat()
		} else {
			if sum != d.width {
				other++
			}
			if sum < d.width {
				n &^= 1 // behind the last run is white
				d.cur.terminate(n, d.width)
			}
			d.emit(n)
		}
		w.seek(next)
	}
	if other > 0 {
		d.res.warn(0, 0, "rows of other widths are cut or padded with white")
	}
}
