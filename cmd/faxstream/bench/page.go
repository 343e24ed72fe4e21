package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// The page about costs has its figures between these lines.
const (
	beginFigures = "<!-- figures: make cost writes them -->\n"
	endFigures   = "<!-- end of figures -->\n"
)

// pageRows are the rows whose figures the page has.
func pageRows() []string { return []string{"cost", "sessions", "cores", "slow-provider", "slow-disk"} }

// writePage replaces the figures of a page.
func (b *bench) writePage(path string, t *table) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), beginFigures)
	_, after, ended := strings.Cut(rest, endFigures)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", path, beginFigures, endFigures)
	}
	var figures bytes.Buffer
	for _, write := range []func(*bytes.Buffer, *table) error{b.writeMachine, writeCosts, writeLengths, writeGrowth} {
		if err := write(&figures, t); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(before+beginFigures+figures.String()+endFigures+after), 0o644)
}

func (b *bench) writeMachine(w *bytes.Buffer, _ *table) error {
	fmt.Fprint(w, "\nMeasured by `make cost`")
	return b.describe(w)
}

// writeCosts writes a table of what is spent, beside each other for the two settings.
func writeCosts(w *bytes.Buffer, t *table) error {
	cells := [][]string{{"A page costs", "embedded", "S3 and external NATS"}, {"---", "---", "---"}}
	for _, l := range append(processorParts(), costParts()...) {
		cells = append(cells, []string{l.what, t.now(inOne + "/" + l.figure), t.now(outside + "/" + l.figure)})
	}
	fmt.Fprintln(w)
	return align(w, cells)
}

// writeLengths writes how the cost of a page falls with the length of its fax.
func writeLengths(w *bytes.Buffer, t *table) error {
	head, rule, row := []string{"Pages of a fax"}, []string{"---"}, []string{"processor, ms/page"}
	for _, pages := range costPages() {
		head, rule, row = append(head, fmt.Sprint(pages)), append(rule, "---"), append(row, t.now(lengthFigure(pages)))
	}
	fmt.Fprintln(w)
	return align(w, [][]string{head, rule, row})
}

// writeGrowth writes the lines of the rows other than cost.
func writeGrowth(w *bytes.Buffer, t *table) error {
	cells := [][]string{{"What changes it", ""}, {"---", "---"}}
	for _, r := range rows() {
		if r.name == "cost" || !slices.Contains(pageRows(), r.name) {
			continue
		}
		for _, l := range r.lines {
			cells = append(cells, []string{l.what, spread(t.series[l][nowName])})
		}
	}
	fmt.Fprintln(w)
	return align(w, cells)
}

// now is a figure of the working tree: the median of its rounds, - where there is none.
func (t *table) now(figure string) string {
	for l, s := range t.series {
		if l.figure == figure && len(s[nowName]) > 0 {
			return digits(median(s[nowName]))
		}
	}
	return "-"
}
