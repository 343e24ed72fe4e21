package text

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// elements reads XML and calls begin and end of each element, and text with what stands directly in the open one. path is the names of the
// open elements, without namespaces, that of the innermost last. The document's own entities are not known: one that uses them is an error.
type elements struct {
	root  string // the name that the outermost element must have
	begin func(path []string, attr func(name string) string) error
	text  func(path []string, text string) error
	end   func(path []string) error
}

func (e elements) read(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	var path []string
	seen := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && seen && len(path) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", lineOf(d), err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			switch {
			case !seen && t.Name.Local != e.root:
				return fmt.Errorf("the outermost element is %.40q, want %s", t.Name.Local, e.root)
			case len(path) > maxDepth:
				return fmt.Errorf("line %d: more than %d elements in one another", lineOf(d), maxDepth)
			}
			seen = true
			err = e.begin(path, func(name string) string { return attribute(t, name) })
		case xml.CharData:
			if len(path) > 0 {
				err = e.text(path, string(t))
			}
		case xml.EndElement:
			err = e.end(path)
			path = path[:len(path)-1]
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", lineOf(d), err)
		}
	}
}

func lineOf(d *xml.Decoder) int {
	line, _ := d.InputPos()
	return line
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// ends reports whether path ends in these names.
func ends(path []string, names ...string) bool {
	if len(path) < len(names) {
		return false
	}
	for i, name := range names {
		if path[len(path)-len(names)+i] != name {
			return false
		}
	}
	return true
}

// alto reads ALTO: the String elements of TextLine and TextBlock.
func (r *reader) alto(data []byte) error {
	return elements{
		root: "alto",
		begin: func(path []string, attr func(string) string) error {
			switch path[len(path)-1] {
			case "TextBlock":
				r.beginBlock()
			case "TextLine":
				r.beginLine()
			case "String":
				return r.altoString(attr)
			}
			return nil
		},
		text: func(path []string, text string) error {
			if unit := strings.TrimSpace(text); ends(path, "MeasurementUnit") && unit != "" && unit != "pixel" {
				return fmt.Errorf("MeasurementUnit %.20q: want pixel", unit)
			}
			return nil
		},
		end: func([]string) error { return nil },
	}.read(data)
}

func (r *reader) altoString(attr func(string) string) error {
	box, err := sized(attr("HPOS"), attr("VPOS"), attr("WIDTH"), attr("HEIGHT"))
	if err != nil {
		return err
	}
	confidence, err := part(attr("WC"), 1)
	if err != nil {
		return err
	}
	return r.add(attr("CONTENT"), confidence, box)
}

// pageText is the text of a line or word in PAGE XML.
type pageText struct {
	box        *Box
	text       string
	said       bool // text is the first TextEquiv: others are alternatives
	confidence *float64
	before     int // words that there were when the line began
}

// page reads PAGE XML: the Word elements of TextLine and TextRegion. A line without words gives those of its own text, with its box.
func (r *reader) page(data []byte) error {
	var line, word pageText
	of := func(path []string, below ...string) *pageText {
		switch {
		case ends(path, append([]string{"Word"}, below...)...):
			return &word
		case ends(path, append([]string{"TextLine"}, below...)...):
			return &line
		}
		return nil
	}
	return elements{
		root: "PcGts",
		begin: func(path []string, attr func(string) string) (err error) {
			switch path[len(path)-1] {
			case "TextRegion":
				r.beginBlock()
			case "TextLine":
				r.beginLine()
				line = pageText{before: len(r.words)}
			case "Word":
				word = pageText{}
			case "Coords":
				if t := of(path, "Coords"); t != nil && attr("points") != "" {
					t.box, err = around(attr("points"))
				}
			case "TextEquiv":
				if t := of(path, "TextEquiv"); t != nil && !t.said {
					t.confidence, err = part(attr("conf"), 1)
				}
			}
			return err
		},
		text: func(path []string, text string) error {
			if t := of(path, "TextEquiv", "Unicode"); t != nil && !t.said {
				t.text += text
			}
			return nil
		},
		end: func(path []string) error {
			if t := of(path, "TextEquiv"); t != nil {
				t.said = true
			}
			switch {
			case ends(path, "Word"):
				return r.add(word.text, word.confidence, word.box)
			case ends(path, "TextLine") && len(r.words) == line.before:
				return r.add(line.text, line.confidence, line.box)
			}
			return nil
		},
	}.read(data)
}

// around is the smallest box around points, as in "10,20 30,20 30,40".
func around(points string) (*Box, error) {
	var b *Box
	for point := range strings.FieldsSeq(points) {
		x, y, _ := strings.Cut(point, ",")
		p, err := places(x, y)
		if err != nil {
			return nil, err
		}
		if b == nil {
			b = &Box{p[0], p[1], p[0], p[1]}
		}
		b.Left, b.Top, b.Right, b.Bottom = min(b.Left, p[0]), min(b.Top, p[1]), max(b.Right, p[0]), max(b.Bottom, p[1])
	}
	return b, nil
}
