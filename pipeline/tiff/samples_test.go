package tiff_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

func TestFieldSamplesAreShown(t *testing.T) {
	for name, want := range map[string][]byte{
		"rgba-unspecified.tif": {255, 255, 255, 0, 0, 0, 220, 30, 30, 255, 255, 255},
		"gray4.tif":            {255, 0, 136, 255},
	} {
		if d := decodeAll(t, fieldFile(t, name))[0]; !bytes.Equal(d.Tones.Pix, want) || len(d.BadRows) > 0 {
			t.Errorf("%s: %v, want %v", name, d.Tones.Pix, want)
		}
	}
	// Gray with alpha: what is transparent shows the paper.
	data := fieldFile(t, "graya.tif")
	for i, stored := 0, data[8:16]; i < 4; i++ {
		d := decodeAll(t, data)[0]
		want := 255 - int(stored[2*i+1]) + (int(stored[2*i])*int(stored[2*i+1])+127)/255
		if int(d.Tones.Pix[i]) != want {
			t.Errorf("pixel %d of %v: %d, want %d", i, stored, d.Tones.Pix[i], want)
		}
	}
}

// A sampled page is stored samples and what they are to look like.
type sampled struct {
	name        string
	width, rows int
	bits, n     int // of a sample; samples a pixel
	photometric uint32
	extra       int // ExtraSamples of the last sample; -1: none
	stored      []uint16
	want        *raster.Tones
}

// sampledPages are pages of every kind of sample with the pixels that each must show.
func sampledPages() []sampled {
	var pages []sampled
	for _, bits := range []int{1, 2, 4, 8, 16} {
		for _, k := range []struct {
			name        string
			n           int
			photometric uint32
			extra, out  int
		}{
			{"gray, 0 white", 1, 0, -1, 1},
			{"gray", 1, 1, -1, 1},
			{"gray and alpha", 2, 1, 2, 1},
			{"rgb", 3, 2, -1, 3},
			{"rgb and another", 4, 2, 0, 3},
			{"rgb and alpha", 4, 2, 2, 3},
			{"cmyk", 4, 5, -1, 3},
			{"palette", 1, 3, -1, 3},
		} {
			if bits == 1 && k.n == 1 || bits > 8 && k.photometric == 3 || bits < 8 && k.n > 1 && k.photometric == 5 {
				continue
			}
			p := sampled{
				name: fmt.Sprintf("%s, %d bits", k.name, bits), width: 37, rows: 21,
				bits: bits, n: k.n, photometric: k.photometric, extra: k.extra,
			}
			p.want = &raster.Tones{Width: p.width, Height: p.rows, Samples: k.out}
			for i := range p.width * p.rows {
				px := p.pixel(i)
				p.stored = append(p.stored, px...)
				p.want.Pix = append(p.want.Pix, p.shown(px)...)
			}
			pages = append(pages, p)
		}
	}
	return pages
}

// pixel is the i-th, anything at all.
func (p *sampled) pixel(i int) []uint16 {
	var px []uint16
	for s := range p.n {
		px = append(px, uint16((i*7919+s*104729+i*i*31)>>2)&uint16(1<<p.bits-1))
	}
	return px
}

// shown is how TIFF 6.0 says that a pixel looks, on white paper.
func (p *sampled) shown(px []uint16) []byte {
	var v []int
	for _, s := range px {
		if p.bits == 16 {
			v = append(v, int(s>>8))
		} else {
			v = append(v, int(s)*255/(1<<p.bits-1))
		}
	}
	var c []int
	switch p.photometric {
	case 0:
		c = []int{255 - v[0]}
	case 1:
		c = v[:1]
	case 2:
		c = v[:3]
	case 3:
		c = []int{colorMapEntry(p.bits, 0, int(px[0])), colorMapEntry(p.bits, 1, int(px[0])), colorMapEntry(p.bits, 2, int(px[0]))}
	case 5:
		for i := range 3 {
			c = append(c, (255-v[i])*(255-v[3])/255)
		}
	}
	var out []byte
	for _, x := range c {
		if p.extra == 2 {
			a := v[p.n-1]
			x = (x*a+127)/255 + 255 - a
		}
		out = append(out, byte(min(x, 255)))
	}
	return out
}

// colorMapEntry is a value of the palette, at 8 bits.
func colorMapEntry(bits, colour, i int) int { return (i*53 + colour*91 + bits) % 256 }

