package tiff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// tonesPage is a page with a gradient, an edge and a block of ink.
func tonesPage(width, height, samples int) *raster.Tones {
	t := &raster.Tones{Width: width, Height: height, Samples: samples, XRes: 200, YRes: 200}
	for y := range height {
		for x := range width {
			for s := range samples {
				v := 255 - 40*x/width - 10*s
				if x > width/4 && x < width/2 && y > height/3 && y < height/2 {
					v = 20 + 30*s
				}
				t.Pix = append(t.Pix, byte(v))
			}
		}
	}
	return t
}

func tonesDocument(t testing.TB, pages ...*raster.Tones) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tiff.NewWriter(&buf)
	for i, p := range pages {
		s, err := tiff.TonesStrip(p)
		if err != nil {
			t.Fatal(err)
		}
		m := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes, Page: i + 1, Pages: len(pages)}
		if _, err := w.AddPage(m, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// farthest is the greatest difference of two samples.
func farthest(a, b *raster.Tones) int {
	if a == nil || b == nil || a.Width != b.Width || a.Height != b.Height || a.Samples != b.Samples {
		return 256
	}
	most := 0
	for i := range a.Pix {
		most = max(most, int(a.Pix[i])-int(b.Pix[i]), int(b.Pix[i])-int(a.Pix[i]))
	}
	return most
}

// Libtiff reads our Deflate pages and writes them in every coding that a gray
// or colour fax may come in, JPEG with tables of its own among them.
func TestGrayAndColourPagesDecodeFromWhatLibtiffWrites(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	pages := []*raster.Tones{tonesPage(431, 300, 1), tonesPage(431, 300, 3)}
	in := filepath.Join(t.TempDir(), "in.tiff")
	if err := os.WriteFile(in, tonesDocument(t, pages...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		coding   string
		page     int
		most     int // difference
		compress string
	}{
		{"none", 0, 0, "none"},
		{"none", 1, 0, "none"},
		{"lzw", 0, 0, "lzw"},
		{"lzw", 1, 0, "lzw:2"},
		{"deflate", 1, 0, "zip:2"},
		{"packbits", 1, 0, "packbits"},
		{"jpeg", 0, 3, "jpeg:100"},
		{"jpeg", 1, 40, "jpeg:100"},  // YCbCr, 4:2:0
		{"jpeg", 1, 3, "jpeg:100:r"}, // RGB
	} {
		for _, layout := range [][]string{
			{"-L"}, {"-B", "-r", "16"}, {"-8", "-r", "4000"}, {"-L", "-f", "lsb2msb"}, {"-L", "-t", "-w", "128", "-l", "64"},
		} {
			if c.compress == "jpeg:100:r" && slices.Contains(layout, "-t") {
				continue // tiffcp's tiles are YCbCr all the same
			}
			args := append([]string{"-c", c.compress}, layout...)
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out.tiff")
				if msg, err := exec.Command(cp, append(args, in+","+string(rune('0'+c.page)), out)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, msg)
				}
				data, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				d := decodeAll(t, data)[0]
				if d.Coding != c.coding || len(d.BadRows) > 0 || len(d.Warnings) > 0 {
					t.Errorf("%s, bad rows %v, warnings %q", d.Coding, d.BadRows, d.Warnings)
				}
				if n := farthest(d.Tones, pages[c.page]); n > c.most {
					t.Errorf("samples differ by up to %d", n)
				}
				if d.Raster.SHA256() != d.Tones.Bilevel().SHA256() || d.Tones.XRes != 200 || d.Raster.YRes != 200 {
					t.Error("the 1-bit form is another page")
				}
			})
		}
	}
}

