package pdf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	maxPixels    = 1 << 20   // a side of a page; the longest fax page known is below a tenth of it
	maxStrip     = 256 << 20 // bytes of one strip
	maxLabel     = 200       // bytes of a page label
	minUnits     = 3.0       // a side of a page, in user space units: ISO 19005-2, 6.1.13
	maxUnits     = 14_400.0
	defaultXRes  = 204.0 // pixels per inch, fine resolution: T.4, 2.2, rounded as RFC 2306 writes it
	defaultYRes  = 196.0
	maxRes       = 10_000.0
	pointsPerIn  = 72.0
	maxPagePoint = maxPixels * pointsPerIn
)

// ImagePage is one page as an image: Group 4 (T.6), or gray or colour in Flate.
type ImagePage struct {
	// Width and Height of the image in pixels, 1 to 1,048,576.
	Width, Height int
	// XRes and YRes in pixels per inch, 1 to 10,000; fax pixels are seldom square. Both zero: 204 by 196, fine.
	XRes, YRes float64
	// Strip holds all rows. It is written unchanged and not looked into: what is damaged here looks different in every
	// viewer, so decode, repair and encode anew first. Group 4 has the most significant bit first, black runs printed
	// black; Flate has 8-bit samples, rows of differences to the pixel at the left (Predictor 2 of TIFF 6.0).
	Strip []byte
	// Samples of a pixel: 0 for Group 4, 1 for gray (0 is black), 3 for red, green and blue (sRGB) in Flate.
	Samples int
	// Words are text over the image that is found and copied, and never seen, in reading order; up to 50,000.
	Words []Word
	// Label is the page's name in a viewer, such as its number in the fax; up to 200 bytes. Empty: its place in the document.
	Label string
}

// AddImage adds a page of the image's physical size and returns where in the document the strip begins, in bytes. Errors
// are ErrInput, or those of the destination. A page of less than a millimetre gets a sheet of one.
func (w *Writer) AddImage(p ImagePage) (stripOffset int64, err error) {
	if p.XRes == 0 && p.YRes == 0 {
		p.XRes, p.YRes = defaultXRes, defaultYRes
	}
	if err := p.check(); err != nil {
		return 0, fmt.Errorf("page %d: %w", w.pages+1, err)
	}
	if err := w.ready(len(p.Strip) + textSize(p.Words)); err != nil {
		return 0, err
	}
	width, height := float64(p.Width)/p.XRes*pointsPerIn, float64(p.Height)/p.YRes*pointsPerIn
	box := newMediaBox(width, height)

	image, content := w.reserve(), w.reserve()
	stripOffset = w.stream(image, fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d%s", p.Width, p.Height, p.coding()), p.Strip)
	resources := fmt.Sprintf("/XObject<</Im %d 0 R>>", image)
	if len(p.Words) == 0 {
		w.stream(content, "", []byte(box.place(width, height)))
	} else {
		w.text(content, p, box, box.place(width, height))
		resources += w.words.resource()
	}
	w.addPage(box, resources, content, p.Label)
	return stripOffset, w.err
}

// coding is what the image's dictionary says of its strip: 8.9.5, 7.4.4.3 and 7.4.6. EndOfBlock stays at its default: a
// Group 4 strip ends with EOFB, and one without it ends with its last row.
func (p ImagePage) coding() string {
	if p.Samples == 0 {
		return fmt.Sprintf("/ColorSpace/DeviceGray/BitsPerComponent 1/Filter/CCITTFaxDecode"+
			"/DecodeParms<</K -1/Columns %d/Rows %d/BlackIs1 false>>", p.Width, p.Height)
	}
	space := "DeviceGray"
	if p.Samples == 3 {
		space = "DeviceRGB"
	}
	return fmt.Sprintf("/ColorSpace/%s/BitsPerComponent 8/Filter/FlateDecode/DecodeParms<</Predictor 2/Colors %d/Columns %d>>",
		space, p.Samples, p.Width)
}

func (p ImagePage) check() error {
	switch {
	case p.Samples != 0 && p.Samples != 1 && p.Samples != 3:
		return fmt.Errorf("%w: %d samples a pixel, want 0 (Group 4), 1 or 3", ErrInput, p.Samples)
	case p.Width < 1 || p.Width > maxPixels || p.Height < 1 || p.Height > maxPixels:
		return fmt.Errorf("%w: %d by %d pixels, want 1 to %d each way", ErrInput, p.Width, p.Height, maxPixels)
	case !(p.XRes >= 1 && p.XRes <= maxRes && p.YRes >= 1 && p.YRes <= maxRes): // written so that NaN is refused
		return fmt.Errorf("%w: %g by %g pixels per inch, want 1 to %g each way, or both 0", ErrInput, p.XRes, p.YRes, maxRes)
	case len(p.Strip) == 0 || len(p.Strip) > maxStrip:
		return fmt.Errorf("%w: strip of %d bytes, want 1 to %d", ErrInput, len(p.Strip), maxStrip)
	}
	if err := p.checkWords(); err != nil {
		return err
	}
	return checkLabel(p.Label)
}

// mediaBox is a page's size in user space units. A page longer than 14,400 units (5 m) gets a larger unit: 8.3.2.3 and
// table 30.
type mediaBox struct {
	width, height float64 // units
	unit          float64 // points
}

func newMediaBox(widthPoints, heightPoints float64) mediaBox {
	unit := max(1, math.Ceil(max(widthPoints, heightPoints)/maxUnits))
	return mediaBox{max(minUnits, widthPoints/unit), max(minUnits, heightPoints/unit), unit}
}

func (b mediaBox) entries() string {
	s := "/MediaBox[0 0 " + number(b.width) + " " + number(b.height) + "]"
	if b.unit > 1 {
		s += "/UserUnit " + number(b.unit)
	}
	return s
}

// place draws an image of the size given, in points, from the sheet's top: a page shorter than the smallest sheet begins
// there. It ends a hair (a 700,000th of an inch) inside of its edges, because poppler draws a pixel more where an edge falls
// on a pixel's boundary, and so stretches a page drawn at its own resolution.
func (b mediaBox) place(widthPoints, heightPoints float64) string {
	const hair = 1e-4
	drawn := func(points float64) float64 { return max(hair, roundDown(points/b.unit)-2*hair) }
	width, height := drawn(widthPoints), drawn(heightPoints)
	bottom := max(hair, roundDown(b.height)-height-hair)
	return fmt.Sprintf("q %s 0 0 %s %s %s cm/Im Do Q", number(width), number(height), number(hair), number(bottom))
}

// number writes a real without exponent, 7.3.3.
func number(f float64) string {
	s := strconv.FormatFloat(roundDown(f), 'f', 4, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// roundDown rounds to a ten-thousandth, down because renderers round a page's pixels up: the last row or column of a fax
// must not be followed by an empty one.
func roundDown(f float64) float64 {
	const noise = 1e-3 // of binary fractions, so that 792 does not become 791.9999
	return math.Floor(f*1e4+noise) / 1e4
}
