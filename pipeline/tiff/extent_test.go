package tiff_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

func TestFieldFileWithoutByteCounts(t *testing.T) {
	data := fieldFile(t, "g3-nocount.tif")
	d := decodeAll(t, data)[0]
	if hashOf(d.Raster) != frameHash || len(d.BadRows) > 0 {
		t.Errorf("%s, bad rows %v, warnings %q", hashOf(d.Raster), d.BadRows, d.Warnings)
	}
}

// stripsFile has strips in order, then an IFD with its values behind it, as
// most writers lay out a file. Counts may say anything; nil leaves them out.
func stripsFile(compression, height, rowsPerStrip uint32, width int, strips [][]byte, counts []uint32) []byte {
	le := binary.LittleEndian
	file := []byte{'I', 'I', 42, 0, 0, 0, 0, 0}
	var offsets []uint32
	for _, s := range strips {
		offsets = append(offsets, uint32(len(file)))
		file = append(file, s...)
	}
	file = append(file, make([]byte, len(file)&1)...)
	n := 7
	if counts == nil {
		n = 6
	}
	le.PutUint32(file[4:], uint32(len(file)))
	values := uint32(len(file) + 2 + 12*n + 4)
	array := func(tag uint16, vs []uint32) field {
		if len(vs) == 1 {
			return field{tag, 4, 1, vs[0]}
		}
		at := values
		values += 4 * uint32(len(vs))
		return field{tag, 4, uint32(len(vs)), at}
	}
	fields := []field{
		{256, 4, 1, uint32(width)}, {257, 4, 1, height}, {259, 3, 1, compression}, {262, 3, 1, 0}, array(273, offsets), {278, 4, 1, rowsPerStrip},
	}
	if counts != nil {
		fields = append(fields, array(279, counts))
	}
	file = append(file, handMade(0, nil, fields...)[8:]...)
	for _, vs := range [][]uint32{offsets, counts} {
		for _, v := range vs {
			if len(vs) > 1 {
				file = le.AppendUint32(file, v)
			}
		}
	}
	return file
}

// codings are pages in the codings that a strip can be cut in.
var stripCodings = []struct {
	name        string
	compression uint32
	encode      func(p *raster.Page, from, to int) []byte
}{
	{"mmr", 4, func(p *raster.Page, from, to int) []byte {
		return ccitt.AppendG4(nil, p.Pix[from*p.Stride:], p.Width, to-from, p.Stride)
	}},
	{"mh", 3, func(p *raster.Page, from, to int) []byte {
		return ccitt.AppendG3(nil, p.Pix[from*p.Stride:], p.Width, to-from, p.Stride, ccitt.G3Options{})
	}},
	{"mh, RTC", 3, func(p *raster.Page, from, to int) []byte {
		return ccitt.AppendG3(nil, p.Pix[from*p.Stride:], p.Width, to-from, p.Stride, ccitt.G3Options{Fill: true, RTC: true})
	}},
	{"none", 1, func(p *raster.Page, from, to int) []byte { return bytes.Clone(p.Pix[from*p.Stride : to*p.Stride]) }},
	{"deflate", 8, func(p *raster.Page, from, to int) []byte { return mustDeflate(p.Pix[from*p.Stride : to*p.Stride]) }},
}

func TestStripsWhoseByteCountsAreTooSmallOrMissingAreWhole(t *testing.T) {
	p := textPage(1728, 900)
	for _, c := range stripCodings {
		for _, rows := range []int{900, 300} {
			var strips [][]byte
			for y := 0; y < p.Height; y += rows {
				strips = append(strips, c.encode(p, y, y+rows))
			}
			wrapped := make([]uint32, len(strips))
			for i, s := range strips {
				wrapped[i] = uint32(len(s)) % 1021 // as 16 bits do on a larger page
			}
			for _, height := range []uint32{900, 0} {
				for name, counts := range map[string][]uint32{"too small": wrapped, "missing": nil, "zero": make([]uint32, len(strips))} {
					if height == 0 && (rows < 900 || c.name == "none" || c.name == "deflate" || c.name == "mh") {
						continue // rows that nothing counts
					}
					t.Run(fmt.Sprintf("%s, %d strips, ImageLength %d, counts %s", c.name, len(strips), height, name), func(t *testing.T) {
						d := decodeAll(t, stripsFile(c.compression, height, uint32(rows), 1728, strips, counts))[0]
						if d.Raster.SHA256() != p.SHA256() || len(d.BadRows) > 0 || d.RowsFound != p.Height {
							t.Errorf("%d rows of %d, bad rows %v, warnings %q", d.RowsFound, d.Raster.Height, d.BadRows, d.Warnings)
						}
						if name == "too small" {
							wantWarning(t, d, "StripByteCounts says")
						}
					})
				}
			}
		}
	}
}

// The strip to copy is that with all its bytes.
func TestACopiedStripIsWholeWhereItsByteCountIsNot(t *testing.T) {
	p := textPage(1728, 900)
	strip := g4(p)
	file := stripsFile(4, 900, 900, 1728, [][]byte{strip}, []uint32{500})
	d := decodeAll(t, file)[0]
	if !bytes.Equal(d.CleanG4, strip) {
		t.Fatalf("%d bytes to copy of %d", len(d.CleanG4), len(strip))
	}
	f, err := tiff.Parse(file, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Page(0)
	if err != nil || !bytes.Equal(im.Strip(len(strip)), strip) {
		t.Errorf("%d bytes, %v", len(im.Strip(len(strip))), err)
	}
}

// Damage is not mended by reading on: rows behind it stay bad.
func TestDamagedStripsAreNotReadOn(t *testing.T) {
	p := textPage(1728, 600)
	first, second := ccitt.AppendG4(nil, p.Pix, 1728, 300, p.Stride), ccitt.AppendG4(nil, p.Pix[300*p.Stride:], 1728, 300, p.Stride)
	first[len(first)/2] ^= 0x55
	d := decodeAll(t, stripsFile(4, 600, 300, 1728, [][]byte{first, second}, []uint32{uint32(len(first)), uint32(len(second))}))[0]
	if len(d.BadRows) == 0 || d.BadRows[len(d.BadRows)-1].Last > 299 {
		t.Errorf("bad rows %v, warnings %q", d.BadRows, d.Warnings)
	}
}
