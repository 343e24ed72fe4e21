package session

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Range is the pages First to Last, both included, within 1 to MaxPages.
type Range struct{ First, Last int }

// MarshalJSON writes [first,last].
func (r Range) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d]", r.First, r.Last), nil
}

// UnmarshalJSON reads [first,last].
func (r *Range) UnmarshalJSON(b []byte) error {
	var a [2]int
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("page range %s: %w", b, err)
	}
	if a[0] < 1 || a[1] > MaxPages || a[0] > a[1] {
		return fmt.Errorf("page range %s: want [first,last] within 1 to %d", b, MaxPages)
	}
	r.First, r.Last = a[0], a[1]
	return nil
}

// UnmarshalJSON reads [[first,last],…]. It refuses ranges that are not sorted, or that overlap or touch: Has and Add rely on
// that.
func (r *Ranges) UnmarshalJSON(b []byte) error {
	var list []Range
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for i := 1; i < len(list); i++ {
		if list[i].First <= list[i-1].Last+1 {
			return fmt.Errorf("page ranges: [%d,%d] is not after [%d,%d] with a gap between them",
				list[i].First, list[i].Last, list[i-1].First, list[i-1].Last)
		}
	}
	*r = list
	return nil
}

// Ranges is a set of page numbers: sorted ranges that neither overlap nor touch. A fax of 10,000 pages in order is one
// Range. The zero value is the empty set. Methods that change a set return a new one.
type Ranges []Range

// Span returns the set first to last; empty if last < first.
func Span(first, last int) Ranges {
	if last < first {
		return nil
	}
	return Ranges{{first, last}}
}

// Has reports whether page is in the set.
func (r Ranges) Has(page int) bool {
	_, ok := r.find(page)
	return ok
}

func (r Ranges) find(page int) (int, bool) {
	return slices.BinarySearchFunc(r, page, func(x Range, p int) int {
		if x.Last < p {
			return -1
		}
		if x.First > p {
			return 1
		}
		return 0
	})
}

// Add returns the set with page in it.
func (r Ranges) Add(page int) Ranges {
	i, ok := r.find(page)
	if ok {
		return r
	}
	out := slices.Insert(slices.Clone(r), i, Range{page, page})
	if i+1 < len(out) && out[i+1].First == page+1 {
		out[i].Last = out[i+1].Last
		out = slices.Delete(out, i+1, i+2)
	}
	if i > 0 && out[i-1].Last == page-1 {
		out[i-1].Last = out[i].Last
		out = slices.Delete(out, i, i+1)
	}
	return out
}

// Remove returns the set without page.
func (r Ranges) Remove(page int) Ranges { return r.Minus(Span(page, page)) }

// Union returns the pages in either set.
func (r Ranges) Union(o Ranges) Ranges {
	all := slices.Concat(r, o)
	slices.SortFunc(all, func(a, b Range) int { return a.First - b.First })
	var out Ranges
	for _, x := range all {
		if n := len(out); n > 0 && x.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, x.Last)
			continue
		}
		out = append(out, x)
	}
	return out
}

// Minus returns the pages of r that are not in o.
func (r Ranges) Minus(o Ranges) Ranges {
	var out Ranges
	j := 0
	for _, x := range r {
		for j < len(o) && o[j].Last < x.First {
			j++
		}
		for k := j; k < len(o) && o[k].First <= x.Last; k++ {
			if o[k].First > x.First {
				out = append(out, Range{x.First, o[k].First - 1})
			}
			x.First = o[k].Last + 1
		}
		if x.First <= x.Last {
			out = append(out, x)
		}
	}
	return out
}

// Intersect returns the pages in both sets.
func (r Ranges) Intersect(o Ranges) Ranges { return r.Minus(r.Minus(o)) }

// Len returns the number of pages.
func (r Ranges) Len() int {
	n := 0
	for _, x := range r {
		n += x.Last - x.First + 1
	}
	return n
}

// Max returns the highest page, 0 for the empty set.
func (r Ranges) Max() int {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].Last
}

// Text writes page numbers for people: "page 2", "pages 2, 4-6"; empty: "no pages".
func (r Ranges) Text() string {
	if len(r) == 0 {
		return "no pages"
	}
	text := "page "
	if r.Len() > 1 {
		text = "pages "
	}
	for i, x := range r {
		if i > 0 {
			text += ", "
		}
		text += strconv.Itoa(x.First)
		if x.Last > x.First {
			text += "-" + strconv.Itoa(x.Last)
		}
	}
	return text
}

// ParseRanges reads page numbers as people write them: "1-3, 5" or "7-", which goes on to last, the last page there is.
func ParseRanges(text string, last int) (Ranges, error) {
	var r Ranges
	for part := range strings.SplitSeq(text, ",") {
		from, to, span := strings.Cut(strings.TrimSpace(part), "-")
		x := Range{Last: last}
		var err error
		if x.First, err = strconv.Atoi(strings.TrimSpace(from)); err == nil && !span {
			x.Last = x.First
		} else if to = strings.TrimSpace(to); err == nil && to != "" {
			x.Last, err = strconv.Atoi(to)
		}
		if err != nil || x.First < 1 || x.Last < x.First || x.Last > last {
			return nil, fmt.Errorf("pages %q: want numbers from 1 to %d and ranges of them, such as 1-3, 5 or 7-", part, last)
		}
		r = append(r, x)
	}
	return r.Union(nil), nil
}

// All yields the pages in ascending order.
func (r Ranges) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, x := range r {
			for p := x.First; p <= x.Last; p++ {
				if !yield(p) {
					return
				}
			}
		}
	}
}
