package tiff_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	xccitt "golang.org/x/image/ccitt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/raster"
)

// drawings fill a raster with what a codec may meet, from a random source.
var drawings = []struct {
	name string
	draw func(r *rand.Rand, p *raster.Page)
}{
	{"white", func(*rand.Rand, *raster.Page) {}},
	{"black", func(_ *rand.Rand, p *raster.Page) { set(p, func(int, int) bool { return true }) }},
	{"alternating columns", func(_ *rand.Rand, p *raster.Page) { set(p, func(x, _ int) bool { return x&1 != 0 }) }},
	{"alternating rows", func(_ *rand.Rand, p *raster.Page) { set(p, func(_, y int) bool { return y&1 == 0 }) }},
	{"chequered", func(_ *rand.Rand, p *raster.Page) { set(p, func(x, y int) bool { return (x^y)&1 != 0 }) }},
	{"noise", func(r *rand.Rand, p *raster.Page) { set(p, func(int, int) bool { return r.IntN(2) == 0 }) }},
	{"specks", func(r *rand.Rand, p *raster.Page) { set(p, func(int, int) bool { return r.IntN(200) == 0 }) }},
	{"slanted runs", func(r *rand.Rand, p *raster.Page) {
		period, slope := 2+r.IntN(3000), r.IntN(9)-4
		set(p, func(x, y int) bool { return (x+slope*y+4*p.Height)%period < period/2 })
	}},
	{"dithered", dither},
	{"text", func(_ *rand.Rand, p *raster.Page) { copy(p.Pix, textPage(max(p.Width, 80), p.Height).Pix) }},
}

func set(p *raster.Page, black func(x, y int) bool) {
	for y := range p.Height {
		for x := range p.Width {
			if black(x, y) {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
}

// dither draws a gradient by error diffusion, as Floyd and Steinberg do.
func dither(r *rand.Rand, p *raster.Page) {
	cur, next := make([]float64, p.Width+2), make([]float64, p.Width+2)
	phase := r.Float64()
	for y := range p.Height {
		for x := range p.Width {
			v := phase*float64(x)/float64(p.Width) + (1-phase)*float64(y)/float64(p.Height) + cur[x+1]
			e := v
			if v > 0.5 {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
				e--
			}
			cur[x+2] += e * 7 / 16
			next[x] += e * 3 / 16
			next[x+1] += e * 5 / 16
			next[x+2] += e / 16
		}
		cur, next = next, cur
		clear(next)
	}
}

// judgedPages are what the other readers get to see, the same in every run:
// widths from 1 to 10,000 pixels, and each drawing at fax size.
func judgedPages() (pages []*raster.Page, names []string) {
	r := rand.New(rand.NewPCG(2306, 6))
	add := func(kind, width, height int) {
		d := drawings[kind]
		p := raster.New(width, height)
		d.draw(r, p)
		pages = append(pages, clipped(p))
		names = append(names, fmt.Sprintf("%s, %d x %d", d.name, width, height))
	}
	for kind := range drawings {
		for _, width := range []int{1, 2, 7, 8, 9, 31, 63, 64, 65, 2431, 2561, 9999, 10_000} {
			add(kind, width, 1+r.IntN(12))
		}
		for range 8 {
			add(kind, 1+r.IntN(300), 1+r.IntN(40))
			add(kind, 1+r.IntN(10_000), 1+r.IntN(40))
		}
		add(kind, 1728, 1100)
	}
	return pages, names
}

// clipped returns p without bits behind its width.
func clipped(p *raster.Page) *raster.Page {
	if p.Width%8 != 0 {
		for y := range p.Height {
			p.Row(y)[p.Stride-1] &= 0xff << (8 - p.Width%8)
		}
	}
	return p
}

func TestXImageReadsOurGroup4(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings: runs without -short")
	}
	pages, names := judgedPages()
	for i, p := range pages {
		r := xccitt.NewReader(bytes.NewReader(g4(p)), xccitt.MSB, xccitt.Group4, p.Width, xccitt.AutoDetectHeight, &xccitt.Options{Invert: true})
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, p.Pix) {
			t.Errorf("%s: x/image reads %d bytes of other rows, %v", names[i], len(got), err)
		}
	}
}

// judgedCodings are our Group 3 encodings, with the T4Options and the K of a
// PDF (ISO 32000-1, table 11) that go with each.
var judgedCodings = []struct {
	o  ccitt.G3Options
	t4 uint32
	k  string
}{
	{ccitt.G3Options{}, 0, "0 "},
	{ccitt.G3Options{Fill: true, RTC: true}, 4, "0 "},
	{ccitt.G3Options{TwoD: true}, 1, "4 "},
	{ccitt.G3Options{TwoD: true, K: 2, Fill: true, RTC: true}, 5, "2 "},
	{ccitt.G3Options{TwoD: true, K: 1000, RTC: true}, 1, "99"},
}

func g3(p *raster.Page, o ccitt.G3Options) []byte {
	return ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o)
}

