package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var created = time.Date(2026, 11, 23, 14, 5, 6, 789, time.FixedZone("", 3600))

func exampleMeta() Meta {
	return Meta{
		Title:    `Fax (from) +1 555 0100 \ <2 pages> & "more"`,
		Author:   "Žofie Нова 中 " + "𝔉",
		Subject:  "session 0123",
		Producer: "faxstream test",
		Created:  created,
	}
}

// white returns the strip of an all-white page: one V0 code a row, then EOFB (T.6, 2.2.2 and 2.4.1.1).
func white(rows int) []byte {
	bits := bytes.Repeat([]byte{1}, rows)
	for range 2 {
		bits = append(bits, make([]byte, 11)...)
		bits = append(bits, 1)
	}
	strip := make([]byte, (len(bits)+7)/8)
	for i, b := range bits {
		strip[i/8] |= b << (7 - i%8)
	}
	return strip
}

// fixture returns the pages of a Group 4 file of the project's testdata, little-endian and one strip a page.
func fixture(t testing.TB, name string) (pages []ImagePage) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for at := le.Uint32(file[4:]); at != 0; {
		tag := map[uint16]uint32{}
		n := uint32(le.Uint16(file[at:]))
		for i := range n {
			entry := file[at+2+12*i:]
			tag[le.Uint16(entry)] = le.Uint32(entry[8:])
			if le.Uint16(entry[2:]) == 3 {
				tag[le.Uint16(entry)] = uint32(le.Uint16(entry[8:]))
			}
		}
		rational := func(at uint32) float64 { return float64(le.Uint32(file[at:])) / float64(le.Uint32(file[at+4:])) }
		pages = append(pages, ImagePage{
			Width: int(tag[256]), Height: int(tag[257]), XRes: rational(tag[282]), YRes: rational(tag[283]),
			Strip: file[tag[273] : tag[273]+tag[279]],
		})
		at = le.Uint32(file[at+2+12*n:])
	}
	return pages
}

