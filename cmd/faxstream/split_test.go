package main

import (
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// split makes a file of each page of a fax.
func split(t testing.TB, whole []byte) [][]byte {
	t.Helper()
	f, err := tiff.Parse(whole, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var pages [][]byte
	for i := range f.NumPages() {
		pages = append(pages, fileOf(t, decodePage(t, f, i)))
	}
	return pages
}

func fileOf(t testing.TB, p *raster.Page) []byte {
	t.Helper()
	strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	b, err := onePage(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes}, strip)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tiny is a page of one pixel whose resolution is nonsense.
func tiny(t testing.TB) []byte {
	t.Helper()
	p := raster.New(1, 1)
	p.XRes, p.YRes = 0.5, 0.5
	return fileOf(t, p)
}