// file is the page in one uncompressed strip.
func (p *sampled) file(order binary.AppendByteOrder) []byte {
	var data []byte
	acc, have := uint32(0), 0
	for i, s := range p.stored {
		if p.bits == 16 {
			data = order.AppendUint16(data, s)
			continue
		}
		acc, have = acc<<p.bits|uint32(s), have+p.bits
		for ; have >= 8; have -= 8 {
			data = append(data, byte(acc>>(have-8)))
		}
		if (i+1)%(p.width*p.n) == 0 && have > 0 {
			data, have = append(data, byte(acc<<(8-have))), 0
		}
	}
	extra := 0
	if p.extra >= 0 {
		extra = 1
	}
	mapped := 0
	if p.photometric == 3 {
		mapped = 1
	}
	n := 10 + extra + mapped
	at := 8 + 2 + 12*n + 4
	file := order.AppendUint16([]byte("II"), 42)
	if order.AppendUint16(nil, 1)[1] == 1 {
		file = order.AppendUint16([]byte("MM"), 42)
	}
	file = order.AppendUint16(order.AppendUint32(file, 8), uint16(n))
	var behind []byte
	add := func(tag uint16, long bool, vs ...uint32) {
		typ, size := uint16(3), 2
		if long {
			typ, size = 4, 4
		}
		var b []byte
		for _, v := range vs {
			if long {
				b = order.AppendUint32(b, v)
			} else {
				b = order.AppendUint16(b, uint16(v))
			}
		}
		if len(vs)*size > 4 {
			ref := order.AppendUint32(nil, uint32(at+len(behind)))
			behind = append(behind, b...)
			b = ref
		}
		file = order.AppendUint32(order.AppendUint16(order.AppendUint16(file, tag), typ), uint32(len(vs)))
		file = append(append(file, b...), make([]byte, 4-len(b))...)
	}
	bits := make([]uint32, p.n)
	for i := range bits {
		bits[i] = uint32(p.bits)
	}
	room := 0
	if p.n > 2 {
		room += 2 * p.n
	}
	var colours []uint32
	if mapped > 0 {
		for c := range 3 {
			for i := range 1 << p.bits {
				colours = append(colours, uint32(colorMapEntry(p.bits, c, i)*257))
			}
		}
		room += 2 * len(colours)
	}
	add(256, false, uint32(p.width))
	add(257, false, uint32(p.rows))
	add(258, false, bits...)
	add(259, false, 1)
	add(262, false, p.photometric)
	add(273, true, uint32(at+room))
	add(277, false, uint32(p.n))
	add(278, false, uint32(p.rows))
	add(279, true, uint32(len(data)))
	add(284, false, 1)
	if mapped > 0 {
		add(320, false, colours...)
	}
	if extra > 0 {
		add(338, false, uint32(p.extra))
	}
	file = append(order.AppendUint32(file, 0), behind...)
	return append(file, data...)
}

// Every kind of sample, as we lay it out and as libtiff writes it in every
// coding, order and layout that it has for them.
func TestEveryKindOfSampleIsShownAsItIs(t *testing.T) {
	for _, p := range sampledPages() {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			t.Run(fmt.Sprint(p.name, " ", order), func(t *testing.T) { p.compare(t, p.file(order), 0) })
		}
	}
}