// build writes a document of ImagePages and SlipPages and checks each reported strip offset.
func build(t testing.TB, m Meta, pages ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, m)
	offsets := map[int64][]byte{}
	for i, p := range pages {
		var err error
		switch p := p.(type) {
		case ImagePage:
			var off int64
			off, err = w.AddImage(p)
			offsets[off] = p.Strip
		case SlipPage:
			err = w.AddSlip(p)
		}
		if err != nil {
			t.Fatalf("page %d: %v", i+1, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for off, strip := range offsets {
		if !bytes.HasPrefix(out.Bytes()[off:], strip) {
			t.Errorf("no strip at its reported offset %d", off)
		}
	}
	checkXref(t, out.Bytes())
	checkPageTree(t, out.Bytes(), len(pages))
	return out.Bytes()
}

// checkPageTree fails unless the nodes, each of up to kidsPerNode pages, count together what the root counts: 7.7.3.
func checkPageTree(t testing.TB, file []byte, pages int) {
	t.Helper()
	sum := 0
	for _, m := range regexp.MustCompile(`/Type/Pages(/Parent 2 0 R)?/Count (\d+)/Kids\[([^\]]*)\]`).FindAllSubmatch(file, -1) {
		count, _ := strconv.Atoi(string(m[2]))
		kids := bytes.Count(m[3], []byte(" R"))
		switch {
		case len(m[1]) == 0 && count != pages:
			t.Errorf("the root counts %d pages, want %d", count, pages)
		case len(m[1]) > 0 && (kids != count || kids > kidsPerNode):
			t.Errorf("a node counts %d pages and has %d, want equal and up to %d", count, kids, kidsPerNode)
		case len(m[1]) > 0:
			sum += count
		}
	}
	if sum != pages {
		t.Errorf("the nodes count %d pages, want %d", sum, pages)
	}
}

// checkXref fails unless every cross-reference entry points at its object and startxref at the table.
func checkXref(t testing.TB, file []byte) {
	t.Helper()
	m := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(file)
	if m == nil {
		t.Fatal("no startxref at the end")
	}
	start, _ := strconv.Atoi(string(m[1]))
	lines := strings.Split(string(file[start:]), "\n")
	var count int
	if _, err := fmt.Sscanf(lines[1], "0 %d", &count); err != nil || lines[0] != "xref" {
		t.Fatalf("no cross-reference table at %d: %v", start, err)
	}
	for n := 1; n < count; n++ {
		off, err := strconv.Atoi(lines[2+n][:10])
		if err != nil || !bytes.HasPrefix(file[off:], fmt.Appendf(nil, "%d 0 obj\n", n)) {
			t.Errorf("object %d is not at offset %d (%v)", n, off, err)
		}
	}
}

func TestSameCallsGiveSameBytes(t *testing.T) {
	pages := []any{
		fixture(t, "letter-fine-g4.tiff")[0],
		SlipPage{Heading: "Page 2 is missing", Lines: []string{"zażółć γλώσσα страница 中文"}, Label: "2"},
		ImagePage{Width: 1728, Height: 100, Strip: white(100), Label: "3"},
	}
	first := build(t, exampleMeta(), pages...)
	if !bytes.Equal(first, build(t, exampleMeta(), pages...)) {
		t.Error("two runs differ")
	}
	id := regexp.MustCompile(`/ID\[<(\w{32})><`)
	other := build(t, exampleMeta(), pages[:2]...)
	if a, b := id.Find(first), id.Find(other); a == nil || bytes.Equal(a, b) {
		t.Errorf("identifiers %s and %s of different documents", a, b)
	}
	changed := pages[0].(ImagePage)
	changed.Strip = bytes.Clone(changed.Strip)
	changed.Strip[len(changed.Strip)/2] ^= 1
	if a, b := id.Find(first), id.Find(build(t, exampleMeta(), changed, pages[1], pages[2])); bytes.Equal(a, b) {
		t.Errorf("identifier %s of two documents that differ in one bit of a strip", a)
	}
}

func TestZeroCreationTimeWritesNoDate(t *testing.T) {
	file := build(t, Meta{Title: "x"}, SlipPage{Heading: "x"})
	if bytes.Contains(file, []byte("Date")) {
		t.Error("a date is written")
	}
	file = build(t, exampleMeta(), SlipPage{Heading: "x"})
	for _, want := range []string{"/CreationDate(D:20261123130506+00'00')", "<xmp:CreateDate>2026-11-23T13:05:06+00:00<"} {
		if !bytes.Contains(file, []byte(want)) {
			t.Errorf("no %s", want)
		}
	}
}

func TestPageIsPhysicalSize(t *testing.T) {
	for _, c := range []struct {
		page ImagePage
		want string
	}{
		{ImagePage{Width: 1728, Height: 2156}, "/MediaBox[0 0 609.8822 791.9999]"},
		{ImagePage{Width: 1728, Height: 1078, XRes: 204, YRes: 98}, "/MediaBox[0 0 609.8822 791.9999]"},
		{ImagePage{Width: 2550, Height: 3300, XRes: 300, YRes: 300}, "/MediaBox[0 0 611.9999 791.9999]"},
		{ImagePage{Width: 1728, Height: 5}, "/MediaBox[0 0 609.8822 3]"}, // least size of PDF/A
		{ImagePage{Width: 1728, Height: 40_000, XRes: 204, YRes: 98}, "/MediaBox[0 0 203.294 9795.9183]/UserUnit 3"},
	} {
		c.page.Strip = white(c.page.Height)
		file := build(t, Meta{}, c.page)
		if !bytes.Contains(file, []byte(c.want)) {
			t.Errorf("%dx%d at %gx%g: no %s but %s", c.page.Width, c.page.Height, c.page.XRes, c.page.YRes, c.want,
				regexp.MustCompile(`/MediaBox[^/]*(/UserUnit \d+)?`).Find(file))
		}
	}
}

func TestRefusedPageLeavesNoTrace(t *testing.T) {
	good := ImagePage{Width: 1728, Height: 100, Strip: white(100)}
	with := func(change func(*ImagePage)) any {
		p := good
		change(&p)
		return p
	}
	refused := map[string]any{
		"negative width":     with(func(p *ImagePage) { p.Width = -1728 }),
		"no height":          with(func(p *ImagePage) { p.Height = 0 }),
		"absurd height":      with(func(p *ImagePage) { p.Height = math.MaxInt }),
		"NaN resolution":     with(func(p *ImagePage) { p.XRes, p.YRes = math.NaN(), 196 }),
		"infinite":           with(func(p *ImagePage) { p.XRes, p.YRes = 204, math.Inf(1) }),
		"negative":           with(func(p *ImagePage) { p.XRes, p.YRes = -204, -196 }),
		"one resolution":     with(func(p *ImagePage) { p.XRes = 204 }),
		"no strip":           with(func(p *ImagePage) { p.Strip = nil }),
		"endless label":      with(func(p *ImagePage) { p.Label = strings.Repeat("9", 201) }),
		"word outside":       with(func(p *ImagePage) { p.Words = []Word{{"x", image.Rect(1700, 90, 1729, 100)}} }),
		"word of no place":   with(func(p *ImagePage) { p.Words = []Word{{"x", image.Rect(9, 9, 9, 20)}} }),
		"endless word":       with(func(p *ImagePage) { p.Words = []Word{{strings.Repeat("x", 1001), image.Rect(0, 0, 9, 9)}} }),
		"endless words":      with(func(p *ImagePage) { p.Words = slices.Repeat([]Word{{"x", image.Rect(0, 0, 9, 9)}}, 50_001) }),
		"slip negative":      SlipPage{WidthPoints: -612, HeightPoints: 792},
		"slip one side":      SlipPage{WidthPoints: 612},
		"slip NaN":           SlipPage{WidthPoints: math.NaN(), HeightPoints: 792},
		"slip endless":       SlipPage{Lines: []string{strings.Repeat("x ", 8000)}},
		"slip endless label": SlipPage{Label: strings.Repeat("x", 201)},
	}
	var plain bytes.Buffer
	w := NewWriter(&plain, Meta{})
	if _, err := w.AddImage(good); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, page := range refused {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out, Meta{})
			var err error
			switch p := page.(type) {
			case ImagePage:
				_, err = w.AddImage(p)
			case SlipPage:
				err = w.AddSlip(p)
			}
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "page 1") {
				t.Fatalf("got %v, want ErrInput that names the page", err)
			}
			if _, err := w.AddImage(good); err != nil {
				t.Fatalf("good page after the refused one: %v", err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), plain.Bytes()) {
				t.Error("the document differs from one without the refused page")
			}
		})
	}
}