func TestTiffinfoReadsGrayAndColourWithoutAWarning(t *testing.T) {
	info := tool(t, "tiffinfo", "libtiff-tools")
	file := filepath.Join(t.TempDir(), "doc.tiff")
	if err := os.WriteFile(file, tonesDocument(t, tonesPage(100, 80, 1), tonesPage(99, 71, 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(info, "-D", file).CombinedOutput()
	if err != nil || strings.Contains(strings.ToLower(string(out)), "warning") ||
		strings.Count(string(out), "Predictor: horizontal differencing 2") != 2 {
		t.Errorf("%v: %s", err, out)
	}
}

// samplesFile is an uncompressed 8-bit page of 2 x 2 pixels.
func samplesFile(photometric uint32, samples int, data []byte, more ...field) []byte {
	// BitsPerSample and a ColorMap stand behind the data.
	fields := []field{
		{256, 4, 1, 2},
		{257, 4, 1, 2},
		{258, 3, uint32(samples), 8},
		{259, 3, 1, 1},
		{262, 3, 1, photometric},
		{273, 4, 1, 0},
		{277, 3, 1, uint32(samples)},
		{279, 4, 1, uint32(len(data))},
	}
	fields = append(fields, more...)
	at := 8 + 2 + 12*uint32(len(fields)) + 4
	fields[5].value = at
	switch {
	case samples == 2:
		fields[2].value |= 8 << 16
	case samples > 2:
		fields[2].value = at + uint32(len(data))
	}
	for i, f := range fields {
		if f.tag == 320 {
			fields[i].value = at + uint32(len(data))
		}
	}
	data = slices.Clone(data)
	if samples > 2 {
		for range samples {
			data = binary.LittleEndian.AppendUint16(data, 8)
		}
	}
	if photometric == 3 {
		for c := range 3 {
			for i := range 256 {
				data = binary.LittleEndian.AppendUint16(data, uint16((i+10*c)%256)) // 8-bit values, as old writers have
			}
		}
	}
	return handMade(0, data, fields...)
}

func TestKindsOfSamples(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
		want []byte // samples
		err  error
	}{
		{"gray, 0 is black", samplesFile(1, 1, []byte{0, 100, 200, 255}), []byte{0, 100, 200, 255}, nil},
		{"gray, 0 is white", samplesFile(0, 1, []byte{0, 100, 200, 255}), []byte{255, 155, 55, 0}, nil},
		{"gray, least significant bit first", samplesFile(1, 1, []byte{1, 0x80, 3, 0}, field{266, 3, 1, 2}), []byte{0x80, 1, 0xc0, 0}, nil},
		{"palette", samplesFile(3, 1, []byte{0, 1, 2, 3}, field{320, 3, 768, 0}), []byte{0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23}, nil},
		{
			"alpha over white paper", samplesFile(2, 4, []byte{9, 9, 9, 255, 9, 9, 9, 0, 9, 9, 9, 255, 9, 9, 9, 0}, field{338, 3, 1, 2}),
			[]byte{9, 9, 9, 255, 255, 255, 9, 9, 9, 255, 255, 255},
			nil,
		},
		{
			"opacity that is no opacity", samplesFile(2, 4, []byte{9, 8, 7, 0, 6, 5, 4, 0, 3, 2, 1, 0, 0, 1, 2, 0}, field{338, 3, 1, 0}),
			[]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2},
			nil,
		},
		{
			"a fourth sample of which nothing is said", samplesFile(2, 4, []byte{9, 8, 7, 0, 6, 5, 4, 0, 3, 2, 1, 0, 0, 1, 2, 0}),
			[]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2},
			nil,
		},
		{
			"colours multiplied by their opacity",
			samplesFile(2, 4, []byte{9, 9, 9, 255, 0, 0, 0, 0, 4, 5, 6, 128, 0, 0, 0, 255}, field{338, 3, 1, 1}),
			[]byte{9, 9, 9, 255, 255, 255, 131, 132, 133, 0, 0, 0},
			nil,
		},
		{"gray with opacity", samplesFile(1, 2, []byte{50, 255, 50, 0, 100, 128, 0, 255}, field{338, 3, 1, 2}), []byte{50, 255, 177, 0}, nil},
		{"gray with a second sample", samplesFile(1, 2, []byte{1, 9, 2, 9, 3, 9, 4, 9}), []byte{1, 2, 3, 4}, nil},
		{
			"CMYK", samplesFile(5, 4, []byte{0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 255}),
			[]byte{255, 255, 255, 0, 255, 255, 255, 0, 0, 0, 0, 0},
			nil,
		},
		{"lightness", samplesFile(8, 3, []byte{1, 9, 9, 2, 9, 9, 3, 9, 9, 4, 9, 9}), []byte{1, 2, 3, 4}, nil},
		{"inks of other colours", samplesFile(5, 4, make([]byte, 16), field{332, 3, 1, 2}), nil, tiff.ErrUnsupported},
		{"one strip for three planes", samplesFile(2, 3, make([]byte, 12), field{284, 3, 1, 2}), nil, tiff.ErrMalformed},
		{"floating point", samplesFile(1, 1, make([]byte, 4), field{339, 3, 1, 3}), nil, tiff.ErrUnsupported},
		{"a predictor of floating point", samplesFile(1, 1, make([]byte, 4), field{317, 3, 1, 3}), nil, tiff.ErrUnsupported},
		{"RGB of two samples", samplesFile(2, 2, make([]byte, 8)), nil, tiff.ErrUnsupported},
		{"a palette without a ColorMap", samplesFile(3, 1, make([]byte, 4)), nil, tiff.ErrMalformed},
		{"a row short", samplesFile(1, 1, []byte{1, 2, 3}), []byte{1, 2, 255, 255}, nil},
		{"less than a row", samplesFile(1, 1, []byte{1}), nil, tiff.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds, err := decodeAllPages(c.file)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && !bytes.Equal(ds[0].Tones.Pix, c.want) {
				t.Errorf("samples %v, want %v", ds[0].Tones.Pix, c.want)
			}
		})
	}
}

