package tiff_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

// pagesOf returns the first page of each of our test files, of several codings and heights.
func pagesOf(t *testing.T) []*tiff.Image {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "*.tiff"))
	if err != nil || len(files) < 3 {
		t.Fatal("no test pages", err)
	}
	var pages []*tiff.Image
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := tiff.Parse(data, tiff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		page, err := f.Page(0)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page)
	}
	return pages
}

// In memory that other pages have used before, a page has the pixels that it has in new memory, whoever else decodes.
func TestAPoolGivesEveryPageItsOwnPixels(t *testing.T) {
	pages := pagesOf(t)
	pool := tiff.NewPool(3)
	var all sync.WaitGroup
	for start := range 4 {
		all.Go(func() {
			var held *tiff.Decoded // a page is used while another one is decoded
			var pix []byte
			for i := range 3 * len(pages) {
				page := pages[(start+i)%len(pages)]
				want, err := page.Decode(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				d, err := pool.Decode(t.Context(), page)
				if err != nil {
					t.Error(err)
					return
				}
				if held != nil && !bytes.Equal(held.Raster.Pix, pix) {
					t.Error("a page changed while another one was decoded")
				}
				held.Release()
				if held, pix = d, want.Raster.Pix; !bytes.Equal(d.Raster.Pix, pix) {
					t.Errorf("page %d has other pixels", i)
				}
			}
		})
	}
	all.Wait()
}

// A released page has no pixels that anybody could mistake for its own.
func TestAReleasedPageHasNoPixels(t *testing.T) {
	page := pagesOf(t)[0]
	pool := tiff.NewPool(2)
	d, err := pool.Decode(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	upright, _ := d.Upright()
	again := *d
	d.Release()
	again.Release() // would give the same memory to two pages
	if d.Raster.Pix != nil || upright.Pix != nil {
		t.Fatal("pixels after Release")
	}
	first, err := pool.Decode(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pool.Decode(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	if &first.Raster.Pix[0] == &second.Raster.Pix[0] {
		t.Error("two pages have the same memory")
	}
	clear(first.Raster.Pix)
	if bytes.Equal(first.Raster.Pix, second.Raster.Pix) {
		t.Error("the second page is white")
	}
	(*tiff.Decoded)(nil).Release()
	unpooled, err := page.Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if unpooled.Release(); unpooled.Raster.Pix == nil {
		t.Error("Release took the pixels of a page that is of no pool")
	}
}
