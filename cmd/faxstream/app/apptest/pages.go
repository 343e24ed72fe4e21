package apptest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Split makes a file of each page of a fax.
func Split(t testing.TB, whole []byte) [][]byte {
	t.Helper()
	f, err := tiff.Parse(whole, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var pages [][]byte
	for i := range f.NumPages() {
		pages = append(pages, FileOf(t, DecodePage(t, f, i)))
	}
	return pages
}

// FileOf is a page as a file of its own, in Group 4.
func FileOf(t testing.TB, p *raster.Page) []byte {
	t.Helper()
	strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	return OnePage(t, tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}, strip)
}

// Tiny is a page of one pixel whose resolution is wrong.
func Tiny(t testing.TB) []byte {
	t.Helper()
	p := raster.New(1, 1)
	p.XRes, p.YRes = 0.5, 0.5
	return FileOf(t, p)
}

// OnePage is a file of one page.
func OnePage(t testing.TB, meta tiff.PageMeta, strip tiff.Strip) []byte {
	t.Helper()
	meta.Page, meta.Pages = 1, 1
	return pipelinetest.StripFile(t, meta, strip)
}

// PixelsOf tells the image of a file of one page from another.
func PixelsOf(t testing.TB, page []byte) string {
	t.Helper()
	f, err := tiff.Parse(page, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return PixelsOfPage(t, f, 0)
}

// PixelsOfPage tells the image of page i, from 0, from another.
func PixelsOfPage(t testing.TB, f *tiff.File, i int) string {
	t.Helper()
	return Pixels(Decoded(t, f, i))
}

// Pixels tells one image from another.
func Pixels(d *tiff.Decoded) string {
	sum := d.Raster.SHA256()
	if d.Tones != nil {
		sum = d.Tones.SHA256()
	}
	return fmt.Sprintf("%dx%d %x", d.Raster.Width, d.Raster.Height, sum[:8])
}

// DecodePage gives page i, from 0, as bits.
func DecodePage(t testing.TB, f *tiff.File, i int) *raster.Page {
	t.Helper()
	return Decoded(t, f, i).Raster
}

// Decoded decodes page i, from 0.
func Decoded(t testing.TB, f *tiff.File, i int) *tiff.Decoded {
	t.Helper()
	im, err := f.Page(i)
	if err != nil {
		t.Fatal(err)
	}
	d, err := im.Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Describe tells one raster from another, for people too.
func Describe(p *raster.Page) string {
	return fmt.Sprintf("%dx%d, %d black, %x", p.Width, p.Height, p.BlackPixels(), sha256.Sum256(p.Pix))
}

// Parse reads a TIFF file.
func Parse(t testing.TB, data []byte) *tiff.File {
	t.Helper()
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Scan makes what a provider has of the pages of a fax, in Group 3 two-dimensional as most send it: a file of each, and one of all.
func Scan(t testing.TB, pages []*raster.Page) (files [][]byte, whole []byte) {
	t.Helper()
	var b bytes.Buffer
	all := tiff.NewWriter(&b)
	o := ccitt.G3Options{TwoD: true, Fill: true, RTC: true, LSBFirst: true}
	for i, p := range pages {
		strip := tiff.G3Strip(ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o), o)
		meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}
		files = append(files, OnePage(t, meta, strip))
		meta.Page, meta.Pages = i+1, len(pages)
		if _, err := all.AddPage(meta, strip); err != nil {
			t.Fatal(err)
		}
	}
	if err := all.Close(); err != nil {
		t.Fatal(err)
	}
	return files, b.Bytes()
}