// popplerPages has poppler decode an image a page and returns what it read. K
// replaces the parameter of that name, of two characters.
func popplerPages(t *testing.T, pages []*raster.Page, k string, encode func(p *raster.Page) []byte) []*raster.Page {
	t.Helper()
	pdfimages := tool(t, "pdfimages", "poppler-utils")
	var doc bytes.Buffer
	w := pdf.NewWriter(&doc, pdf.Meta{})
	for _, p := range pages {
		if _, err := w.AddImage(pdf.ImagePage{Width: p.Width, Height: p.Height, Strip: encode(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "doc.pdf")
	if err := os.WriteFile(name, bytes.ReplaceAll(doc.Bytes(), []byte("/K -1/"), []byte("/K "+k+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(pdfimages, name, filepath.Join(dir, "i")).CombinedOutput(); err != nil || len(msg) > 0 {
		t.Errorf("poppler: %v %.2000s", err, msg)
	}
	read := make([]*raster.Page, len(pages))
	for i, p := range pages {
		read[i] = raster.New(p.Width, p.Height)
		pbm, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("i-%03d.pbm", i)))
		if err != nil {
			t.Fatal(err)
		}
		copy(read[i].Pix, pbm[len(regexp.MustCompile(`^P4\s+\d+\s+\d+\s`).Find(pbm)):])
		clipped(read[i]) // poppler sets the bits behind the width
	}
	return read
}

func TestPopplerReadsOurCodingsIdentically(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings: runs without -short")
	}
	pages, names := judgedPages()
	compare := func(k string, encode func(p *raster.Page) []byte) func(t *testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			for i, p := range popplerPages(t, pages, k, encode) {
				if p.SHA256() != pages[i].SHA256() {
					t.Errorf("%s: poppler reads other rows", names[i])
				}
			}
		}
	}
	t.Run("Group 4", compare("-1", g4))
	for _, c := range judgedCodings {
		t.Run(fmt.Sprintf("Group 3 %+v", c.o), compare(c.k, func(p *raster.Page) []byte { return g3(p, c.o) }))
	}
}

// pageFile is a file with p in one strip, all tags in order.
func pageFile(compression, t4Options, fillOrder uint32, p *raster.Page, strip []byte) []byte {
	fields := []field{
		{256, 4, 1, uint32(p.Width)},
		{257, 4, 1, uint32(p.Height)},
		{258, 3, 1, 1},
		{259, 3, 1, compression},
		{262, 3, 1, 0},
		{266, 3, 1, fillOrder},
		{273, 4, 1, 0},
		{277, 3, 1, 1},
		{278, 4, 1, uint32(p.Height)},
		{279, 4, 1, uint32(len(strip))},
	}
	if compression == 3 {
		fields = append(fields, field{292, 4, 1, t4Options})
	}
	fields[6].value = 8 + 2 + 12*uint32(len(fields)) + 4
	return handMade(0, strip, fields...)
}

// tiffcpPages has libtiff copy one-page files into one of many pages and
// returns that.
func tiffcpPages(t *testing.T, files [][]byte, options ...string) []byte {
	t.Helper()
	cp := tool(t, "tiffcp", "libtiff-tools")
	dir := t.TempDir()
	args := options
	for i, f := range files {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, f, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out := filepath.Join(dir, "out.tiff")
	if msg, err := exec.Command(cp, append(args, out)...).CombinedOutput(); err != nil || len(msg) > 0 {
		t.Errorf("tiffcp: %v %.2000s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLibtiffReadsOurCodingsIdentically(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings: runs without -short")
	}
	pages, names := judgedPages()
	compare := func(readable func(p *raster.Page) bool, file func(p *raster.Page) []byte) func(t *testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			var files [][]byte
			var which []int
			for i, p := range pages {
				if readable(p) {
					files, which = append(files, file(p)), append(which, i)
				}
			}
			if len(which) < len(pages)-2 {
				t.Errorf("only %d pages of %d are judged", len(which), len(pages))
			}
			for i, d := range decodeAll(t, tiffcpPages(t, files, "-c", "none")) {
				if d.Coding != "none" || d.Raster.SHA256() != pages[which[i]].SHA256() {
					t.Errorf("%s: libtiff reads other rows", names[which[i]])
				}
			}
		}
	}
	every := func(*raster.Page) bool { return true }
	t.Run("Group 4", compare(every, func(p *raster.Page) []byte { return pageFile(4, 0, 1, p, g4(p)) }))
	for _, c := range judgedCodings {
		for _, lsb := range []bool{false, true} {
			o, order, readable := c.o, uint32(1), every
			if o.LSBFirst = lsb; lsb {
				order = 2
			}
			if !o.TwoD {
				readable = runsFitLibtiff
			}
			t.Run(fmt.Sprintf("Group 3 %+v", o), compare(readable, func(p *raster.Page) []byte {
				return pageFile(3, c.t4, order, p, g3(p, o))
			}))
		}
	}
}

// runsFitLibtiff tells whether libtiff 4.5 has room for the runs of each row
// when it reads one-dimensional codes: it has none for the row that changes at
// every pixel, begins black and has a multiple of 32 pixels.
func runsFitLibtiff(p *raster.Page) bool {
	for y := range p.Height {
		if p.Width%32 == 0 && bytes.Count(p.Row(y), []byte{0xaa}) == p.Stride {
			return false
		}
	}
	return true
}

func TestOurGroup4IsNoLargerThanLibtiffs(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings: runs without -short")
	}
	pages, names := judgedPages()
	var files [][]byte
	for _, p := range pages {
		files = append(files, pageFile(1, 0, 1, p, p.Pix))
	}
	sizes := stripSizes(t, tiffcpPages(t, files, "-L", "-c", "g4", "-r", "2000"))
	ours, theirs := 0, 0
	for i, p := range pages {
		size := len(g4(p))
		if size > sizes[i] {
			t.Errorf("%s: %d bytes, libtiff needs %d", names[i], size, sizes[i])
		}
		ours, theirs = ours+size, theirs+sizes[i]
	}
	t.Logf("%d pages in %d bytes, libtiff needs %d", len(pages), ours, theirs)
}

// stripSizes returns StripByteCounts of a little-endian file whose pages have
// one strip each.
func stripSizes(t *testing.T, data []byte) (sizes []int) {
	t.Helper()
	for at := binary.LittleEndian.Uint32(data[4:]); at != 0; {
		n := binary.LittleEndian.Uint16(data[at:])
		ifd := data[at+2:]
		for ; n > 0; n, ifd = n-1, ifd[12:] {
			if binary.LittleEndian.Uint16(ifd) != 279 {
				continue
			}
			if count := binary.LittleEndian.Uint32(ifd[4:]); count != 1 {
				t.Fatalf("page %d has %d strips", len(sizes)+1, count)
			}
			size := binary.LittleEndian.Uint32(ifd[8:])
			if binary.LittleEndian.Uint16(ifd[2:]) == 3 { // SHORT
				size &= 0xffff
			}
			sizes = append(sizes, int(size))
		}
		at = binary.LittleEndian.Uint32(ifd)
	}
	return sizes
}
