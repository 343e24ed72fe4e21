package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// figures are what one measurement of one build gave, by the names of lines.
type figures map[string]float64

func (f figures) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s %s", name, digits(f[name])))
	}
	return strings.Join(parts, ", ")
}

// line is one figure of a row in the table.
type line struct {
	figure string // its key in figures
	what   string // with its unit
	want   string // what it is to reach; empty: nothing is promised
}

// series are the figures of a line, one of each round.
type series map[string][]float64 // by the name of the build

// table collects figures and prints them.
type table struct {
	lines  []line
	series map[line]series
}

// add takes the figures of one round. A row may leave a figure out where a build does not have it.
func (t *table) add(r row, of build, got figures) {
	if t.series == nil {
		t.series = map[line]series{}
	}
	for _, l := range r.lines {
		if t.series[l] == nil {
			t.series[l] = series{}
			t.lines = append(t.lines, l)
		}
		if v, ok := got[l.figure]; ok {
			t.series[l][of.name] = append(t.series[l][of.name], v)
		}
	}
}

// print writes a Markdown table: medians of the rounds, with the least and the greatest in brackets.
func (t *table) print(w io.Writer) error {
	cells := [][]string{{"what", baseName, nowName, nowName + " / " + baseName, "to reach"}, {"---", "---", "---", "---", "---"}}
	for _, l := range t.lines {
		s := t.series[l]
		cells = append(cells, []string{l.what, spread(s[baseName]), spread(s[nowName]), spread(s.ratios()), l.want})
	}
	return align(w, cells)
}

// ratios are those of the two figures of one round: what slows down a whole round does not count.
func (s series) ratios() (all []float64) {
	for i := range min(len(s[baseName]), len(s[nowName])) {
		if s[baseName][i] != 0 {
			all = append(all, s[nowName][i]/s[baseName][i])
		}
	}
	return all
}

// align writes rows of cells with columns of equal width.
func align(w io.Writer, cells [][]string) error {
	width := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, c := range row {
			width[i] = max(width[i], len(c))
		}
	}
	for _, row := range cells {
		for i, c := range row {
			row[i] = fmt.Sprintf("%-*s", width[i], c)
		}
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// spread is the median, and the least and the greatest.
func spread(v []float64) string {
	switch len(v) {
	case 0:
		return "-"
	case 1:
		return digits(v[0])
	}
	return fmt.Sprintf("%s (%s..%s)", digits(median(v)), digits(slices.Min(v)), digits(slices.Max(v)))
}

// digits writes three digits that count.
func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	places := 2 - int(math.Floor(math.Log10(max(math.Abs(v), 0.001))))
	return fmt.Sprintf("%.*f", max(places, 0), v)
}

func median[T cmp.Ordered](v []T) T { return percentile(v, 50) }

// percentile is the least value that at least so many percent of v do not exceed.
func percentile[T cmp.Ordered](v []T, percent int) T {
	s := slices.Sorted(slices.Values(v))
	return s[max((len(s)*percent+99)/100-1, 0)]
}
