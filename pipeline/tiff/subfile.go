package tiff

import "fmt"

// What an image is besides a page, by NewSubfileType and by the older
// SubfileType (TIFF 6.0 section 8).
const (
	subfileReduced    = 1 << 0 // a smaller view of another image of the file
	subfileMask       = 1 << 2 // which pixels of another image count
	oldSubfileReduced = 2
)

// keepPages moves the IFDs that are not pages from ifds to other. A file of
// nothing else has them for pages: some writers mark every page so.
func (f *File) keepPages() {
	var pages, other []uint64
	for _, at := range f.ifds {
		if f.isPage(at) {
			pages = append(pages, at)
		} else {
			other = append(other, at)
		}
	}
	switch {
	case len(pages) > 0:
		f.ifds, f.other = pages, other
	case len(f.ifds) > f.lim.MaxPages:
		f.ifds, f.chain = f.ifds[:f.lim.MaxPages], fmt.Errorf("tiff: more than %d pages: %w", f.lim.MaxPages, ErrLimit)
	}
}

// isPage tells by its two fields whether the IFD at offset at is a page.
func (f *File) isPage(at uint64) bool {
	kind, old := f.field(at, tagNewSubfileType), f.field(at, tagSubfileType)
	return int(f.number(kind))&(subfileReduced|subfileMask) == 0 && f.number(old) != oldSubfileReduced
}
