package tiff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// tiffcpOptions are files as libtiff writes them: every coding, fill order,
// byte order and strip height that a fax may come in.
func tiffcpOptions() [][]string {
	var opts [][]string
	for _, c := range []string{"g3:1d", "g3:2d", "g3:1d:fill", "g3:2d:fill", "g4", "none", "packbits", "lzw", "zip"} {
		for _, f := range []string{"msb2lsb", "lsb2msb"} {
			for _, e := range []string{"-L", "-B"} {
				for _, layout := range [][]string{{"-r", "1"}, {"-r", "64"}, {"-r", "4000"}, {"-8"}, {"-t", "-w", "256", "-l", "128"}} {
					if c == "lzw" && f == "lsb2msb" && e == "-B" {
						continue // one of the two is enough, it is slow
					}
					opts = append(opts, append([]string{e, "-f", f, "-c", c}, layout...))
				}
			}
		}
	}
	return opts
}

func TestFilesWrittenByLibtiffDecodeExactly(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings of one goroutine: runs without -short")
	}
	cp := tool(t, "tiffcp", "libtiff-tools")
	pages := []*raster.Page{textPage(1728, 300), textPage(1003, 131)}
	doc, _ := writeDocument(t, pages)
	dir := t.TempDir()
	in := filepath.Join(dir, "in.tiff")
	if err := os.WriteFile(in, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range tiffcpOptions() {
		t.Run(strings.Join(o, " "), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.tiff")
			if msg, err := exec.Command(cp, append(slices.Clone(o), in, out)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, msg)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			f, err := tiff.Parse(data, tiff.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Check(); err != nil {
				t.Error(err)
			}
			for i, d := range decodeAll(t, data) {
				if d.Raster.SHA256() != pages[i].SHA256() || len(d.BadRows) > 0 || len(d.Warnings) > 0 {
					t.Errorf("page %d: %d x %d, bad rows %v, warnings %q", i+1, d.Raster.Width, d.Raster.Height, d.BadRows, d.Warnings)
				}
				if d.Raster.XRes != 204 || d.Raster.YRes != 196 {
					t.Errorf("page %d: %g x %g per inch", i+1, d.Raster.XRes, d.Raster.YRes)
				}
			}
		})
	}
}

// lying describes a page whose tags are wrong and what must come out.
type lying struct {
	name   string
	data   []byte
	coding string
	rows   int // delivered
	bad    int // of them bad
}

func lyingFiles(p *raster.Page) []lying {
	g3 := func(o ccitt.G3Options) []byte { return ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o) }
	w, h := uint32(p.Width), uint32(p.Height)
	t4 := func(v uint32) field { return field{292, 4, 1, v} }
	oneD, twoD, four := g3(ccitt.G3Options{}), g3(ccitt.G3Options{TwoD: true}), g4(p)
	return []lying{
		{"2-D without T4Options", onePage(3, w, h, twoD), "mr", p.Height, 0},
		{"1-D tagged 2-D", onePage(3, w, h, oneD, t4(1)), "mh", p.Height, 0},
		{"fill without the bit", onePage(3, w, h, g3(ccitt.G3Options{Fill: true}), t4(0)), "mh", p.Height, 0},
		{"the bit without fill", onePage(3, w, h, twoD, t4(5)), "mr", p.Height, 0},
		{"Group 4 tagged Group 3", onePage(3, w, h, four, t4(4)), "mmr", p.Height, 0},
		{"Group 3 tagged Group 4", onePage(4, w, h, oneD), "mh", p.Height, 0},
		{"Group 3 2-D tagged Group 4", onePage(4, w, h, twoD), "mr", p.Height, 0},
		{"Group 3 tagged RLE", onePage(2, w, h, oneD), "mh", p.Height, 0},
		{"the other fill order", onePage(3, w, h, ccitt.ReverseBits(twoD), t4(1)), "mr", p.Height, 0},
		{"the other fill order, Group 4", onePage(4, w, h, ccitt.ReverseBits(four)), "mmr", p.Height, 0},
		{"no ImageLength", onePage(3, w, 0, oneD), "mh", p.Height, 0},
		{"no ImageLength, Group 4", onePage(4, w, 0, four), "mmr", p.Height, 0},
		{"ImageLength of 2^32-1", onePage(4, w, 0xffffffff, four), "mmr", p.Height, 0},
		{"ImageLength counts the RTC", onePage(3, w, h+6, g3(ccitt.G3Options{RTC: true})), "mh", p.Height + 6, 0},
		{"ImageLength too small", onePage(3, w, h-10, oneD), "mh", p.Height - 10, 0},
		{"StripByteCounts 0", onePage(4, w, h, four, field{279, 4, 1, 0}), "mmr", p.Height, 0},
	}
}

