package watch

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
)

// column is one of a table.
type column struct {
	title string
	least int // cells that it has where its texts are so wide
	leave int // where there is no room, the column with the highest one leaves first; 0: it stays
}

// gap is between two columns, cells.
const gap = 1

// layout gives the width of each column, cells, so that a table is at most width wide; 0: the column is left out.
func layout(columns []column, rows [][]string, width int) []int {
	want, widths := make([]int, len(columns)), make([]int, len(columns))
	for i, c := range columns {
		want[i] = cells(c.title)
		for _, r := range rows {
			want[i] = max(want[i], cells(r[i]))
		}
		widths[i] = min(c.least, want[i])
	}
	left := width - total(widths)
	for ; left < 0; left = width - total(widths) {
		out := -1
		for i, c := range columns {
			if c.leave > 0 && widths[i] > 0 && (out < 0 || c.leave > columns[out].leave) {
				out = i
			}
		}
		if out < 0 {
			return cut(widths, width)
		}
		widths[out] = 0
	}
	for given := true; given; { // whoever wants more gets one cell after another
		given = false
		for i := range widths {
			if left > 0 && widths[i] > 0 && widths[i] < want[i] {
				widths[i]++
				left--
				given = true
			}
		}
	}
	return widths
}

// cut takes from the last columns what is too much.
func cut(widths []int, width int) []int {
	for i := range widths {
		widths[i] = min(widths[i], max(0, width))
		if widths[i] > 0 {
			width -= widths[i] + gap
		}
	}
	return widths
}

// total is the width of a table.
func total(widths []int) int {
	n := -gap
	for _, w := range widths {
		if w > 0 {
			n += w + gap
		}
	}
	return n
}

// row is a line of a table, each text in its column. style gives the style of a column.
func row(texts []string, widths []int, style func(column int) ansi.Style) string {
	var b strings.Builder
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(style(i).Styled(strings.Repeat(" ", gap)))
		}
		b.WriteString(style(i).Styled(fit(texts[i], w)))
	}
	return b.String()
}

// cells is how wide a text is on a terminal.
func cells(s string) int { return ansi.StringWidthWc(client.OneLine(s)) }

// fit makes a text safe, and exactly n cells wide: it is cut with an ellipsis, or filled with spaces. All that reaches the screen goes
// through fit.
func fit(s string, n int) string {
	s = client.OneLine(s)
	w := ansi.StringWidthWc(s)
	if w <= n {
		return s + strings.Repeat(" ", n-w)
	}
	var b strings.Builder
	left := n - 1
	for left > 0 {
		cluster, w := ansi.FirstGraphemeCluster(s, ansi.WcWidth)
		if w > left {
			break
		}
		b.WriteString(cluster)
		left -= w
		s = s[len(cluster):]
	}
	if n > 0 {
		b.WriteString("…" + strings.Repeat(" ", left))
	}
	return b.String()
}

// paragraph is a text in lines of a width, at most some: the last one ends in an ellipsis if there is more.
func paragraph(s string, width, most int) (lines []string) {
	if s == "" || width <= 0 {
		return nil
	}
	lines = strings.Split(ansi.WrapWc(client.OneLine(s), width, ""), "\n")
	if len(lines) > most {
		lines[most-1] = strings.Join(lines[most-1:], " ")
		lines = lines[:most]
	}
	for i := range lines {
		lines[i] = fit(lines[i], width)
	}
	return lines
}
