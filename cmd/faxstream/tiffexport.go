package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

type tiffExportCmd struct {
	Page   int    `default:"1" placeholder:"N" help:"The page, from 1. Default ${default}."`
	To     string `required:"" enum:"pbm,png,tiff" placeholder:"FORMAT" help:"${enum}. pbm: the 1-bit rows (P4, 1 is black). png: with near-square pixels, as for OCR. tiff: Class F, Group 4. Gray and colour stay so in png and tiff."`
	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to write; made anew or replaced only when all is there. Default: stdout, which must not be a terminal."`
	File   string `arg:"" type:"existingfile" help:"TIFF file; - is standard input."`
}

// Run writes one page. Bad rows are no error, but people are told.
func (c tiffExportCmd) Run(ctx context.Context, e env) error {
	if err := checkOutput(e, c.Output, c.To); err != nil {
		return err
	}
	f, err := openTIFF(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if n := f.NumPages(); c.Page < 1 || c.Page > n {
		return usagef("--page %d: %s has %d page(s), counted from 1", c.Page, c.File, n)
	}
	im, err := f.Page(c.Page - 1)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	d, err := im.Decode(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	data, err := c.encode(d)
	if err != nil {
		return fmt.Errorf("%s: page %d: %w", c.File, c.Page, err)
	}
	if n := countRows(d.BadRows); n > 0 {
		fmt.Fprintf(e.stderr, "faxstream: %s: page %d: %d of %d rows are damaged, the longest run has %d\n", c.File, c.Page, n, d.Raster.Height, d.LongestBadRun)
	}
	if c.Output == "" {
		_, err := e.stdout.Write(data)
		return err
	}
	return writeFile(c.Output, bytes.NewReader(data))
}

// encode makes the file that is asked for, in memory: the page is there as a whole anyway, and is bounded.
func (c tiffExportCmd) encode(d *tiff.Decoded) ([]byte, error) {
	var b bytes.Buffer
	switch c.To {
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
	meta := tiff.PageMeta{Width: r.Width, Height: r.Height, XRes: r.XRes, YRes: r.YRes, Software: "faxstream " + softwareVersion()}
	if n := countRows(d.BadRows); n > 0 {
		// CleanFaxData 1: bad lines were received and regenerated (RFC 2306).
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines, meta.CleanFaxData = n, d.LongestBadRun, 1
	}
	strip, err := d.Strip()
	if err != nil {
		return nil, err
	}
	return onePage(meta, strip)
}

// writePBM writes the raw form of PBM: a text header, then rows as a raster.Page has them.
func writePBM(b *bytes.Buffer, p *raster.Page) {
	fmt.Fprintf(b, "P4\n%d %d\n", p.Width, p.Height)
	for y := range p.Height {
		b.Write(p.Row(y))
	}
}
