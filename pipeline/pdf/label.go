package pdf

import (
	"fmt"
	"strconv"
	"strings"
)

// labelRuns has the page labels, 12.4.2. Pages whose labels count up share a run, so a fax with few gaps has few runs.
type labelRuns []labelRun

type labelRun struct {
	page   int    // the first page's index, from 0
	prefix string // before the number
	start  int    // the first page's number; 0: the prefix is the whole label
}

func checkLabel(label string) error {
	if len(label) > maxLabel {
		return fmt.Errorf("%w: label of %d bytes, want up to %d", ErrInput, len(label), maxLabel)
	}
	return nil
}

func (r *labelRuns) add(page int, label string) {
	if label == "" {
		label = strconv.Itoa(page + 1)
	}
	next := parseLabel(page, cleanText(label))
	if n := len(*r); n > 0 && next.start > 0 {
		last := (*r)[n-1]
		if last.start > 0 && last.prefix == next.prefix && last.start+page-last.page == next.start {
			return
		}
	}
	*r = append(*r, next)
}

// parseLabel splits a decimal number from the end of the label. Leading zeros stay in the prefix; so does a number of more
// than nine digits.
func parseLabel(page int, label string) labelRun {
	prefix := strings.TrimRight(label, "0123456789")
	digits := label[len(prefix):]
	number := strings.TrimLeft(digits, "0")
	prefix += digits[:len(digits)-len(number)]
	start, err := strconv.Atoi(number)
	if err != nil || len(number) > 9 {
		return labelRun{page: page, prefix: label}
	}
	return labelRun{page, prefix, start}
}

// dict returns the catalog's entry; empty if all labels are the numbers of the pages in the document.
func (r labelRuns) dict() string {
	if len(r) == 0 || len(r) == 1 && r[0].prefix == "" && r[0].start == 1 {
		return ""
	}
	var b strings.Builder
	b.WriteString("/PageLabels<</Nums[")
	for _, run := range r {
		fmt.Fprintf(&b, "%d<<", run.page)
		if run.prefix != "" {
			b.WriteString("/P" + textString(run.prefix))
		}
		if run.start > 0 {
			fmt.Fprintf(&b, "/S/D/St %d", run.start)
		}
		b.WriteString(">>")
	}
	b.WriteString("]>>")
	return b.String()
}
