package local_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkListOnePage lists the objects of the last page of a fax of many pages, as the page worker does for a page that may have been
// fetched before.
func BenchmarkListOnePage(b *testing.B) {
	for _, pages := range []int{100, 500, 2000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			dir := b.TempDir()
			s := open(b, dir)
			sum := sha256.Sum256(nil)
			if err := s.Create(b.Context(), "faxes/s/pages/0001.0.tiff", bytes.NewReader(nil), 0, sum); err != nil {
				b.Fatal(err)
			}
			for n := range pages {
				for _, kind := range []string{"tiff", "tiff.json", "png"} {
					name := filepath.Join(dir, "faxes/s/pages", fmt.Sprintf("%04d.0123456789abcdef.%s", n+1, kind))
					if err := os.WriteFile(name, nil, 0o600); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range s.List(b.Context(), fmt.Sprintf("faxes/s/pages/%04d.", pages), "") {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != 3 {
					b.Fatalf("%d objects of a page, want 3", n)
				}
			}
		})
	}
}
