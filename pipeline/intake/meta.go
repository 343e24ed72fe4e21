package intake

import (
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// plausible reports whether a resolution in pixels per inch can be one of a sheet of paper.
func plausible(perInch float64) bool { return perInch >= 10 && perInch <= 5000 }

// PageMeta describes a page, page from 1, for a TIFF of `pages` pages. A page without a plausible resolution gets that of a fine fax.
func PageMeta(f session.PageArchived, page, pages int) tiff.PageMeta {
	meta := tiff.PageMeta{Width: f.Width, Height: f.Height, XRes: f.XResolution, YRes: f.YResolution, Page: page, Pages: pages}
	if !plausible(meta.XRes) || !plausible(meta.YRes) {
		meta.XRes, meta.YRes = 204, 196
	}
	if f.BadRows > 0 {
		// CleanFaxData 1: bad lines were received and regenerated (RFC 2306).
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines, meta.CleanFaxData = f.BadRows, f.LongestBad, 1
	}
	return meta
}
