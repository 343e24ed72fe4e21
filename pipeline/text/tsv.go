package text

import (
	"fmt"
	"slices"
	"strings"
)

// wordLevel is the level of a row that is a word.
const wordLevel = "5"

// maxColumns bounds the table: Tesseract's has 12.
const maxColumns = 50

// tsv reads the table of Tesseract (TessBaseAPI::GetTSVText): a head with the names of columns, and a row for each word, line, paragraph,
// block and page.
func (r *reader) tsv(data []byte) error {
	head, rows, _ := strings.Cut(string(data), "\n")
	names := strings.SplitN(strings.TrimSpace(head), "\t", maxColumns)
	var at [10]int
	for i, name := range []string{"level", "block_num", "par_num", "line_num", "left", "top", "width", "height", "conf", "text"} {
		if at[i] = slices.Index(names, name); at[i] < 0 {
			return fmt.Errorf("the first row has no column %s", name)
		}
	}
	var block, line string
	number := 1
	for row := range strings.Lines(rows) {
		number++
		cells := strings.SplitN(strings.TrimRight(row, "\r\n"), "\t", len(names))
		if len(cells) < len(names) { // rows that are no words may lack the text
			cells = append(cells, make([]string, len(names)-len(cells))...)
		}
		if cells[at[0]] != wordLevel {
			continue
		}
		if b := cells[at[1]]; b != block {
			block = b
			r.beginBlock()
		}
		if l := strings.Join([]string{cells[at[1]], cells[at[2]], cells[at[3]]}, "/"); l != line {
			line = l
			r.beginLine()
		}
		if err := r.tsvWord(cells, at); err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
	}
	return nil
}

func (r *reader) tsvWord(cells []string, at [10]int) error {
	box, err := sized(cells[at[4]], cells[at[5]], cells[at[6]], cells[at[7]])
	if err != nil {
		return err
	}
	confidence, err := part(cells[at[8]], 100)
	if err != nil {
		return err
	}
	return r.add(cells[at[9]], confidence, box)
}

// sized is a box of which width and height are given.
func sized(left, top, width, height string) (*Box, error) {
	p, err := places(left, top, width, height)
	if err != nil {
		return nil, err
	}
	return &Box{p[0], p[1], p[0] + p[2], p[1] + p[3]}, nil
}