// jpegFile is a page of one JPEG.
func jpegFile(t testing.TB, width, height, photometric uint32, img image.Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	file := onePage(7, width, height, buf.Bytes())
	binary.LittleEndian.PutUint32(file[8+2+12*3+8:], photometric)
	return file
}

func TestJPEGSaysItselfWhatItIs(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range gray.Pix {
		gray.Pix[i] = 0xff
	}
	for y := 8; y < 16; y++ {
		for x := range 64 {
			gray.SetGray(x, y, color.Gray{Y: 30})
		}
	}
	bands := func(d *tiff.Decoded) bool {
		for y := range d.Raster.Height {
			black := bytes.Count(d.Raster.Row(y), []byte{0xff})
			if y >= 8 && y < 16 && black != 8 || (y < 8 || y >= 16) && black != 0 {
				return false
			}
		}
		return true
	}
	for _, c := range []struct {
		name                       string
		width, height, photometric uint32
		rows                       int
		bad                        []ccitt.RowRange
	}{
		{"true tags", 64, 48, 1, 48, nil},
		{"no ImageLength", 64, 0, 1, 48, nil},
		{"ImageLength too large", 64, 60, 1, 60, []ccitt.RowRange{{First: 48, Last: 59}}},
		{"ImageLength too small", 64, 40, 1, 40, nil},
		{"lightness of T.42", 64, 48, 10, 48, nil},
	} {
		ds, err := decodeAllPages(jpegFile(t, c.width, c.height, c.photometric, gray))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		d := ds[0]
		if d.Raster.Height != c.rows || !slices.Equal(d.BadRows, c.bad) || d.Tones.Samples != 1 || !bands(d) {
			t.Errorf("%s: %d rows, bad %v, %d samples, warnings %q", c.name, d.Raster.Height, d.BadRows, d.Tones.Samples, d.Warnings)
		}
	}
}

