package ccitt

import "slices"

// fixCycles inserts and removes rows where two good one-dimensional rows are
// not a multiple of K apart, K being how far they are apart where nothing is
// damaged (T.4 4.2.2).
func (d *decoder[T]) fixCycles(rows []foundRow) []foundRow {
	k := cycle(rows)
	if k < 3 {
		return rows
	}
	out := make([]foundRow, 0, len(rows)+8)
	anchor := 0
	for i, r := range rows {
		if !r.ok || !r.oneD {
			continue
		}
		part := rows[anchor:i]
		switch (i - anchor) % k {
		case k - 1:
			part = insertLost(part)
		case 1:
			if fewer := withoutLost(part, 1); len(fewer) < len(part) {
				part = fewer
			} else {
				part = mergeInvented(part)
			}
		}
		out = append(out, part...)
		anchor = i
	}
	return append(out, rows[anchor:]...)
}

// cycle returns the usual distance of one-dimensional rows, 0 when there is
// none.
func cycle(rows []foundRow) int {
	count := map[int]int{}
	last := -1
	for i, r := range rows {
		switch {
		case !r.ok:
			last = -1
		case r.oneD:
			if last >= 0 {
				count[i-last]++
			}
			last = i
		}
	}
	best := 0
	for k, n := range count {
		if n > count[best] || n == count[best] && k < best {
			best = k
		}
	}
	return best
}

// insertLost adds a row behind the longest of the bad ones.
func insertLost(rows []foundRow) []foundRow {
	at := -1
	for i, r := range rows {
		if !r.ok && !r.lost && (at < 0 || r.end-r.start > rows[at].end-rows[at].start) {
			at = i
		}
	}
	if at < 0 {
		return rows
	}
	return slices.Insert(slices.Clone(rows), at+1, foundRow{start: rows[at].end, end: rows[at].end, lost: true})
}

// withoutLost takes back the last n rows that were inserted.
func withoutLost(rows []foundRow, n int) []foundRow {
	var kept []foundRow
	for _, r := range slices.Backward(rows) {
		if r.lost && n > 0 {
			n--
			continue
		}
		kept = append(kept, r)
	}
	slices.Reverse(kept)
	return kept
}

// mergeInvented makes one of the two neighbouring bad rows that are shortest
// together.
func mergeInvented(rows []foundRow) []foundRow {
	at, best := -1, 0
	for i := 1; i < len(rows); i++ {
		if n := rows[i].end - rows[i-1].start; !rows[i-1].ok && !rows[i].ok && (at < 0 || n < best) {
			at, best = i, n
		}
	}
	if at < 0 {
		return rows
	}
	return slices.Delete(slices.Clone(rows), at, at+1)
}

// repairEffort bounds what fixCount does: rows looked at.
const repairEffort = 20_000_000

// fixCount inserts or removes rows near the damage until the page has its
// height. What is still missing is at the end: the data were cut.
func (d *decoder[T]) fixCount(rows []foundRow) []foundRow {
	usual, repairs := usualBits(rows), repairEffort/(len(rows)+1)
	for ; len(rows) < d.o.Rows && repairs > 0; repairs-- {
		at := -1
		for i, r := range rows {
			long := r.end-r.start > usual+usual/2
			if !r.ok && !r.lost && long && (at < 0 || r.end-r.start > rows[at].end-rows[at].start) && !(i+1 < len(rows) && rows[i+1].lost) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		rows = slices.Insert(rows, at+1, foundRow{start: rows[at].end, end: rows[at].end, lost: true})
	}
	if len(rows) > d.o.Rows {
		rows = withoutLost(rows, len(rows)-d.o.Rows)
	}
	for ; len(rows) > d.o.Rows && repairs > 0; repairs-- {
		fewer := mergeInvented(rows)
		if len(fewer) == len(rows) {
			break
		}
		rows = fewer
	}
	return rows
}

// usualBits returns the median size of the good rows.
func usualBits(rows []foundRow) int {
	var sizes []int
	for _, r := range rows {
		if r.ok {
			sizes = append(sizes, r.end-r.start)
		}
	}
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}
