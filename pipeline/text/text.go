// Package text reads what OCR engines recognise on a page, in the formats that they write, and gives the words in one form. Begin with
// Parse; Place then puts the boxes of words onto the archived page.
//
// The bytes come from outside: they are bounded before they are parsed (MaxBytes), and so is what they contain. Every fault is an error
// that says where it is. Parsing is a function of the bytes and keeps nothing.
package text

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Limits of the text of one page. A page of small print has about 1,500 words.
const (
	MaxBytes = session.MaxOCRResult // of a result as an engine wrote it
	MaxWords = 8_000
	maxWord  = 1_000 // bytes of one word
	maxDepth = 256   // elements in one another
)

// Formats that Parse reads.
const (
	Plain = "plain" // text without positions; blank lines separate blocks
	HOCR  = "hocr"  // hOCR 1.2: HTML with ocr_line and ocrx_word
	ALTO  = "alto"  // ALTO XML 2 to 4, with pixels as unit
	PAGE  = "page"  // PAGE XML: PcGts of PRImA
	TSV   = "tsv"   // the table of Tesseract
)

// Formats are all formats that Parse reads.
func Formats() []string { return []string{Plain, HOCR, ALTO, PAGE, TSV} }

// A Word is one word of a page, in the order in which the engine reads.
type Word struct {
	Text       string   `json:"text"`                 // without spaces
	Confidence *float64 `json:"confidence,omitempty"` // 0 to 1; nil: the engine does not say
	Box        *Box     `json:"box,omitempty"`        // nil: the format has no positions
	Line       int      `json:"line"`                 // from 1, over the page
	Block      int      `json:"block"`                // from 1
}

// A Box is a rectangle of pixels: those from Left to Right and from Top to Bottom, Right and Bottom not included. Its JSON is [left, top,
// right, bottom].
type Box struct{ Left, Top, Right, Bottom int }

// MarshalJSON writes [left,top,right,bottom].
func (b Box) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%d,%d]", b.Left, b.Top, b.Right, b.Bottom), nil
}

// UnmarshalJSON reads the form of MarshalJSON.
func (b *Box) UnmarshalJSON(data []byte) error {
	sides := strings.Split(strings.Trim(string(data), "[] \n\t"), ",")
	if len(sides) != 4 {
		return fmt.Errorf("box %.40s: want [left,top,right,bottom]", data)
	}
	for i, side := range []*int{&b.Left, &b.Top, &b.Right, &b.Bottom} {
		n, err := strconv.Atoi(strings.TrimSpace(sides[i]))
		if err != nil {
			return fmt.Errorf("box %.40s: want four whole numbers", data)
		}
		*side = n
	}
	return nil
}

// Parse reads a result in one of the Formats. Boxes are in pixels of the image that the engine read. No words: the page is blank.
func Parse(format string, data []byte) ([]Word, error) {
	parse := map[string]func(*reader, []byte) error{
		Plain: (*reader).plain, HOCR: (*reader).hocr, ALTO: (*reader).alto, PAGE: (*reader).page, TSV: (*reader).tsv,
	}[format]
	switch {
	case parse == nil:
		return nil, fmt.Errorf("format %q: want one of %q", format, Formats())
	case len(data) > MaxBytes:
		return nil, fmt.Errorf("the text has %d bytes, want at most %d", len(data), MaxBytes)
	case !utf8.Valid(data):
		return nil, errors.New("the text is not UTF-8: convert it before you send it")
	}
	r := &reader{words: []Word{}}
	if err := parse(r, data); err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	return r.words, nil
}

// reader collects words.
type reader struct {
	words       []Word
	line, block int  // of the last word
	newLine     bool // the next word begins one
	newBlock    bool
}

func (r *reader) beginLine()  { r.newLine = true }
func (r *reader) beginBlock() { r.newBlock, r.newLine = true, true }

// add appends the words of a text, which share confidence and box.
func (r *reader) add(text string, confidence *float64, box *Box) error {
	for w := range strings.FieldsSeq(text) { // one after the other: all at once can need eight times the text
		switch {
		case len(r.words) == MaxWords:
			return fmt.Errorf("more than %d words", MaxWords)
		case len(w) > maxWord:
			return fmt.Errorf("word %d (%.20q…) has %d bytes, want at most %d", len(r.words)+1, w, len(w), maxWord)
		case strings.ContainsFunc(w, unicode.IsControl):
			return fmt.Errorf("word %d (%.20q) has a control character", len(r.words)+1, w)
		}
		if r.newBlock || r.block == 0 {
			r.block++
		}
		if r.newLine || r.line == 0 {
			r.line++
		}
		r.newLine, r.newBlock = false, false
		r.words = append(r.words, Word{Text: w, Confidence: confidence, Box: box, Line: r.line, Block: r.block})
	}
	return nil
}

// plain reads text: its lines, and blocks that blank lines separate.
func (r *reader) plain(data []byte) error {
	for line := range strings.Lines(string(data)) {
		if r.beginLine(); strings.TrimSpace(line) == "" {
			r.beginBlock()
		}
		if err := r.add(line, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// maxPlace bounds numbers of positions: no page has so many pixels.
const maxPlace = 1 << 20

// place reads a position, in pixels, and rounds it.
func place(s string) (int, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(math.Abs(v) <= maxPlace) {
		return 0, fmt.Errorf("position %.20q: want a number of pixels", s)
	}
	return int(math.Round(v)), nil
}

// places reads several positions.
func places(list ...string) ([]int, error) {
	all := make([]int, len(list))
	for i, s := range list {
		var err error
		if all[i], err = place(s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// part reads a confidence, of which whole is the highest. An empty one, and -1 of Tesseract, say nothing.
func part(s string, whole float64) (*float64, error) {
	s = strings.TrimSpace(s)
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case s == "", err == nil && v == -1:
		return nil, nil
	case err != nil || !(v >= 0 && v <= whole):
		return nil, fmt.Errorf("confidence %.20q: want 0 to %g", s, whole)
	}
	v /= whole
	return &v, nil
}
