package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/storage/local"
)

// Beside the objects of a page are those of thousands of others: each costs a list of the page at most its name.
func TestTheListOfAPageDoesNotLookAtOtherPages(t *testing.T) {
	list := func(pages int) float64 {
		s := longFax(t, pages)
		return testing.AllocsPerRun(5, func() { listLast(t, s, pages) })
	}
	const few, many = 20, 420
	if each := (list(many) - list(few)) / (kindsOfAPage * (many - few)); each > 1.2 {
		t.Errorf("an object of another page costs %.1f allocations, want its name only", each)
	}
}

// BenchmarkListOnePage lists the objects of the last page of a fax of many pages, as the page worker does for a page that may have been
// fetched before.
func BenchmarkListOnePage(b *testing.B) {
	for _, pages := range []int{100, 500, 2000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			s := longFax(b, pages)
			b.ReportAllocs()
			for b.Loop() {
				listLast(b, s, pages)
			}
		})
	}
}

const kindsOfAPage = 3

// longFax is a store that has a fax of many pages.
func longFax(t testing.TB, pages int) *local.Store {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, "faxes/s/pages"), 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range pages {
		for _, kind := range [kindsOfAPage]string{"tiff", "tiff.json", "png"} {
			name := filepath.Join(dir, "faxes/s/pages", fmt.Sprintf("%04d.0123456789abcdef.%s", n+1, kind))
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// listLast lists the objects of the last page.
func listLast(t testing.TB, s *local.Store, pages int) {
	n := 0
	for _, err := range s.List(t.Context(), fmt.Sprintf("faxes/s/pages/%04d.", pages), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != kindsOfAPage {
		t.Fatalf("%d objects of a page, want %d", n, kindsOfAPage)
	}
}
