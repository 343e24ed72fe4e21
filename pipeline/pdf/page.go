package pdf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	maxPixels    = 1 << 20   // a side of a page; the longest known fax page is below a tenth of it
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
	// XRes and YRes in pixels per inch, 1 to 10,000; fax pixels are rarely square. Both zero: 204 by 196, fine.
	XRes, YRes float64
	// Strip has all rows, 1 byte to 256 MiB. It is written unchanged and without a check: a damaged strip looks different
	// in every viewer, so decode, repair and encode it again before. Group 4 has the most significant bit first, and black
	// runs print black; Flate has 8-bit samples, rows of differences to the pixel at the left (Predictor 2 of TIFF 6.0).
	Strip []byte
	// Samples of a pixel: 0 for Group 4, 1 for gray (0 is black), 3 for red, green and blue (sRGB) in Flate.
	Samples int
	// Orientation says where the first row and column are seen, as TIFF 6.0 numbers it: 1 (or 0), top and left, is upright; 3 is
	// upside down; 6 and 8 lie on a side; 2, 4, 5 and 7 are mirrored. Width, Height, XRes, YRes and Strip are those of the image
	// as stored; the sheet is upright, and so are the Words.
	Orientation int
	// Words are an invisible text over the image, for search and copy, in reading order; up to 50,000.
	Words []Word
	// Label is the page's name in a viewer, such as its number in the fax; up to 200 bytes. Empty: its number in the document.
	Label string
}

// AddImage adds a page with the image's physical size. It returns the offset of the strip in the document, in bytes. The error
// matches ErrInput, ErrClosed, or is that of the destination. A page of less than a millimetre gets a sheet of one millimetre.
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
	width, height := side(p.Width, p.XRes), side(p.Height, p.YRes)
	if p.Orientation >= 5 {
		width, height = height, width
	}
	box := newMediaBox(width, height)
	place := box.place(width, height, p.Orientation)

	image, content := w.reserve(), w.reserve()
	stripOffset = w.stream(image, fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d%s", p.Width, p.Height, p.coding()), p.Strip)
	resources := fmt.Sprintf("/XObject<</Im %d 0 R>>", image)
	if len(p.Words) == 0 {
		w.stream(content, "", []byte(place))
	} else {
		w.text(content, p, box, place)
		resources += w.words.resource()
	}
	w.addPage(box, resources, content, p.Label)
	return stripOffset, w.err
}

// hair is the least difference between two numbers in our documents.
const hair = 1e-4

// side returns the length of a side of the sheet, in points: that of the image less a hair. Renderers round the pixels of a page up, and
// 1728 pixels at 200 per inch are 622.08 points, of which poppler makes 1729 pixels again.
func side(pixels int, res float64) float64 { return float64(pixels)/res*pointsPerIn - hair }

// coding returns the entries of the image's dictionary for its strip: 8.9.5, 7.4.4.3 and 7.4.6. EndOfBlock has its default: a
// Group 4 strip ends with EOFB, and a strip without EOFB ends with its last row.
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
	case !(p.XRes >= 1 && p.XRes <= maxRes && p.YRes >= 1 && p.YRes <= maxRes): // this form also refuses NaN
		return fmt.Errorf("%w: %g by %g pixels per inch, want 1 to %g each way, or both 0", ErrInput, p.XRes, p.YRes, maxRes)
	case p.Orientation < 0 || p.Orientation > 8:
		return fmt.Errorf("%w: orientation %d, want 1 to 8", ErrInput, p.Orientation)
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

// place returns the operators that draw an image, of this size in points when it is upright, at the top of the sheet. The image
// ends a hair (a 700,000th of an inch) inside its edges: if an edge is exactly on the boundary of a pixel, poppler draws one
// pixel more, and so stretches a page that it draws at its own resolution.
func (b mediaBox) place(widthPoints, heightPoints float64, orientation int) string {
	drawn := func(points float64) float64 { return max(hair, roundDown(points/b.unit)-2*hair) }
	width, height := drawn(widthPoints), drawn(heightPoints)
	bottom := max(hair, roundDown(b.height)-height-hair)
	return "q " + matrix(orientation, width, height, hair, bottom) + " cm/Im Do Q"
}

// matrix maps the unit square of an image (8.9.5.1) onto a rectangle, so that an image that is stored in an orientation is seen upright.
func matrix(orientation int, width, height, left, bottom float64) string {
	right, top := left+width, bottom+height
	var m [6]float64
	switch orientation {
	case 2:
		m = [6]float64{-width, 0, 0, height, right, bottom}
	case 3:
		m = [6]float64{-width, 0, 0, -height, right, top}
	case 4:
		m = [6]float64{width, 0, 0, -height, left, top}
	case 5:
		m = [6]float64{0, -height, -width, 0, right, top}
	case 6:
		m = [6]float64{0, -height, width, 0, left, top}
	case 7:
		m = [6]float64{0, height, width, 0, left, bottom}
	case 8:
		m = [6]float64{0, height, -width, 0, right, bottom}
	default:
		m = [6]float64{width, 0, 0, height, left, bottom}
	}
	text := make([]string, len(m))
	for i, v := range m {
		text[i] = number(v)
	}
	return strings.Join(text, " ")
}

// number writes a real number without exponent, 7.3.3.
func number(f float64) string {
	s := strconv.FormatFloat(roundDown(f), 'f', 4, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// roundDown rounds down to a ten-thousandth. Renderers round the pixels of a page up, and no empty row or column may follow
// the last one of a fax.
func roundDown(f float64) float64 {
	const noise = 1e-3 // error of binary fractions: without it 792 can become 791.9999
	return math.Floor(f*1e4+noise) / 1e4
}
