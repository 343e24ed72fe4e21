package intake

import (
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// PageMeta describes a page, page from 1, for a TIFF of `pages` pages. The fact of an older version may have a resolution that no sheet
// has: it is decided again from the size of the page.
func PageMeta(f session.PageArchived, page, pages int) tiff.PageMeta {
	r := raster.ResolutionTags{X: f.XResolution, Y: f.YResolution, Width: f.Width, Height: f.Height, Tones: f.Samples > 0}.Decide()
	meta := tiff.PageMeta{
		Width: f.Width, Height: f.Height, XRes: r.X, YRes: r.Y, Page: page, Pages: pages, Orientation: raster.Orientation(f.Orientation),
		BadFaxLines: f.BadRows, ConsecutiveBadFaxLines: f.LongestBad,
	}
	if f.BadRows > 0 {
		meta.CleanFaxData = 1 // bad lines were received and regenerated (RFC 2306 section 4.2.3)
	}
	if f.Received != nil { // what the receiver lost stays lost, although the rows that it wrote decode well
		meta.BadFaxLines = max(meta.BadFaxLines, f.Received.BadRows)
		meta.ConsecutiveBadFaxLines = max(meta.ConsecutiveBadFaxLines, f.Received.LongestBad)
		if c := f.Received.CleanFaxData; c != nil {
			meta.CleanFaxData = max(meta.CleanFaxData, *c)
		}
	}
	return meta
}
