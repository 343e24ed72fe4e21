package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// What an element of hOCR is for us.
type hocrKind int

const (
	hocrOther hocrKind = iota
	hocrBlock
	hocrLine
	hocrWord
)

var hocrKinds = map[string]hocrKind{
	"ocr_carea": hocrBlock, "ocrx_block": hocrBlock,
	"ocr_line": hocrLine, "ocrx_line": hocrLine, "ocr_header": hocrLine, "ocr_caption": hocrLine, "ocr_textfloat": hocrLine,
	"ocrx_word": hocrWord,
}

// void are the elements of HTML that have no end.
var void = []string{
	"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
}

// An hocrElement is open.
type hocrElement struct {
	name       string
	kind       hocrKind
	box        *Box
	confidence *float64
	text       strings.Builder // of a word, and of a line outside of its words
	before     int             // words that there were when it began
}

// hocr reads hOCR 1.2: the ocrx_word elements of lines and blocks. A line without words gives those of its own text, with its box.
func (r *reader) hocr(data []byte) error {
	var open []*hocrElement
	found := false // an element of hOCR
	for z := html.NewTokenizer(bytes.NewReader(data)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return err
			}
			if !found {
				return errors.New("there is no element of hOCR in it: want ocr_page, ocr_line or ocrx_word")
			}
			return r.closeDown(&open, 0)
		case html.StartTagToken:
			e, err := r.hocrBegin(z.Token(), &found)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			if open = append(open, e); len(open) > maxDepth {
				return fmt.Errorf("more than %d elements in one another", maxDepth)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			for i, e := range slices.Backward(open) {
				if e.name == string(name) {
					if err := r.closeDown(&open, i); err != nil {
						return err
					}
					break
				}
			}
		case html.TextToken:
			for _, e := range slices.Backward(open) {
				if e.kind == hocrWord || e.kind == hocrLine {
					e.text.WriteString(z.Token().Data)
					break
				}
			}
		}
	}
}

// hocrBegin opens an element; nil: it has no end.
func (r *reader) hocrBegin(t html.Token, found *bool) (*hocrElement, error) {
	if slices.Contains(void, t.Data) {
		return nil, nil
	}
	e := &hocrElement{name: t.Data, before: len(r.words)}
	title := ""
	for _, a := range t.Attr {
		switch a.Key {
		case "class":
			for class := range strings.FieldsSeq(a.Val) {
				*found = *found || strings.HasPrefix(class, "ocr_") || strings.HasPrefix(class, "ocrx_")
				e.kind = max(e.kind, hocrKinds[class])
			}
		case "title":
			title = a.Val
		}
	}
	switch e.kind {
	case hocrOther:
		return e, nil
	case hocrBlock:
		r.beginBlock()
	case hocrLine:
		r.beginLine()
	}
	var err error
	e.box, e.confidence, err = hocrTitle(title)
	return e, err
}

const maxProperty = 200 // bytes

// hocrTitle reads bbox and x_wconf of a title, as in "bbox 10 20 30 40; x_wconf 93".
func hocrTitle(title string) (box *Box, confidence *float64, err error) {
	for property := range strings.SplitSeq(title, ";") {
		if len(property) > maxProperty {
			continue // none that is read here is so long
		}
		words := strings.Fields(property)
		switch {
		case len(words) == 5 && words[0] == "bbox":
			var p []int
			if p, err = places(words[1:]...); err == nil {
				box = &Box{p[0], p[1], p[2], p[3]}
			}
		case len(words) == 2 && words[0] == "x_wconf":
			confidence, err = part(words[1], 100)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return box, confidence, nil
}

// closeDown closes the open elements down to one, and adds the words of those that have some.
func (r *reader) closeDown(open *[]*hocrElement, to int) error {
	for _, e := range slices.Backward((*open)[to:]) {
		if e.kind == hocrWord || e.kind == hocrLine && len(r.words) == e.before {
			if err := r.add(e.text.String(), e.confidence, e.box); err != nil {
				return err
			}
		}
	}
	*open = (*open)[:to]
	return nil
}
