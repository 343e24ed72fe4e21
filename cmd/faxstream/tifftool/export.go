package tifftool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Export says which page of which file to write, and as what.
type Export struct {
	File     string // - is standard input
	Page     int    // from 1
	Software string // name of the program, for the TIFF

	// To is pbm: the 1-bit rows (P4, 1 is black); png: with nearly square pixels; or tiff: Class F, Group 4.
	// Gray and colour pages stay gray and colour in png and tiff.
	To string
}

// Encode gives the page in the format To. Bad rows are no error: notes gets a line about them, for people.
func (x Export) Encode(ctx context.Context, notes io.Writer) ([]byte, error) {
	f, err := openTIFF(x.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.File, err)
	}
	if n := f.NumPages(); x.Page < 1 || x.Page > n {
		return nil, ArgumentError(fmt.Sprintf("--page %d: %s has %d page(s), counted from 1", x.Page, x.File, n))
	}
	im, err := f.Page(x.Page - 1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.File, err)
	}
	d, err := im.Decode(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.File, err)
	}
	data, err := x.encode(d)
	if err != nil {
		return nil, fmt.Errorf("%s: page %d: %w", x.File, x.Page, err)
	}
	if n := countRows(d.BadRows); n > 0 {
		fmt.Fprintf(notes, "faxstream: %s: page %d: %d of %d rows are damaged, the longest run has %d\n",
			x.File, x.Page, n, d.Raster.Height, d.LongestBadRun)
	}
	return data, nil
}

// encode makes the file in memory: the whole page is in memory anyway, and its size is bounded.
func (x Export) encode(d *tiff.Decoded) ([]byte, error) {
	var b bytes.Buffer
	switch x.To {
	case "pbm":
		writePBM(&b, d.Raster)
		return b.Bytes(), nil
	case "png":
		write := d.Raster.WritePNG
		if d.Tones != nil {
			write = d.Tones.WritePNG
		}
		err := write(&b)
		return b.Bytes(), err
	}
	r := d.Raster
	meta := tiff.PageMeta{Width: r.Width, Height: r.Height, XRes: r.XRes, YRes: r.YRes, Page: 1, Pages: 1, Software: x.Software}
	if n := countRows(d.BadRows); n > 0 {
		// CleanFaxData 1: bad lines were received and regenerated (RFC 2306).
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines, meta.CleanFaxData = n, d.LongestBadRun, 1
	}
	strip, err := d.Strip()
	if err != nil {
		return nil, err
	}
	w := tiff.NewWriter(&b)
	_, err = w.AddPage(meta, strip)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

// writePBM writes the raw form of PBM: a text header, then rows as a raster.Page has them.
func writePBM(b *bytes.Buffer, p *raster.Page) {
	fmt.Fprintf(b, "P4\n%d %d\n", p.Width, p.Height)
	for y := range p.Height {
		b.Write(p.Row(y))
	}
}