func TestRefusedMetadata(t *testing.T) {
	for name, m := range map[string]Meta{
		"endless title": {Title: strings.Repeat("x", maxMeta+1)},
		"year 10000":    {Created: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		w := NewWriter(io.Discard, m)
		if err := w.AddSlip(SlipPage{Heading: "x"}); !errors.Is(err, ErrInput) {
			t.Errorf("%s: AddSlip gave %v, want ErrInput", name, err)
		}
		if err := w.Close(); !errors.Is(err, ErrInput) {
			t.Errorf("%s: Close gave %v, want ErrInput", name, err)
		}
	}
}

// failAfter takes n bytes, then fails.
type failAfter struct{ n int }

var errDisk = errors.New("disk full")

func (f *failAfter) Write(p []byte) (int, error) {
	if len(p) > f.n {
		return f.n, errDisk
	}
	f.n -= len(p)
	return len(p), nil
}

func TestWriteErrorStays(t *testing.T) {
	page := fixture(t, "a4-fine-g4.tiff")[0]
	whole := len(build(t, exampleMeta(), page, page, SlipPage{Heading: "x"}))
	for n := 0; n < whole; n += 997 {
		w := NewWriter(&failAfter{n}, exampleMeta())
		var failed error
		for range 2 {
			if _, err := w.AddImage(page); failed != nil && !errors.Is(err, errDisk) {
				t.Fatalf("after %d bytes: call after a failure gave %v", n, err)
			} else if err != nil {
				failed = err
			}
		}
		if err := w.AddSlip(SlipPage{Heading: "x"}); failed != nil && !errors.Is(err, errDisk) {
			t.Fatalf("after %d bytes: call after a failure gave %v", n, err)
		}
		for range 2 {
			if err := w.Close(); !errors.Is(err, errDisk) {
				t.Fatalf("after %d bytes: Close gave %v", n, err)
			}
		}
	}
}

func TestClosedAndEmpty(t *testing.T) {
	if err := NewWriter(io.Discard, Meta{}).Close(); err == nil {
		t.Error("a document without pages was closed without an error")
	}
	w := NewWriter(io.Discard, Meta{})
	if err := w.AddSlip(SlipPage{Heading: "x"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AddSlip(SlipPage{Heading: "x"}); !errors.Is(err, ErrClosed) {
		t.Errorf("AddSlip after Close: %v", err)
	}
	if _, err := w.AddImage(ImagePage{Width: 1, Height: 1, Strip: white(1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("AddImage after Close: %v", err)
	}
}

type countWriter struct{ n int64 }

func (c *countWriter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func TestTenThousandPagesInSmallMemory(t *testing.T) {
	page := ImagePage{Width: 1728, Height: 2156, Strip: make([]byte, 50<<10)}
	var before, after runtime.MemStats
	var out countWriter
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := NewWriter(&out, exampleMeta())
	for i := range 10_000 {
		page.Label = strconv.Itoa(i + 1)
		if _, err := w.AddImage(page); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 2<<20 {
		t.Errorf("%d bytes of heap held after 10,000 pages, want under 2 MiB", held)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 10_000*8<<10 {
		t.Errorf("%d bytes allocated a page, want under 8 KiB", made/10_000)
	}
	if overhead := out.n - 10_000*int64(len(page.Strip)); overhead > 10_000*700 {
		t.Errorf("%d bytes a page beside the strip, want under 700", overhead/10_000)
	}
	t.Logf("%d bytes beside the strip, %d allocated a page; %d held", (out.n-10_000*int64(len(page.Strip)))/10_000,
		(after.TotalAlloc-before.TotalAlloc)/10_000, int64(after.HeapAlloc)-int64(before.HeapAlloc))
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		labels []string
		want   string
	}{
		{[]string{"", "", ""}, ""},
		{[]string{"1", "2", "3"}, ""},
		{[]string{"1", "3", "4"}, "/PageLabels<</Nums[0<</S/D/St 1>>1<</S/D/St 3>>]>>"},
		{
			[]string{"page 9", "page 10", "cover", "page 11"}, "/PageLabels<</Nums[0<</P(page )/S/D/St 9>>2<</P(cover)>>3<</P(page )/S/D/St 11>>]>>",
		},
		{[]string{"009", "010"}, "/PageLabels<</Nums[0<</P(00)/S/D/St 9>>1<</P(0)/S/D/St 10>>]>>"},
		{
			[]string{"a(0)", "0", "12345678901", "ж1"},
			`/PageLabels<</Nums[0<</P(a\(0\))>>1<</P(0)>>2<</P(12345678901)>>3<</P<FEFF0436>/S/D/St 1>>]>>`,
		},
	} {
		var r labelRuns
		for i, l := range c.labels {
			r.add(i, l)
		}
		if got := r.dict(); got != c.want {
			t.Errorf("%q: got %s, want %s", c.labels, got, c.want)
		}
	}
}

func BenchmarkAddImage(b *testing.B) {
	page := fixture(b, "a4-fine-g4.tiff")[0]
	b.SetBytes(int64(len(page.Strip)))
	b.ReportAllocs()
	w := NewWriter(io.Discard, Meta{})
	for b.Loop() {
		if _, err := w.AddImage(page); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
