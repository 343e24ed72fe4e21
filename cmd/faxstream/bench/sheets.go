package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// sheets makes the pages that are sent.
type sheets struct {
	text *raster.Page // a dense page: 76 KB in Group 4
}

// newSheets reads a sheet of text, and prints the same text once more between its lines.
func newSheets(path string) (*sheets, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return nil, err
	}
	page, err := file.Page(0)
	if err != nil {
		return nil, err
	}
	d, err := page.Decode(context.Background())
	if err != nil {
		return nil, err
	}
	const lower = 10 // rows
	for y := d.Raster.Height - 1; y >= lower; y-- {
		for i, above := range d.Raster.Row(y - lower) {
			d.Raster.Row(y)[i] |= above
		}
	}
	return &sheets{d.Raster}, nil
}

// fax makes a fax of n different pages of text, with its whole file, in Group 4 at 204 by 196 pixels an inch. The pages are the sheet,
// each a row further down.
func (s *sheets) fax(n int) (faxplustest.Fax, error) {
	pages := make([]*raster.Page, n)
	for i := range pages {
		p := raster.New(s.text.Width, s.text.Height)
		p.XRes, p.YRes = s.text.XRes, s.text.YRes
		for y := range p.Height {
			copy(p.Row(y), s.text.Row((y+p.Height-i%p.Height)%p.Height))
		}
		pages[i] = p
	}
	return scan(pages)
}

// small makes a fax of n pages of noise, of about 2 KB: little work, for many of them.
func (s *sheets) small(n int) (faxplustest.Fax, error) {
	pages, rng := make([]*raster.Page, n), rand.New(rand.NewPCG(1, 2))
	for i := range pages {
		p := raster.New(200, 40)
		p.XRes, p.YRes = 204, 98
		for k := range p.Pix {
			p.Pix[k] = byte(rng.Uint32())
		}
		pages[i] = p
	}
	return scan(pages)
}

// scan is a fax of these pages: each as a file of its own, and all in one.
func scan(pages []*raster.Page) (f faxplustest.Fax, err error) {
	f.Streamed = true
	var whole bytes.Buffer
	all := tiff.NewWriter(&whole)
	for i, p := range pages {
		strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
		meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes, Page: i + 1, Pages: len(pages)}
		if _, err := all.AddPage(meta, strip); err != nil {
			return f, err
		}
		meta.Page, meta.Pages = 1, 1
		var one bytes.Buffer
		w := tiff.NewWriter(&one)
		if _, err := w.AddPage(meta, strip); err != nil {
			return f, err
		}
		if err := w.Close(); err != nil {
			return f, err
		}
		f.Pages = append(f.Pages, one.Bytes())
	}
	err = all.Close()
	f.Whole = whole.Bytes()
	return f, err
}

// huge is a file of one page of 24 MB of raw bits: the sheet, eight times beside itself and six times below.
func (s *sheets) huge() []byte {
	const across, down = 8, 6
	width, height := s.text.Width*across, s.text.Height*down
	const entries, start = 9, 8
	end := start + width/8*height
	b := binary.LittleEndian.AppendUint32([]byte("II*\x00"), uint32(end))
	for range down {
		for y := range s.text.Height {
			b = append(b, bytes.Repeat(s.text.Row(y)[:s.text.Width/8], across)...)
		}
	}
	b = binary.LittleEndian.AppendUint16(b, entries)
	for _, e := range [entries][3]int{ // tag, type (3 SHORT, 4 LONG), value
		{256, 4, width}, {257, 4, height}, {258, 3, 1}, {259, 3, 1}, {262, 3, 0}, // no compression, white is 0
		{273, 4, start}, {277, 3, 1}, {278, 4, height}, {279, 4, end - start},
	} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint32(b, uint32(e[2]))
	}
	return binary.LittleEndian.AppendUint32(b, 0)
}

// named gives copies of a fax sessions of their own.
func named(f faxplustest.Fax, run string, n int) []faxplustest.Fax {
	faxes := make([]faxplustest.Fax, n)
	for i := range faxes {
		faxes[i] = f
		faxes[i].Session = fmt.Sprintf("%s-%d", run, i)
	}
	return faxes
}
