package pdf

import (
	"fmt"
	"strings"
)

const (
	letterWidth, letterHeight = 612.0, 792.0
	bodySize                  = 12.0   // points, if the sheet has the space
	headingScale              = 1.6    // of the body's size
	leading                   = 1.45   // of the size
	shrink                    = 0.9    // factor for each try to fit a small sheet
	maxSlipText               = 16_000 // bytes of heading and lines
)

// SlipPage is a sheet that says in words why a page of the fax is missing.
type SlipPage struct {
	// WidthPoints and HeightPoints are the sheet's size, 3 to 75,497,472 points (1/72 inch). Both zero: letter.
	WidthPoints, HeightPoints float64
	// Heading and Lines are UTF-8, together up to 16,000 bytes. Lines are wrapped at the sheet's width; an empty line is a
	// gap. A character that is not Latin, Greek or Cyrillic is shown as a box.
	Heading string
	Lines   []string
	// Label as in ImagePage.
	Label string
}

// AddSlip adds a slip sheet as real text. The text gets smaller on a small sheet: no word is left out. The error matches
// ErrInput, ErrClosed, or is that of the destination.
func (w *Writer) AddSlip(s SlipPage) error {
	if s.WidthPoints == 0 && s.HeightPoints == 0 {
		s.WidthPoints, s.HeightPoints = letterWidth, letterHeight
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("page %d: %w", w.pages+1, err)
	}
	if err := w.ready(64 * maxSlipText); err != nil {
		return err
	}
	if w.slips == nil {
		f, err := w.newFont("GoRegular", false)
		if err != nil {
			return err
		}
		w.slips = f
	}
	box := newMediaBox(s.WidthPoints, s.HeightPoints)
	content := w.reserve()
	w.stream(content, "", []byte(w.slips.layOut(s, box).content(w.slips)))
	w.addPage(box, w.slips.resource(), content, s.Label)
	return w.err
}

func (s SlipPage) check() error {
	inRange := func(f float64) bool { return f >= minUnits && f <= maxPagePoint } // false for NaN
	if !inRange(s.WidthPoints) || !inRange(s.HeightPoints) {
		return fmt.Errorf("%w: slip sheet of %g by %g points, want %g to %g each way, or both 0",
			ErrInput, s.WidthPoints, s.HeightPoints, minUnits, maxPagePoint)
	}
	size := len(s.Heading)
	for _, l := range s.Lines {
		size += len(l) + 1
	}
	if size > maxSlipText {
		return fmt.Errorf("%w: slip sheet of %d bytes of text, want up to %d", ErrInput, size, maxSlipText)
	}
	return checkLabel(s.Label)
}

// slipLayout is a slip sheet's text, broken into rows. Lengths are in user space units.
type slipLayout struct {
	box           mediaBox
	margin        float64
	size          float64 // of the body's text
	heading, body []string
}

// layOut breaks the text with the largest size that fits, at most bodySize.
func (f *font) layOut(s SlipPage, box mediaBox) slipLayout {
	l := slipLayout{box: box, margin: min(pointsPerIn, 0.1*min(box.width, box.height)), size: bodySize}
	room := box.width - 2*l.margin
	for ; ; l.size *= shrink { // ends: at size 0 everything fits
		l.heading, l.body = f.wrap(s.Heading, room/(l.size*headingScale)), nil
		for _, line := range s.Lines {
			l.body = append(l.body, f.wrap(line, room/l.size)...)
		}
		if l.height() <= box.height-2*l.margin && l.widest(f) <= room {
			return l
		}
	}
}

func (l slipLayout) height() float64 {
	return (float64(len(l.heading))*headingScale + float64(len(l.body)) + 1) * leading * l.size
}

// widest returns the length of the longest row; only a row of a single character can be longer than its space.
func (l slipLayout) widest(f *font) (length float64) {
	for _, row := range l.heading {
		length = max(length, f.length(row)*l.size*headingScale)
	}
	for _, row := range l.body {
		length = max(length, f.length(row)*l.size)
	}
	return length
}

// length returns the length of a row in ems.
func (f *font) length(row string) (ems float64) {
	for _, r := range row {
		ems += f.width(r) / 1000
	}
	return ems
}

// wrap breaks text into rows of at most room ems. It breaks between words; a word that is longer than a row is broken too.
func (f *font) wrap(text string, room float64) []string {
	var rows []string
	var row strings.Builder
	var used float64
	space := f.width(' ') / 1000
	flush := func() {
		rows = append(rows, row.String())
		row.Reset()
		used = 0
	}
	for word := range strings.FieldsSeq(cleanText(text)) {
		length := f.length(word)
		if row.Len() > 0 && used+space+length > room {
			flush()
		}
		if row.Len() > 0 {
			row.WriteByte(' ')
			used += space
		}
		for _, r := range word {
			width := f.width(r) / 1000
			if row.Len() > 0 && used+width > room {
				flush()
			}
			row.WriteRune(r)
			used += width
		}
	}
	flush()
	return rows
}

// content returns the page's content stream: the text, and a frame, so that nobody takes the sheet for a page of the fax.
func (l slipLayout) content(f *font) string {
	var b strings.Builder
	inset := l.margin / 2
	fmt.Fprintf(&b, "q %s w %s %s %s %s re S Q\nBT\n", number(l.margin/48), number(inset), number(inset),
		number(l.box.width-2*inset), number(l.box.height-2*inset))
	fmt.Fprintf(&b, "1 0 0 1 %s %s Tm\n", number(l.margin), number(l.box.height-l.margin))
	write := func(rows []string, size float64) {
		fmt.Fprintf(&b, "/F %s Tf %s TL\n", number(size), number(size*leading))
		for _, row := range rows {
			b.WriteString("T* <" + f.codes(row) + "> Tj\n")
		}
	}
	write(l.heading, l.size*headingScale)
	fmt.Fprintf(&b, "0 %s Td\n", number(-l.size*leading/2)) // half of the extra row in height
	write(l.body, l.size)
	b.WriteString("ET")
	return b.String()
}
