//go:build !race

package intake

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A page takes the memory of the page before it. The figures have room for what the garbage collector takes from other pools. Under the
// race detector sync.Pool drops a part of what it gets, so there is nothing to measure then.
func TestNoPageIsAllocatedAnew(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "a4-fine-g4.tiff"))
	if err != nil {
		t.Fatal(err)
	}
	d, pixels := NewDecoder(1), 0
	allocated := func(use func(Image)) int {
		const pages = 20
		var before, after runtime.MemStats
		for i := range 1 + pages {
			if i == 1 { // the pool is warm
				runtime.ReadMemStats(&before)
			}
			m, err := d.Page(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			pixels = len(m.Raster.Pix)
			use(m)
			m.Release()
		}
		runtime.ReadMemStats(&after)
		return int(after.TotalAlloc-before.TotalAlloc) / pages
	}
	decoding := allocated(func(Image) {})
	all := allocated(func(m Image) {
		upright, tones := m.Upright()
		upright.Quality()
		if err := png(io.Discard, upright, tones); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("bytes allocated for a page of %d bytes of pixels: %d to decode it, %d with quality and PNG", pixels, decoding, all)
	if decoding > pixels/20 {
		t.Errorf("%d bytes allocated to decode a page of %d bytes", decoding, pixels)
	}
	if all > pixels/5 {
		t.Errorf("%d bytes allocated to decode and measure a page of %d bytes and to write its PNG", all, pixels)
	}
}
