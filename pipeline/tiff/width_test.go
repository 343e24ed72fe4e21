package tiff_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// fieldFile reads one of the files that stand for what was met in the field.
func fieldFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "field", name))
	if err != nil {
		t.Skipf("no file of the field at ../shared from the project's root: %v", err)
	}
	return data
}

// The beginnings of the hashes that the README of the field's files gives.
const (
	frameHash  = "a2f4dfe0089508ed"
	secondHash = "a7a72dd45a422bed"
)

func hashOf(p *raster.Page) string {
	sum := p.SHA256()
	return hex.EncodeToString(sum[:])[:len(frameHash)]
}

func wantWarning(t *testing.T, d *tiff.Decoded, part string) {
	t.Helper()
	if !slices.ContainsFunc(d.Warnings, func(w string) bool { return strings.Contains(w, part) }) {
		t.Errorf("warnings %q, none says %q", d.Warnings, part)
	}
}

func TestFieldRowsKeepTheirCodedWidth(t *testing.T) {
	for _, name := range []string{"g3-1d-coded24-tag24.tif", "g3-1d-coded24-tag25.tif"} {
		d := decodeAll(t, fieldFile(t, name))[0]
		if r := d.Raster; r.Width != 24 || r.Height != 8 || hashOf(r) != frameHash || len(d.BadRows) > 0 {
			t.Errorf("%s: %d x %d %s, bad rows %v", name, r.Width, r.Height, hashOf(r), d.BadRows)
		}
		if name == "g3-1d-coded24-tag25.tif" {
			wantWarning(t, d, "ImageWidth 25, the rows are 24 pixels wide")
		}
	}
}

// taggedWidth is a page in Group 3 whose ImageWidth is not that of its rows.
func taggedWidth(p *raster.Page, o ccitt.G3Options, width int) []byte {
	t4Options, fillOrder := uint32(0), uint32(1)
	if o.TwoD {
		t4Options = 1
	}
	if o.LSBFirst {
		fillOrder = 2
	}
	said := *p
	said.Width = width
	return pageFile(3, t4Options, fillOrder, &said, g3(p, o))
}

func TestGroup3RowsAreReadAtTheWidthOnWhichTheyAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	p := textPage(1728, 300)
	for _, said := range []int{1700, 1720, 1727, 1729, 1760, 2048} {
		for _, o := range []ccitt.G3Options{
			{}, {RTC: true}, {Fill: true}, {LSBFirst: true}, {TwoD: true}, {TwoD: true, K: 2, RTC: true}, {TwoD: true, Fill: true, LSBFirst: true},
		} {
			t.Run(fmt.Sprintf("%d %+v", said, o), func(t *testing.T) {
				d := decodeAll(t, taggedWidth(p, o, said))[0]
				if d.Raster.SHA256() != p.SHA256() || len(d.BadRows) > 0 {
					t.Errorf("%d x %d, bad rows %v, warnings %q", d.Raster.Width, d.Raster.Height, d.BadRows, d.Warnings)
				}
				wantWarning(t, d, fmt.Sprintf("ImageWidth %d, the rows are 1728 pixels wide", said))
			})
		}
	}
}

// A page that is damaged and tagged wrong loses the damaged rows only.
func TestDamageDoesNotHideTheCodedWidth(t *testing.T) {
	p := textPage(1728, 300)
	data := taggedWidth(p, ccitt.G3Options{Fill: true}, 1729)
	for at := 3000; at < len(data); at += 2000 {
		data[at] ^= 0x10
	}
	d := decodeAll(t, data)[0]
	bad := 0
	for _, b := range d.BadRows {
		bad += b.Last - b.First + 1
	}
	if d.Raster.Width != 1728 || bad == 0 || bad > 20 {
		t.Errorf("width %d, %d bad rows, warnings %q", d.Raster.Width, bad, d.Warnings)
	}
}

// Some writers leave out the white at the end of a row, so that every row has
// a width of its own.
func TestRowsOfAnyWidthArePaddedWithWhite(t *testing.T) {
	const width, height = 1728, 60
	want := raster.New(width, height)
	var data []byte
	for y := range height {
		black := want.Row(y)[:10+y]
		for i := range black {
			black[i] = 0xf0
		}
		data = ccitt.AppendG3(data, black, len(black)*8, 1, len(black), ccitt.G3Options{Fill: true})
	}
	d := decodeAll(t, pageFile(3, 0, 1, want, data))[0]
	if d.Raster.SHA256() != want.SHA256() || len(d.BadRows) > 0 {
		t.Errorf("%d x %d, bad rows %v", d.Raster.Width, d.Raster.Height, d.BadRows)
	}
	wantWarning(t, d, "rows of other widths are cut or padded with white")
}
