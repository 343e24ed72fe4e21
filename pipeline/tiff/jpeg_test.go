package tiff_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// smoothPage has samples that JPEG keeps nearly as they are.
func smoothPage(width, height, samples int) *raster.Tones {
	t := &raster.Tones{Width: width, Height: height, Samples: samples}
	for y := range height {
		for x := range width {
			for s := range samples {
				t.Pix = append(t.Pix, byte(40+(x*(s+1)+y*2)*150/(width*samples+2*height)))
			}
		}
	}
	return t
}

// plainFile stores tones as they are, with any Photometric.
func plainFile(t testing.TB, p *raster.Tones, samples int, photometric uint32, data []byte) string {
	t.Helper()
	file := samplesFileSized(uint32(p.Width), uint32(p.Height), photometric, samples, data)
	name := filepath.Join(t.TempDir(), "in.tiff")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func samplesFileSized(width, height, photometric uint32, samples int, data []byte, more ...field) []byte {
	file := samplesFile(photometric, samples, data, more...)
	binary.LittleEndian.PutUint32(file[8+2+8:], width)
	binary.LittleEndian.PutUint32(file[8+2+12+8:], height)
	return file
}

// Libtiff, and with it GraphicsMagick and libvips, keep Photometric 0 in JPEG.
func TestJPEGOfEveryPhotometricIsShownAsItIs(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	gray, rgb := smoothPage(70, 48, 1), smoothPage(70, 48, 3)
	negative := bytes.Clone(gray.Pix)
	for i, v := range negative {
		negative[i] = 255 - v
	}
	var cmyk []byte
	for i := 0; i < len(rgb.Pix); i += 3 {
		cmyk = append(cmyk, 255-rgb.Pix[i], 255-rgb.Pix[i+1], 255-rgb.Pix[i+2], 0)
	}
	for _, c := range []struct {
		name        string
		photometric uint32
		samples     int
		data        []byte
		want        *raster.Tones
		args        []string
		most        int
	}{
		{"gray, 0 white", 0, 1, negative, gray, []string{"-c", "jpeg:98"}, 4},
		{"gray, 0 white, tiles", 0, 1, negative, gray, []string{"-c", "jpeg:98", "-t", "-w", "32", "-l", "32"}, 4},
		{"gray", 1, 1, gray.Pix, gray, []string{"-c", "jpeg:98"}, 4},
		{"rgb in planes", 2, 3, rgb.Pix, rgb, []string{"-c", "jpeg:98:r", "-p", "separate", "-r", "48"}, 4},
		{"rgb in planes and strips", 2, 3, rgb.Pix, rgb, []string{"-c", "jpeg:98:r", "-p", "separate", "-r", "16"}, 4},
		{"cmyk", 5, 4, cmyk, rgb, []string{"-c", "jpeg:98", "-r", "16"}, 6},
		{"cmyk in planes", 5, 4, cmyk, rgb, []string{"-c", "jpeg:98", "-p", "separate", "-r", "48"}, 6},
	} {
		data := runTIFF(t, plainFile(t, c.want, c.samples, c.photometric, c.data), cp, c.args...)
		ds, err := decodeAllPages(data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if n := farthest(ds[0].Tones, c.want); n > c.most || len(ds[0].BadRows) > 0 || ds[0].Coding != "jpeg" {
			t.Errorf("%s: samples differ by up to %d, bad rows %v, warnings %q", c.name, n, ds[0].BadRows, ds[0].Warnings)
		}
	}
}

// A row that is bad in one plane is bad.
func TestADamagedPlaneMakesItsRowsBad(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	rgb := smoothPage(70, 64, 3)
	data := runTIFF(t, plainFile(t, rgb, 3, 2, rgb.Pix), cp, "-c", "zip", "-p", "separate", "-r", "16")
	second := secondStrip(data)
	copy(data[second:], make([]byte, 20))
	d := decodeAll(t, data)[0]
	if fmt.Sprint(d.BadRows) != "[{16 31}]" || d.LongestBadRun != 16 {
		t.Errorf("bad rows %v, the longest %d, warnings %q", d.BadRows, d.LongestBadRun, d.Warnings)
	}
	for y := range 64 {
		if same := bytes.Equal(d.Tones.Row(y), rgb.Row(y)); same != (y < 16 || y > 31) {
			t.Errorf("row %d as sent: %t", y, same)
		}
	}
}

// Tiles of any size are read, though TIFF 6.0 wants multiples of 16.
func TestTilesOfAnySizeAreRead(t *testing.T) {
	const width, height, tw, tl = 70, 50, 23, 19
	page := smoothPage(width, height, 1)
	ink := clipped(textPage(width, height))
	var jpegs, bits [][]byte
	for y := 0; y < height; y += tl {
		for x := 0; x < width; x += tw {
			img, tile := image.NewGray(image.Rect(0, 0, tw, tl)), raster.New(tw, tl)
			for j := range tl {
				for i := range tw {
					if x+i < width && y+j < height {
						img.SetGray(i, j, color.Gray{Y: page.Row(y + j)[x+i]})
						tile.Row(j)[i/8] |= ink.Row(y + j)[(x+i)/8] << ((x + i) % 8) & 0x80 >> (i % 8)
					}
				}
			}
			var buf bytes.Buffer
			if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 98}); err != nil {
				t.Fatal(err)
			}
			jpegs = append(jpegs, buf.Bytes())
			bits = append(bits, g4(tile))
		}
	}
	if d := decodeAll(t, tilesFile(7, 1, 8, width, height, tw, tl, jpegs))[0]; farthest(d.Tones, page) > 6 || len(d.BadRows) > 0 {
		t.Errorf("JPEG: samples differ by up to %d, bad rows %v, warnings %q", farthest(d.Tones, page), d.BadRows, d.Warnings)
	}
	if d := decodeAll(t, tilesFile(4, 0, 1, width, height, tw, tl, bits))[0]; d.Raster.SHA256() != ink.SHA256() || len(d.BadRows) > 0 {
		t.Errorf("Group 4: %d black pixels of %d, bad rows %v, warnings %q", d.Raster.BlackPixels(), ink.BlackPixels(), d.BadRows, d.Warnings)
	}
}

