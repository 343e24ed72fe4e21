package raster

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// Tones is a gray or colour page in memory: 8-bit samples.
type Tones struct {
	Width, Height int    // pixels, rows
	Samples       int    // a pixel: 1 (gray, 0 is black) or 3 (red, green, blue)
	Pix           []byte // Height rows of Width*Samples bytes

	// XRes and YRes are pixels per inch; zero when the file does not say.
	XRes, YRes float64
}

// Row returns the Width*Samples bytes of row y, counted from 0 at the top. The
// slice shares the page's memory.
func (t *Tones) Row(y int) []byte {
	n := t.Width * t.Samples
	return t.Pix[y*n : (y+1)*n]
}

// SHA256 returns the hash over the rows from top to bottom.
func (t *Tones) SHA256() [sha256.Size]byte { return sha256.Sum256(t.Pix[:t.Height*t.Width*t.Samples]) }

// Bilevel returns the page in black and white, as a fax machine would send it:
// black is what is not lighter than the threshold between paper and ink. The
// page itself decides on it (N. Otsu, "A threshold selection method from
// gray-level histograms", 1979); on a page of next to one tone, the middle.
func (t *Tones) Bilevel() *Page { return t.bilevel(t.threshold()) }

// bilevel makes black what is not lighter than limit.
func (t *Tones) bilevel(limit byte) *Page {
	p := New(t.Width, t.Height)
	p.XRes, p.YRes = t.XRes, t.YRes
	for y := range t.Height {
		row, dst := t.Row(y), p.Row(y)
		for x := range t.Width {
			if t.gray(row, x) <= limit {
				dst[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

// gray is the luma (ITU-R BT.601) of pixel x of a row.
func (t *Tones) gray(row []byte, x int) byte {
	if t.Samples == 1 {
		return row[x]
	}
	r, g, b := uint32(row[3*x]), uint32(row[3*x+1]), uint32(row[3*x+2])
	return byte((19595*r + 38470*g + 7471*b + 1<<15) >> 16)
}

// leastContrast is by how much the means of ink and paper must differ to be two things.
const leastContrast = 32

// threshold returns the lightest gray that is ink.
func (t *Tones) threshold() byte {
	const middle = 127
	var count [256]int
	for y := range t.Height {
		row := t.Row(y)
		for x := range t.Width {
			count[t.gray(row, x)]++
		}
	}
	pixels, sum := 0, 0
	for v, n := range count {
		pixels, sum = pixels+n, sum+v*n
	}
	best, limit, contrast := -1.0, byte(middle), 0.0
	dark, darkSum := 0, 0
	for v, n := range count {
		dark, darkSum = dark+n, darkSum+v*n
		if dark == 0 || dark == pixels {
			continue
		}
		difference := float64(sum-darkSum)/float64(pixels-dark) - float64(darkSum)/float64(dark)
		if between := float64(dark) * float64(pixels-dark) * difference * difference; between > best {
			best, limit, contrast = between, byte(v), difference
		}
	}
	if contrast < leastContrast {
		return middle
	}
	return limit
}

// WritePNG writes the page as 8-bit gray or RGB PNG; resolution and repeated
// rows and columns are those of [Page.WritePNG].
func (t *Tones) WritePNG(w io.Writer) error {
	src := pngSource{
		width: t.Width, height: t.Height, xres: t.XRes, yres: t.YRes, depth: 8, color: pngGray, deflate: t.deflate,
	}
	if t.Samples == 3 {
		src.color = pngRGB
	}
	return writePNG(w, src)
}

// A tonesDeflater is a compressor, what it writes to, and a row.
type tonesDeflater struct {
	chunks *bufio.Writer
	zlib   *zlib.Writer
	line   []byte
}

// tonesDeflaters wait for the next page: each has some 600 KB of tables.
var tonesDeflaters sync.Pool

func newTonesDeflater(w io.Writer) (*tonesDeflater, error) {
	if d, ok := tonesDeflaters.Get().(*tonesDeflater); ok {
		d.chunks.Reset(w)
		d.zlib.Reset(d.chunks)
		return d, nil
	}
	chunks := bufio.NewWriterSize(w, idatSize)
	z, err := zlib.NewWriterLevel(chunks, pngLevel)
	return &tonesDeflater{chunks: chunks, zlib: z}, err
}

// end gives the compressor to the next page.
func (d *tonesDeflater) end() {
	d.chunks.Reset(nil)
	if cap(d.line) <= idatSize {
		tonesDeflaters.Put(d)
	}
}

// deflate compresses the rows as PNG has them, from top to bottom, repeating columns and rows as asked.
func (t *Tones) deflate(w io.Writer, cols, rows int) error {
	d, err := newTonesDeflater(w)
	if err != nil {
		return err
	}
	defer d.end()
	d.line = zeros(d.line, 1+t.Width*cols*t.Samples)
	for y := range t.Height {
		t.pngRow(d.line, y, cols)
		for range rows {
			if _, err := d.zlib.Write(d.line); err != nil {
				return err
			}
		}
	}
	return errors.Join(d.zlib.Close(), d.chunks.Flush())
}

// pngRow fills a line with the differences between neighbours, which compress better than samples.
func (t *Tones) pngRow(line []byte, y, cols int) {
	line[0] = pngFilterSub
	row, out := t.Row(y), line[1:]
	for x := range t.Width {
		for range cols {
			out = out[copy(out, row[x*t.Samples:(x+1)*t.Samples]):]
		}
	}
	Differences(line[1:], t.Samples)
}

// Differences replaces every sample of a row but the first pixel's by its
// difference from its neighbour to the left: TIFF's Predictor 2 (TIFF 6.0
// section 14), PDF's, and PNG's filter Sub.
func Differences(row []byte, samples int) {
	for i := len(row) - 1; i >= samples; i-- {
		row[i] -= row[i-samples]
	}
}
