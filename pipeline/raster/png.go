package raster

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// pngLevel is the Deflate level of gray and colour pages. CPU is what we are short of.
const pngLevel = 1

// idatSize is how many bytes go into one IDAT chunk, at most.
const idatSize = 32 << 10

const metersPerInch = 0.0254

// WritePNG writes the page as 1-bit grayscale PNG for OCR and for browsers,
// with the resolution in pHYs. Pixels come out nearly square: rows are doubled
// when the page has about half as many lines per inch as columns (standard
// fax resolution, 204x98), columns are doubled when it has about twice as many
// (superfine, 204x391). Rows are never dropped, and other pages keep their
// pixels. It needs memory for some rows, not for an image.
func (p *Page) WritePNG(w io.Writer) error {
	return writePNG(w, pngSource{
		width: p.Width, height: p.Height, xres: p.XRes, yres: p.YRes, depth: 1, color: pngGray, deflate: p.deflate,
	})
}

// deflate compresses the rows as PNG has them, from top to bottom, repeating columns and rows as asked.
func (p *Page) deflate(w io.Writer, cols, rows int) error {
	d := startRowDeflater(w, 1+(p.Width*cols+7)/8)
	for y := 0; y < p.Height; {
		row, first := p.Row(y), y
		for y++; y < p.Height && bytes.Equal(row, p.Row(y)); y++ {
		}
		line := d.next()
		line[0] = pngFilterNone
		if cols == 2 {
			doubleInvert(line[1:], row)
		} else {
			invert(line[1:], row)
		}
		d.add()
		d.repeat((y-first)*rows - 1)
	}
	return d.close()
}

// Colour types and filters of PNG (third edition, 11.2.1 and 9.2).
const (
	pngGray       = 0
	pngRGB        = 2
	pngFilterNone = 0
	pngFilterSub  = 1
)

// A pngSource is what a PNG shows.
type pngSource struct {
	width, height int     // pixels
	xres, yres    float64 // pixels per inch, 0: unknown
	depth         byte    // bits per sample
	color         byte    // pngGray or pngRGB
	// deflate writes all rows, each with its filter, as a zlib stream, and each pixel of them cols times, and each row rows times.
	deflate func(w io.Writer, cols, rows int) error
}

func writePNG(w io.Writer, src pngSource) error {
	if src.width <= 0 || src.height <= 0 {
		return fmt.Errorf("raster: write PNG: a page of %d x %d pixels has no PNG", src.width, src.height)
	}
	cols, rows := SquareFactors(src.xres, src.yres)
	width, height := src.width*cols, src.height*rows
	if width > math.MaxInt32 || height > math.MaxInt32 {
		return fmt.Errorf("raster: write PNG: %d x %d pixels exceed PNG's 2147483647", width, height)
	}
	pw := &pngWriter{w: w}
	pw.write([]byte("\x89PNG\r\n\x1a\n"))
	pw.chunk("IHDR", ihdr(width, height, src.depth, src.color))
	if src.xres > 0 && src.yres > 0 {
		pw.chunk("pHYs", phys(src.xres*float64(cols), src.yres*float64(rows)))
	}
	pw.fail(src.deflate(idatWriter{pw}, cols, rows))
	pw.chunk("IEND", nil)
	if pw.err != nil {
		return fmt.Errorf("raster: write PNG: %w", pw.err)
	}
	return nil
}

// SquareFactors tells how often a PNG repeats each column and each row of a page of so many pixels per inch across and down, so that its
// pixels are nearly square: 1 or 2. 0 pixels per inch are an unknown resolution.
func SquareFactors(xres, yres float64) (cols, rows int) {
	if xres <= 0 || yres <= 0 {
		return 1, 1
	}
	switch r := yres / xres; {
	case r >= 0.4 && r <= 0.6:
		return 1, 2
	case r >= 1.7 && r <= 2.3:
		return 2, 1
	}
	return 1, 1
}

func ihdr(width, height int, depth, color byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(width))
	b = binary.BigEndian.AppendUint32(b, uint32(height))
	return append(b, depth, color, 0, 0, 0) // Deflate, adaptive filters, no interlace
}

func phys(xres, yres float64) []byte {
	b := binary.BigEndian.AppendUint32(nil, perMeter(xres))
	b = binary.BigEndian.AppendUint32(b, perMeter(yres))
	return append(b, 1) // the unit is the metre
}

func perMeter(perInch float64) uint32 {
	return uint32(min(math.Round(perInch/metersPerInch), math.MaxInt32))
}

// invert writes the row with 1 for white, as PNG grayscale has it.
func invert(dst, row []byte) {
	dst = dst[:len(row)]
	i := 0
	for ; i+8 <= len(row); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], ^binary.LittleEndian.Uint64(row[i:]))
	}
	for ; i < len(row); i++ {
		dst[i] = ^row[i]
	}
}

// doubleInvert does the same with every pixel twice.
func doubleInvert(dst, row []byte) {
	for i, v := range row {
		x := uint16(v)
		x = (x | x<<4) & 0x0f0f
		x = (x | x<<2) & 0x3333
		x = (x | x<<1) & 0x5555
		x = ^(x | x<<1)
		dst[2*i] = byte(x >> 8)
		if 2*i+1 < len(dst) {
			dst[2*i+1] = byte(x)
		}
	}
}

// A pngWriter writes chunks and keeps the first error.
type pngWriter struct {
	w       io.Writer
	err     error
	scratch []byte
}

func (p *pngWriter) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *pngWriter) write(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

func (p *pngWriter) chunk(name string, data []byte) {
	p.scratch = binary.BigEndian.AppendUint32(p.scratch[:0], uint32(len(data)))
	p.scratch = append(p.scratch, name...)
	crc := crc32.Update(crc32.ChecksumIEEE(p.scratch[4:]), crc32.IEEETable, data)
	p.write(p.scratch)
	p.write(data)
	p.scratch = binary.BigEndian.AppendUint32(p.scratch[:0], crc)
	p.write(p.scratch)
}

// An idatWriter puts what the compressor delivers into IDAT chunks, one a write.
type idatWriter struct{ p *pngWriter }

func (w idatWriter) Write(b []byte) (int, error) {
	if len(b) > 0 {
		w.p.chunk("IDAT", b)
	}
	return len(b), w.p.err
}
