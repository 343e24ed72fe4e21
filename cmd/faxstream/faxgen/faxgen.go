package faxgen

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// generator makes faxes: text that a person can read, from a seed.
type generator struct {
	seed   uint64
	coding string
	face   font.Face
}

// The codings of generated faxes. What spandsp writes, and with it most providers, is the default: Group 3 two-dimensional with fill bits,
// the least significant bit first.
const (
	codingG31D   = "g3-1d"
	codingG4     = "g4"
	codingColour = "colour"
)

func newGenerator(seed uint64, coding string) (*generator, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the built-in font: %w", err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: 12, DPI: 200, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("read the built-in font: %w", err)
	}
	return &generator{seed, coding, face}, nil
}

// A fax line has 1,728 pixels; rows are for 196 lines an inch.
const lineWidth = 1728

var sheets = []struct {
	name string
	rows int
}{{"letter", 2156}, {"A4", 2292}, {"legal", 2744}}

// maxPages is the length of the longest fax.
const maxPages = 12

// fax makes the n-th fax (from 0): the same for the same seed.
func (g *generator) fax(n int) (faxplustest.Fax, error) {
	rng := rand.New(rand.NewPCG(g.seed, uint64(n)))
	f := faxplustest.Fax{
		Session: fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
			rng.Uint32(), rng.Uint32()&0xffff, rng.Uint32()&0xfff, rng.Uint32()&0xfff, rng.Uint64()&0xffffffffffff),
		From:     fmt.Sprintf("+1 334-304-%04d", rng.IntN(10000)),
		To:       fmt.Sprintf("+1 212-555-%04d", rng.IntN(100)),
		Streamed: true,
	}
	sheet, standard := sheets[n%len(sheets)], n/len(sheets)%2 == 1
	pages := make([]*raster.Page, 1+rng.IntN(maxPages))
	for i := range pages {
		pages[i] = g.page(rng, sheet.rows, fmt.Sprintf("%s, page %d of %d, %s", f.Session, i+1, len(pages), sheet.name))
		if standard {
			pages[i] = everySecondRow(pages[i])
		}
	}
	err := g.scan(&f, pages)
	return f, err
}

// scan gives f these pages: each as a file of its own, and all in one.
func (g *generator) scan(f *faxplustest.Fax, pages []*raster.Page) error {
	var whole bytes.Buffer
	all := tiff.NewWriter(&whole)
	for i, p := range pages {
		strip, err := g.strip(p)
		if err != nil {
			return fmt.Errorf("make a fax: %w", err)
		}
		meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes, Page: i + 1, Pages: len(pages)}
		if _, err := all.AddPage(meta, strip); err != nil {
			return fmt.Errorf("make a fax: %w", err)
		}
		one, err := onePage(meta, strip)
		if err != nil {
			return fmt.Errorf("make a fax: %w", err)
		}
		f.Pages = append(f.Pages, one)
	}
	err := all.Close()
	f.Whole = whole.Bytes()
	return err
}

// strip codes a page as the provider would.
func (g *generator) strip(p *raster.Page) (tiff.Strip, error) {
	o := ccitt.G3Options{TwoD: true, Fill: true, RTC: true, LSBFirst: true}
	switch g.coding {
	case codingColour:
		return tiff.TonesStrip(inColour(p))
	case codingG4:
		return tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)), nil
	case codingG31D:
		o = ccitt.G3Options{RTC: true}
	}
	return tiff.G3Strip(ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o), o), nil
}

// inColour prints a page in blue on yellowish paper.
func inColour(p *raster.Page) *raster.Tones {
	t := &raster.Tones{Width: p.Width, Height: p.Height, Samples: 3, XRes: p.XRes, YRes: p.YRes, Pix: make([]byte, 0, 3*p.Width*p.Height)}
	ink, paper := []byte{0x10, 0x20, 0x80}, []byte{0xff, 0xfb, 0xe8}
	for y := range p.Height {
		row := p.Row(y)
		for x := range p.Width {
			if row[x/8]&(0x80>>(x%8)) != 0 {
				t.Pix = append(t.Pix, ink...)
			} else {
				t.Pix = append(t.Pix, paper...)
			}
		}
	}
	return t
}

func onePage(meta tiff.PageMeta, strip tiff.Strip) ([]byte, error) {
	meta.Page, meta.Pages = 1, 1
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	if _, err := w.AddPage(meta, strip); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// page draws one sheet of text at 204 by 196 pixels per inch.
func (g *generator) page(rng *rand.Rand, rows int, title string) *raster.Page {
	img := image.NewAlpha(image.Rect(0, 0, lineWidth, rows))
	d := font.Drawer{Dst: img, Src: image.Opaque, Face: g.face}
	const margin, leading = 120, 46
	line := func(y int, text string) {
		d.Dot = fixed.P(margin, y)
		d.DrawString(text)
	}
	line(150, title)
	for y := 150 + 2*leading; y < rows-100; y += leading {
		var words []string
		for range 9 {
			words = append(words, faxWords[rng.IntN(len(faxWords))])
		}
		line(y, strings.Join(words, " "))
	}
	p := raster.New(lineWidth, rows)
	p.XRes, p.YRes = 204, 196
	for y := range rows {
		row := p.Row(y)
		for x, a := range img.Pix[y*img.Stride:][:lineWidth] {
			if a >= 128 {
				row[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

// everySecondRow is the sheet as a machine scans it at standard resolution.
func everySecondRow(p *raster.Page) *raster.Page {
	s := raster.New(p.Width, p.Height/2)
	s.XRes, s.YRes = p.XRes, p.YRes/2
	for y := range s.Height {
		copy(s.Row(y), p.Row(2*y))
	}
	return s
}

// faxWords is what generated faxes are made of.
var faxWords = strings.Fields(`take one tablet daily with food for ten days refill none patient plaintiff defendant hereby
	agrees court county motion order signed dated witness contract party shall deliver amount due invoice total notice of
	hearing medical record release authorised by doctor pharmacy insurance claim number reference please call back today`)