func TestADamagedStripOfGrayLeavesTheOthers(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	p := tonesPage(431, 300, 1)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.tiff"), filepath.Join(dir, "out.tiff")
	if err := os.WriteFile(in, tonesDocument(t, p), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, coding := range []string{"zip", "jpeg"} {
		if msg, err := exec.Command(cp, "-c", coding, "-r", "64", in, out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		// The strips stand one after the other from byte 8; the second is hit at its beginning.
		f, err := tiff.Parse(data, tiff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		im, err := f.Page(0)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := im.Decode(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		second := secondStrip(data)
		for i := range 20 {
			data[second+i] = 0
		}
		d, err := im.Decode(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.BadRows, []ccitt.RowRange{{First: 64, Last: 127}}) || len(d.Warnings) == 0 {
			t.Fatalf("%s: bad rows %v, warnings %q", coding, d.BadRows, d.Warnings)
		}
		for y := range p.Height {
			want := whole.Tones.Row(y)
			if y >= 64 && y < 128 {
				want = bytes.Repeat([]byte{0xff}, p.Width)
			}
			if !bytes.Equal(d.Tones.Row(y), want) {
				t.Fatalf("%s: row %d differs", coding, y)
			}
		}
	}
}

// secondStrip finds the second of StripOffsets in a little-endian file.
func secondStrip(data []byte) int {
	le := binary.LittleEndian
	at := int(le.Uint32(data[4:]))
	for i := range int(le.Uint16(data[at:])) {
		if e := data[at+2+12*i:]; le.Uint16(e) == 273 {
			return int(le.Uint32(data[le.Uint32(e[8:])+4:]))
		}
	}
	return -1
}

func TestBombsOfGrayEndInATypedError(t *testing.T) {
	white := image.NewGray(image.Rect(0, 0, 16, 16))
	huge := jpegFile(t, 16, 16, 1, white)
	sof := bytes.Index(huge, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(huge[sof+5:], 65000)
	binary.BigEndian.PutUint16(huge[sof+7:], 65000)
	claim := func(width, height uint32) []byte {
		return samplesFileOf(width, height, make([]byte, 64))
	}
	for name, file := range map[string][]byte{
		"a JPEG of 65,000 x 65,000": huge,
		"20,000 x 60,000":           claim(20_000, 60_000),
		"6,000 x 6,000 in 64 bytes": claim(6_000, 6_000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeAllPages(file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tiff.ErrLimit) && !errors.Is(err, tiff.ErrMalformed) {
			t.Errorf("%s: error %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}

func samplesFileOf(width, height uint32, data []byte) []byte {
	file := samplesFile(1, 1, data)
	binary.LittleEndian.PutUint32(file[8+2+8:], width)
	binary.LittleEndian.PutUint32(file[8+2+12+8:], height)
	return file
}

func TestDecodingGrayStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, file := range [][]byte{tonesDocument(t, tonesPage(400, 300, 3)), jpegFile(t, 16, 16, 1, image.NewGray(image.Rect(0, 0, 16, 16)))} {
		f, err := tiff.Parse(file, tiff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		im, err := f.Page(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := im.Decode(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

func TestRowsFoundAndExpectedAreSaid(t *testing.T) {
	p := textPage(1728, 400)
	whole := onePage(4, 1728, 400, g4(p))
	for name, c := range map[string]struct {
		file            []byte
		expected, found int
	}{
		"whole":            {whole, 400, 400},
		"no ImageLength":   {onePage(4, 1728, 0, g4(p)), 0, 400},
		"ends early":       {onePage(4, 1728, 410, g4(p)), 410, 400},
		"gray":             {tonesDocument(t, tonesPage(20, 30, 1)), 30, 30},
		"a JPEG too short": {jpegFile(t, 16, 20, 1, image.NewGray(image.Rect(0, 0, 16, 16))), 20, 16},
	} {
		ds, err := decodeAllPages(c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := ds[0]; d.RowsExpected != c.expected || d.RowsFound != c.found {
			t.Errorf("%s: %d rows found of %d, want %d of %d", name, d.RowsFound, d.RowsExpected, c.found, c.expected)
		}
	}
}