func TestTagsThatLieDoNotCostThePage(t *testing.T) {
	p := textPage(1728, 400)
	for _, c := range lyingFiles(p) {
		t.Run(c.name, func(t *testing.T) {
			ds, err := decodeAllPages(c.data)
			if err != nil {
				t.Fatal(err)
			}
			d := ds[0]
			bad := 0
			for _, b := range d.BadRows {
				bad += b.Last - b.First + 1
			}
			if d.Coding != c.coding || d.Raster.Height != c.rows || bad != c.bad {
				t.Fatalf("%s, %d rows of which %d are bad, warnings %q", d.Coding, d.Raster.Height, bad, d.Warnings)
			}
			for y := range min(c.rows, p.Height) {
				if !bytes.Equal(d.Raster.Row(y), p.Row(y)) {
					t.Fatalf("row %d differs", y)
				}
			}
			for y := p.Height; y < c.rows; y++ {
				if !bytes.Equal(d.Raster.Row(y), make([]byte, p.Stride)) {
					t.Fatalf("row %d behind the page is not white", y)
				}
			}
		})
	}
}

func TestPhotometricDecidesWhatIsBlack(t *testing.T) {
	p := textPage(1728, 60)
	inverted := raster.New(p.Width, p.Height)
	for i, b := range p.Pix {
		inverted.Pix[i] = ^b
	}
	palette := func(dark0 bool) []byte { // ColorMap behind the strip
		data := g4(p)
		if dark0 {
			data = g4(inverted)
		}
		n := len(data)
		for _, v := range []uint16{0xffff, 0, 0xffff, 0, 0xffff, 0} {
			if dark0 {
				v = ^v
			}
			data = binary.LittleEndian.AppendUint16(data, v)
		}
		b := onePage(4, 1728, 60, data, field{320, 3, 6, 0})
		binary.LittleEndian.PutUint16(b[8+2+12*3+8:], 3)                          // Photometric: palette
		binary.LittleEndian.PutUint32(b[8+2+12*7+8:], uint32(len(b)-len(data)+n)) // ColorMap
		return b
	}
	minIsBlack := onePage(4, 1728, 60, g4(inverted))
	binary.LittleEndian.PutUint16(minIsBlack[8+2+12*3+8:], 1)
	for name, data := range map[string][]byte{
		"MinIsWhite": onePage(4, 1728, 60, g4(p)), "MinIsBlack": minIsBlack,
		"palette white, black": palette(false), "palette black, white": palette(true),
	} {
		ds, err := decodeAllPages(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ds[0].Raster.SHA256() != p.SHA256() {
			t.Errorf("%s: %d black pixels, want %d", name, ds[0].Raster.BlackPixels(), p.BlackPixels())
		}
	}
}

func TestDamageInOneStripLeavesTheOthers(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	p := textPage(1728, 640)
	doc, _ := writeDocument(t, []*raster.Page{p})
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.tiff"), filepath.Join(dir, "out.tiff")
	if err := os.WriteFile(in, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(cp, "-c", "g4", "-r", "64", in, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	// Zeros are no codes: strip 4 of 10 is lost from its beginning.
	at := bytes.Index(data, ccitt.AppendG4(nil, p.Pix[3*64*p.Stride:], 1728, 64, p.Stride)[:40])
	if at < 0 {
		t.Fatal("strip 4 not found")
	}
	clear(data[at : at+40])
	d, err := im.Decode(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.BadRows) == 0 || d.BadRows[0].First != 192 || d.BadRows[len(d.BadRows)-1].Last > 255 {
		t.Fatalf("bad rows %v; warnings %q", d.BadRows, d.Warnings)
	}
	bad := map[int]bool{}
	for _, b := range d.BadRows {
		for y := b.First; y <= b.Last; y++ {
			bad[y] = true
		}
	}
	for y := range 640 {
		if !bad[y] && !bytes.Equal(d.Raster.Row(y), p.Row(y)) {
			t.Fatalf("row %d differs and is not listed in %v", y, d.BadRows)
		}
	}
}
