package pdf

import (
	"fmt"
	"image"
	"strings"
)

const (
	maxWords    = 50_000 // on a page; a dense one has 2,000
	maxWordText = 1_000  // bytes of one word
	leastSize   = 0.001  // font size in user space units: a smaller one rounds to zero
)

// Word is a piece of text and its place on a page.
type Word struct {
	// Text is UTF-8 of up to 1,000 bytes, in any alphabet; white space at its ends does not count.
	Text string
	// Box is the place of the text in the image, in pixels from its upper left corner: not empty, and inside the image.
	Box image.Rectangle
}

func (p ImagePage) checkWords() error {
	if len(p.Words) > maxWords {
		return fmt.Errorf("%w: %d words, want up to %d", ErrInput, len(p.Words), maxWords)
	}
	sheet := image.Rect(0, 0, p.Width, p.Height)
	for i, word := range p.Words {
		switch {
		case len(word.Text) > maxWordText:
			return fmt.Errorf("%w: word %d of %d bytes, want up to %d", ErrInput, i+1, len(word.Text), maxWordText)
		case word.Box.Empty() || !word.Box.In(sheet):
			return fmt.Errorf("%w: word %d at %v, want a box in an image of %d by %d pixels", ErrInput, i+1, word.Box, p.Width, p.Height)
		}
	}
	return nil
}

// textSize returns an upper limit of the bytes of words in the document, with the descriptions of their glyphs.
func textSize(words []Word) (n int) {
	for _, word := range words {
		n += 200 + 50*len(word.Text)
	}
	return n
}

// text writes a page's content stream: the operators that draw its image, and its words in text rendering mode 3, which is
// invisible (9.3.6).
func (w *Writer) text(content int, p ImagePage, box mediaBox, place string) {
	if w.words == nil {
		f, err := w.newFont("Blank", true)
		if err != nil {
			w.fail(err)
			return
		}
		w.words = f
	}
	var b strings.Builder
	b.WriteString(place + "\nBT 3 Tr\n")
	boxes := p.uprightBoxes()
	for i, word := range p.Words {
		if text := strings.TrimSpace(cleanText(word.Text)); text != "" {
			b.WriteString(w.words.over(p, asHigh(boxes, i), box, text))
		}
	}
	b.WriteString("ET")
	packed, err := deflate([]byte(b.String()))
	w.fail(err)
	w.stream(content, "/Filter/FlateDecode", packed)
}

// uprightBoxes are the boxes of the words on the page as it is seen.
func (p ImagePage) uprightBoxes() []image.Rectangle {
	boxes := make([]image.Rectangle, len(p.Words))
	for i, word := range p.Words {
		boxes[i] = p.upright(word.Box)
	}
	return boxes
}

// asHigh returns box i, made as high as the boxes before and after it where these stand beside it. Words without ascenders, such as "none",
// have low boxes, and readers would take them for words of another line.
func asHigh(boxes []image.Rectangle, i int) image.Rectangle {
	at := boxes[i]
	for _, n := range []int{i - 1, i + 1} {
		if n < 0 || n >= len(boxes) {
			continue
		}
		other := boxes[n]
		overlap := min(at.Max.Y, other.Max.Y) - max(at.Min.Y, other.Min.Y)
		beside := other.Min.X >= boxes[i].Max.X || other.Max.X <= boxes[i].Min.X
		if beside && 2*overlap > min(boxes[i].Dy(), other.Dy()) && other.Dy() < 3*boxes[i].Dy() {
			at.Min.Y, at.Max.Y = min(at.Min.Y, other.Min.Y), max(at.Max.Y, other.Max.Y)
		}
	}
	return at
}

// over returns the operators that place text so that it fills its box on the page as it is seen, from the font's descent to its ascent: a
// viewer marks this area when it finds the word.
func (f *font) over(p ImagePage, at image.Rectangle, box mediaBox, text string) string {
	unitX, unitY := pointsPerIn/p.XRes/box.unit, pointsPerIn/p.YRes/box.unit // of a pixel of the upright page
	if p.Orientation >= 5 {
		unitX, unitY = unitY, unitX
	}
	size := max(leastSize, float64(at.Dy())*unitY*1000/float64(f.ascent()-f.descent()))
	stretch := 100.0 // per cent
	if length := f.length(text) * size; length > 0 {
		stretch = max(leastSize, 100*float64(at.Dx())*unitX/length)
	}
	x := float64(at.Min.X) * unitX
	y := box.height - float64(at.Max.Y)*unitY - float64(f.descent())/1000*size
	return fmt.Sprintf("/F %s Tf %s Tz 1 0 0 1 %s %s Tm <%s> Tj\n", number(size), number(stretch), number(x), number(y), f.codes(text))
}

// upright turns a box in the image as stored into one of the page as it is seen (TIFF 6.0, Orientation).
func (p ImagePage) upright(at image.Rectangle) image.Rectangle {
	width, height, o := p.Width, p.Height, p.Orientation
	if o >= 5 {
		width, height = height, width
		at = image.Rect(at.Min.Y, at.Min.X, at.Max.Y, at.Max.X)
	}
	if o == 2 || o == 3 || o == 6 || o == 7 {
		at.Min.X, at.Max.X = width-at.Max.X, width-at.Min.X
	}
	if o == 3 || o == 4 || o == 7 || o == 8 {
		at.Min.Y, at.Max.Y = height-at.Max.Y, height-at.Min.Y
	}
	return at
}