func tilesFile(compression, photometric, bits, width, height, tw, tl uint32, tiles [][]byte) []byte {
	const fields = 9
	at := uint32(8 + 2 + 12*fields + 4)
	n := uint32(len(tiles))
	var offsets, sizes, data []byte
	for _, b := range tiles {
		offsets = binary.LittleEndian.AppendUint32(offsets, at+8*n+uint32(len(data)))
		sizes = binary.LittleEndian.AppendUint32(sizes, uint32(len(b)))
		data = append(data, b...)
	}
	return handMade(0, append(append(offsets, sizes...), data...),
		field{256, 4, 1, width}, field{257, 4, 1, height}, field{258, 3, 1, bits}, field{259, 3, 1, compression}, field{262, 3, 1, photometric},
		field{322, 4, 1, tw}, field{323, 4, 1, tl}, field{324, 4, n, at}, field{325, 4, n, at + 4*n})
}

// A jpegPart is a marker segment or, behind SOS, the entropy-coded data.
type jpegPart struct {
	marker byte
	body   []byte
}

func jpegParts(t testing.TB, data []byte) (parts []jpegPart, entropy []byte) {
	t.Helper()
	for data = data[2:]; ; {
		n := int(binary.BigEndian.Uint16(data[2:]))
		parts = append(parts, jpegPart{data[1], data[4 : 2+n]})
		if data[1] == 0xda {
			return parts, bytes.TrimSuffix(data[2+n:], []byte{0xff, 0xd9})
		}
		data = data[2+n:]
	}
}

