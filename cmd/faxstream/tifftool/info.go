package tifftool

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

// infoLine is a page as printed in JSON. Null is what could not be found out.
type infoLine struct {
	File          string   `json:"file"`
	Page          *int     `json:"page"` // from 1; null for a file that cannot be read
	Pages         *int     `json:"pages"`
	Width         *int     `json:"width"`        // pixels
	Height        *int     `json:"height"`       // rows as found; of a page that cannot be decoded, as ImageLength says
	XResolution   *float64 `json:"x_resolution"` // pixels an inch, as the tags say; 0: the file does not say
	YResolution   *float64 `json:"y_resolution"`
	Compression   *int     `json:"compression"` // the TIFF tag's number
	Coding        *string  `json:"coding"`      // as found, which the tag may contradict
	FillOrder     *int     `json:"fill_order"`
	RasterSHA256  *string  `json:"raster_sha256"` // of the 1-bit raster, see raster.Page.SHA256
	BlackPixels   *int     `json:"black_pixels"`
	BadRows       *int     `json:"bad_rows"`
	LongestBadRun *int     `json:"longest_bad_run"` // rows

	// What the receiving fax machine says of the rows (RFC 2306 section 4.2.3); null: nothing.
	ReceivedBadRows       *int `json:"received_bad_rows"`
	ReceivedLongestBadRun *int `json:"received_longest_bad_run"`
	ReceivedCleanFaxData  *int `json:"received_clean_fax_data"` // 0 no bad rows, 1 made again by the receiver, 2 still bad

	Orientation       *int    `json:"orientation"`        // of the pixels as stored, as in TIFF 6.0; 1: upright
	ResolutionAssumed *string `json:"resolution_assumed"` // which resolution is used instead of that of the tags, and why; null: none

	Warnings []string `json:"warnings"`
	Error    *string  `json:"error"`
}

// Info prints to out a line for every page of the files, as a table or as JSON Lines; the file - is standard input. Damage that could be
// repaired is no error.
func Info(ctx context.Context, out io.Writer, files []string, asJSON bool) error {
	return printPages(ctx, out, files, asJSON, "FILE\tPAGE\tPIXELS\tPER INCH\tCODING\tBLACK\tBAD ROWS\tNOTES", describePage)
}

// describePage decodes a page. Its error is in the line; the error returned is that of ctx.
func describePage(ctx context.Context, p tiffPage) (pageLine, error) {
	l := infoLine{
		File: p.file, Page: knownInt(p.page), Pages: knownInt(p.pages), Warnings: []string{}, Error: knownString(errorText(p.err)),
	}
	if p.others > 0 {
		l.Warnings = append(l.Warnings, fmt.Sprintf("images of the file that are not pages (thumbnails, masks): %d", p.others))
	}
	if p.behind != nil {
		l.Warnings = append(l.Warnings, p.behind.Error())
	}
	if p.image == nil {
		return l, nil
	}
	im := p.image
	l.Width, l.Height, l.XResolution, l.YResolution = &im.Width, knownInt(im.Height), &im.XRes, &im.YRes
	l.Compression, l.FillOrder = &im.Compression, &im.FillOrder
	d, err := im.Decode(ctx)
	if err != nil {
		if ended(err) {
			return l, context.Cause(ctx)
		}
		l.Error = knownString(err.Error())
		return l, nil
	}
	r := d.Raster
	l.Height, l.Coding, l.RasterSHA256 = &r.Height, &d.Coding, new(fmt.Sprintf("%x", r.SHA256()))
	l.BlackPixels, l.BadRows, l.LongestBadRun = new(r.BlackPixels()), new(countRows(d.BadRows)), &d.LongestBadRun
	l.received(d.Received)
	l.Orientation, l.ResolutionAssumed = new(int(d.Orientation)), knownString(d.Resolution.Assumed)
	l.Warnings = append(l.Warnings, d.Warnings...)
	if err := im.Truncated(); err != nil && len(d.Warnings) == 0 { // the decoder misses rows, not a resolution
		l.Warnings = append(l.Warnings, err.Error())
	}
	return l, nil
}

// received says what the receiving fax machine told.
func (l *infoLine) received(r tiff.Received) {
	if !r.Told {
		return
	}
	l.ReceivedBadRows, l.ReceivedLongestBadRun = &r.BadRows, &r.Consecutive
	if r.CleanFaxData >= 0 {
		l.ReceivedCleanFaxData = &r.CleanFaxData
	}
}

func (l infoLine) failed() bool { return l.Error != nil }

func (l infoLine) text() string {
	page, pixels, perInch, coding, black, badRows := "-", "-", "-", "-", "-", "-"
	if l.Page != nil {
		page = fmt.Sprintf("%d/%d", *l.Page, *l.Pages)
	}
	if l.Width != nil {
		height := "?"
		if l.Height != nil {
			height = strconv.Itoa(*l.Height)
		}
		pixels = fmt.Sprintf("%dx%s", *l.Width, height)
		perInch = decimal(*l.XResolution) + "x" + decimal(*l.YResolution)
		coding = "compression " + strconv.Itoa(*l.Compression)
	}
	if l.Coding != nil {
		coding = *l.Coding
		black = fmt.Sprintf("%.1f%%", 100*float64(*l.BlackPixels)/(float64(*l.Width)*float64(*l.Height)))
		badRows = strconv.Itoa(*l.BadRows)
		if *l.BadRows > 0 {
			badRows += fmt.Sprintf(" (run of %d)", *l.LongestBadRun)
		}
		if l.ReceivedBadRows != nil {
			badRows += fmt.Sprintf(", receiver %d", *l.ReceivedBadRows)
		}
	}
	notes := "ok"
	switch n := len(l.Warnings); {
	case l.Error != nil:
		notes = "ERROR: " + *l.Error
	case n == 0 && *l.BadRows > 0:
		notes = "damaged"
	case n > 0:
		notes = strings.Join(l.Warnings, "; ")
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", l.File, page, pixels, perInch, coding, black, badRows, notes)
}

// decimal writes a resolution short: one decimal at most, ? for one that the file does not give.
func decimal(v float64) string {
	if v == 0 {
		return "?"
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