func (p *sampled) compare(t *testing.T, file []byte, most int) {
	t.Helper()
	ds, err := decodeAllPages(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := farthest(ds[0].Tones, p.want); n > most || len(ds[0].BadRows) > 0 {
		t.Errorf("samples differ by up to %d, bad rows %v, warnings %q", n, ds[0].BadRows, ds[0].Warnings)
	}
}

func TestEveryKindOfSampleDecodesFromWhatLibtiffWrites(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	if testing.Short() {
		t.Skip("some hundred processes: runs without -short")
	}
	compressions := []string{"none", "packbits", "lzw", "lzw:2", "zip", "zip:2", "zstd", "zstd:2"}
	layouts := [][]string{
		{"-p", "contig"},
		{"-p", "separate", "-r", "4"},
		{"-B", "-p", "contig", "-t", "-w", "16", "-l", "16"},
		{"-p", "separate", "-t", "-w", "32", "-l", "16", "-f", "lsb2msb"},
	}
	for _, p := range sampledPages() {
		in := filepath.Join(t.TempDir(), "in.tiff")
		if err := os.WriteFile(in, p.file(binary.LittleEndian), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, compress := range compressions {
			for j := range 2 {
				args := append([]string{"-c", compress}, layouts[(i+j)%len(layouts)]...)
				if strings.HasSuffix(compress, ":2") && p.bits < 8 || p.bits != 8 && slices.Contains(args, "separate") {
					continue // not of libtiff
				}
				t.Run(p.name+" "+strings.Join(args, " "), func(t *testing.T) { p.compare(t, runTIFF(t, in, cp, args...), 0) })
			}
		}
	}
}

// runTIFF returns the file that a tool of libtiff makes of another.
func runTIFF(t *testing.T, in, tool string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.tiff")
	if msg, err := exec.Command(tool, append(args, in, out)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever libtiff's tools make of raw samples is read, or refused with the name
// of what it is.
func TestEveryCombinationOfLibtiffsToolsIsReadOrNamed(t *testing.T) {
	raw, cp := tool(t, "raw2tiff", "libtiff-tools"), tool(t, "tiffcp", "libtiff-tools")
	if testing.Short() {
		t.Skip("some hundred processes: runs without -short")
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "raw")
	if err := os.WriteFile(in, bytes.Repeat([]byte{0, 0x40, 0x80, 0xff}, 4*32*32*8/4), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"bits", "SampleFormat", "floating point", "photometric interpretation", "compression", "Predictor"}
	read, named := 0, 0
	try := func(how string, file string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := decodeAllPages(data)
		switch {
		case err == nil && len(ds[0].BadRows) == 0:
			read++
		case errors.Is(err, tiff.ErrUnsupported) && slices.ContainsFunc(names, func(n string) bool { return strings.Contains(err.Error(), n) }):
			named++
		default:
			t.Errorf("%s: %v", how, err)
		}
	}
	for _, kind := range []string{"byte", "short", "long", "sbyte", "float"} {
		for photo, bands := range map[string]string{
			"miniswhite": "1", "minisblack": "1", "rgb": "3", "cmyk": "4", "ycbcr": "3", "cielab": "3", "icclab": "3", "itulab": "3",
		} {
			out := filepath.Join(dir, kind+photo+".tiff")
			args := []string{"-w", "32", "-l", "32", "-r", "16", "-b", bands, "-d", kind, "-p", photo, "-c", "none", in, out}
			if msg, err := exec.Command(raw, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", args, err, msg)
			}
			try(fmt.Sprint(kind, " ", photo), out)
			for _, c := range []string{"none", "lzw", "zip:2", "zip:3", "packbits", "zstd", "jpeg:r", "jpeg", "lzma", "webp", "lerc", "jbig", "g4"} {
				copied := filepath.Join(dir, "copied.tiff")
				if exec.Command(cp, "-c", c, out, copied).Run() == nil { // else libtiff has no such combination
					try(fmt.Sprint(kind, " ", photo, " ", c), copied)
				}
			}
		}
	}
	if t.Logf("%d read, %d refused by name", read, named); read < 80 || named < 80 {
		t.Errorf("%d read, %d refused by name", read, named)
	}
}

// What is not read says what it is.
func TestUnreadCompressionsAreNamed(t *testing.T) {
	for compression, name := range map[uint32]string{
		34925: "LZMA", 50001: "WebP", 34712: "JPEG 2000", 32809: "ThunderScan", 34676: "SGILog", 34887: "LERC", 10: "T.43",
	} {
		gray := samplesFile(1, 1, make([]byte, 4))
		binary.LittleEndian.PutUint32(gray[8+2+12*3+8:], compression)
		for _, file := range [][]byte{gray, onePage(compression, 16, 2, make([]byte, 4))} {
			if _, err := decodeAllPages(file); !errors.Is(err, tiff.ErrUnsupported) || !strings.Contains(err.Error(), name) {
				t.Errorf("compression %d: %v", compression, err)
			}
		}
	}
}

// Pixels of YCbCr share their colour: two by two where nothing is said.
func TestYCbCrIsShownInItsColours(t *testing.T) {
	const width, height = 6, 4
	for _, sub := range [][2]int{{2, 2}, {1, 1}, {4, 1}, {2, 1}} {
		h, v := sub[0], sub[1]
		want := &raster.Tones{Width: width, Height: height, Samples: 3, Pix: make([]byte, 3*width*height)}
		var data []byte
		for y := 0; y < height; y += v {
			for x := 0; x < width; x += h {
				cb, cr := byte(90+10*x), byte(200-20*y)
				for j := range v {
					for i := range h {
						luma := byte(50 + 5*(x+i) + 30*(y+j))
						data = append(data, luma)
						if x+i < width {
							p := want.Row(y + j)[3*(x+i):]
							p[0], p[1], p[2] = color.YCbCrToRGB(luma, cb, cr)
						}
					}
				}
				data = append(data, cb, cr)
			}
		}
		file := samplesFileSized(width, height, 6, 3, data, field{278, 4, 1, height}, field{530, 3, 2, uint32(h | v<<16)})
		d := decodeAll(t, file)[0]
		if n := farthest(d.Tones, want); n > 0 || len(d.BadRows) > 0 {
			t.Errorf("%v: samples differ by up to %d, bad rows %v, warnings %q", sub, n, d.BadRows, d.Warnings)
		}
		in := filepath.Join(t.TempDir(), "in.tiff")
		if err := os.WriteFile(in, file, 0o600); err != nil {
			t.Fatal(err)
		}
		judged := decodeAll(t, runTIFF(t, in, tool(t, "tiff2rgba", "libtiff-tools"), "-c", "none"))[0]
		if n := farthest(d.Tones, judged.Tones); n > 2 {
			t.Errorf("%v: libtiff's samples differ by up to %d", sub, n)
		}
	}
}

// Zstandard of libtiff is read on bilevel pages too.
func TestZstandardIsReadOnBilevelPages(t *testing.T) {
	p := textPage(1728, 200)
	in := filepath.Join(t.TempDir(), "in.tiff")
	if err := os.WriteFile(in, onePage(1, 1728, 200, p.Pix), 0o600); err != nil {
		t.Fatal(err)
	}
	d := decodeAll(t, runTIFF(t, in, tool(t, "tiffcp", "libtiff-tools"), "-c", "zstd", "-r", "50"))[0]
	if d.Raster.SHA256() != p.SHA256() || d.Coding != "zstd" || len(d.BadRows) > 0 {
		t.Errorf("%s, bad rows %v, warnings %q", d.Coding, d.BadRows, d.Warnings)
	}
}