func encodeJPEG(t testing.TB, p *raster.Tones, from, to int) []byte {
	t.Helper()
	var img image.Image
	area := image.Rect(0, 0, p.Width, to-from)
	if p.Samples == 1 {
		img = &image.Gray{Pix: p.Pix[from*p.Width:], Stride: p.Width, Rect: area}
	} else {
		rgba := image.NewRGBA(area)
		for y := from; y < to; y++ {
			for x := range p.Width {
				c := p.Row(y)[3*x:]
				rgba.SetRGBA(x, y-from, color.RGBA{c[0], c[1], c[2], 255})
			}
		}
		img = rgba
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 98}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// oldJPEGTables lays out the tables of a stream as JPEGQTables and the others
// name them, from byte at on, and returns their fields.
func oldJPEGTables(parts []jpegPart, components int, at uint32) (data []byte, fields []field) {
	var offsets [3][]uint32 // quantizers, DC, AC
	for _, p := range parts {
		for b := p.body; len(b) > 0; {
			n := 65
			i := 0
			if p.marker == 0xc4 {
				i, n = 1+int(b[0]>>4), 17
				for _, c := range b[1:17] {
					n += int(c)
				}
			} else if p.marker != 0xdb {
				break
			}
			offsets[i] = append(offsets[i], at+uint32(len(data)))
			data = append(data, b[1:n]...)
			b = b[n:]
		}
	}
	for i, tag := range []uint16{519, 520, 521} {
		list := at + uint32(len(data))
		for c := range components {
			data = binary.LittleEndian.AppendUint32(data, offsets[i][min(c, len(offsets[i])-1)])
		}
		f := field{tag, 4, uint32(components), list}
		if components == 1 {
			f.value = offsets[i][0]
		}
		fields = append(fields, f)
	}
	return data, fields
}

// oldJPEGFile is a page in old-style JPEG: strips of rows rows whose tables the
// fields name.
func oldJPEGFile(t testing.TB, p *raster.Tones, rows int) []byte {
	t.Helper()
	var strips [][]byte
	var parts []jpegPart
	for y := 0; y < p.Height; y += rows {
		var entropy []byte
		parts, entropy = jpegParts(t, encodeJPEG(t, p, y, min(y+rows, p.Height)))
		strips = append(strips, entropy)
	}
	photometric, n := uint32(6), 13
	if p.Samples == 1 {
		photometric = 1
	}
	at := uint32(8 + 2 + 12*n + 4)
	data, tables := oldJPEGTables(parts, p.Samples, at)
	bits := at + uint32(len(data))
	data = append(data, 8, 0, 8, 0, 8, 0)
	offsets := at + uint32(len(data))
	counts := offsets + 4*uint32(len(strips))
	first := counts + 4*uint32(len(strips))
	for _, s := range strips {
		data = binary.LittleEndian.AppendUint32(data, first)
		first += uint32(len(s))
	}
	for _, s := range strips {
		data = binary.LittleEndian.AppendUint32(data, uint32(len(s)))
	}
	for _, s := range strips {
		data = append(data, s...)
	}
	inline := func(tag uint16, at uint32, one uint32) field {
		if len(strips) == 1 {
			return field{tag, 4, 1, one}
		}
		return field{tag, 4, uint32(len(strips)), at}
	}
	bitsField := field{258, 3, 1, 8}
	if p.Samples == 3 {
		bitsField = field{258, 3, 3, bits}
	}
	fields := []field{
		{256, 4, 1, uint32(p.Width)},
		{257, 4, 1, uint32(p.Height)},
		bitsField,
		{259, 3, 1, 6},
		{262, 3, 1, photometric},
		inline(273, offsets, counts+4),
		{277, 3, 1, uint32(p.Samples)},
		{278, 4, 1, uint32(rows)},
		inline(279, counts, uint32(len(strips[0]))),
		{512, 3, 1, 1},
	}
	return handMade(0, data, append(fields, tables...)...)
}

// streamInStrips is a page of 64 x 48 pixels in one stream, of which the strips
// are parts.
func streamInStrips(whole []byte, photometric, samples uint32) []byte {
	const fields = 10
	at := uint32(8 + 2 + 12*fields + 4)
	third := uint32(len(whole)) / 3
	var data []byte
	for _, v := range []uint32{at + 24, at + 24 + third, at + 24 + 2*third, third, third, uint32(len(whole)) - 2*third} {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	return handMade(0, append(data, whole...),
		field{256, 4, 1, 64}, field{257, 4, 1, 48}, field{259, 3, 1, 6}, field{262, 3, 1, photometric}, field{273, 4, 3, at},
		field{277, 3, 1, samples}, field{278, 4, 1, 16}, field{279, 4, 3, at + 12}, field{513, 4, 1, at + 24}, field{
			514, 4, 1, uint32(len(whole)),
		})
}

// headerAndStrips is a page whose stream ends with its SOS, and whose strips are
// what would follow, as Windows' Imaging wrote it.
func headerAndStrips(t testing.TB, p *raster.Tones, photometric uint32) []byte {
	t.Helper()
	var strips [][]byte
	var header []byte
	for y := 0; y < 48; y += 16 {
		part := encodeJPEG(t, p, y, y+16)
		_, entropy := jpegParts(t, part)
		strips = append(strips, entropy)
		header = part[:len(part)-2-len(entropy)]
	}
	const fields = 10
	at := uint32(8 + 2 + 12*fields + 4)
	first := at + 24 + uint32(len(header))
	var data []byte
	for _, s := range strips {
		data = binary.LittleEndian.AppendUint32(data, first)
		first += uint32(len(s))
	}
	for _, s := range strips {
		data = binary.LittleEndian.AppendUint32(data, uint32(len(s)))
	}
	data = append(data, header...)
	for _, s := range strips {
		data = append(data, s...)
	}
	return handMade(0, data,
		field{256, 4, 1, 64}, field{257, 4, 1, 48}, field{259, 3, 1, 6}, field{262, 3, 1, photometric}, field{273, 4, 3, at},
		field{
			277, 3, 1, uint32(p.Samples),
		}, field{278, 4, 1, 16}, field{279, 4, 3, at + 12}, field{513, 4, 1, at + 24}, field{514, 4, 1, uint32(len(header))})
}

func TestOldStyleJPEGIsReadInBothLayouts(t *testing.T) {
	for _, samples := range []int{1, 3} {
		p := smoothPage(64, 48, samples)
		most := 4
		if samples == 3 {
			most = 12
		}
		whole := encodeJPEG(t, p, 0, 48)
		photometric := uint32(1)
		if samples == 3 {
			photometric = 6
		}
		stream := func(more ...field) []byte {
			fields := append([]field{
				{256, 4, 1, 64},
				{257, 4, 1, 48},
				{259, 3, 1, 6},
				{262, 3, 1, photometric},
				{273, 4, 1, 0},
				{277, 3, 1, uint32(samples)},
				{278, 4, 1, 48},
				{279, 4, 1, uint32(len(whole))},
			}, more...)
			at := 8 + 2 + 12*uint32(len(fields)) + 4
			fields[4].value = at
			for i := range fields {
				if fields[i].tag == 513 {
					fields[i].value = at
				}
			}
			return handMade(0, whole, fields...)
		}
		for name, file := range map[string][]byte{
			"one stream that strips lie in":    streamInStrips(whole, photometric, uint32(samples)),
			"a header and three strips":        headerAndStrips(t, p, photometric),
			"one stream":                       stream(field{513, 4, 1, 0}, field{514, 4, 1, uint32(len(whole))}),
			"one stream of unknown length":     stream(field{513, 4, 1, 0}),
			"the strip is a stream":            stream(),
			"tables in fields, one strip":      oldJPEGFile(t, p, 48),
			"tables in fields, several strips": oldJPEGFile(t, p, 16),
		} {
			ds, err := decodeAllPages(file)
			if err != nil {
				t.Errorf("%s, %d samples: %v", name, samples, err)
				continue
			}
			if d := ds[0]; farthest(d.Tones, p) > most || len(d.BadRows) > 0 || d.RowsFound != 48 {
				t.Errorf("%s, %d samples: they differ by up to %d, %d rows, bad rows %v, warnings %q",
					name, samples, farthest(d.Tones, p), d.RowsFound, d.BadRows, d.Warnings)
			}
		}
	}
}

// What we take for old-style JPEG is what libtiff takes for it.
func TestLibtiffReadsOurOldStyleJPEGAlike(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	p := smoothPage(64, 48, 1)
	for _, rows := range []int{48, 16} {
		in := filepath.Join(t.TempDir(), "old.tiff")
		file := oldJPEGFile(t, p, rows)
		if err := os.WriteFile(in, file, 0o600); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out.tiff")
		if msg, err := exec.Command(cp, "-c", "none", in, out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if n := farthest(decodeAll(t, data)[0].Tones, decodeAll(t, file)[0].Tones); n > 2 {
			t.Errorf("%d rows a strip: libtiff's samples differ by up to %d", rows, n)
		}
	}
}

func TestLosslessOldStyleJPEGIsNamed(t *testing.T) {
	file := onePage(6, 16, 16, make([]byte, 16), field{512, 3, 1, 14})
	if _, err := decodeAllPages(file); err == nil || !bytes.Contains([]byte(err.Error()), []byte("JPEGProc 14")) {
		t.Errorf("%v", err)
	}
}
