package tiff_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// tool skips a test that needs a program of a Debian package, but not in CI.
func tool(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: install the Debian package %s", name, pkg)
		}
		t.Skipf("%s is missing: install the Debian package %s", name, pkg)
	}
	return path
}

// textPage draws lines of something like text.
func textPage(width, height int) *raster.Page {
	p := raster.New(width, height)
	for y := range height {
		line, in := y/33, y%33
		if in >= 20 || y < height/20 {
			continue
		}
		row := p.Row(y)
		for x := width / 80; x < len(row)-width/80; x++ {
			glyph := (x*7 + line*13) % 23
			if glyph%5 != 0 {
				row[x] = byte(0x18 << (in * glyph / 20 % 4) >> (in / 5 % 3))
			}
		}
	}
	return p
}

func g4(p *raster.Page) []byte { return ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride) }

func meta(p *raster.Page, page, pages int) tiff.PageMeta {
	return tiff.PageMeta{
		Width: p.Width, Height: p.Height, XRes: 204, YRes: 196, Page: page, Pages: pages,
		DateTime: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), Description: "fax of page \u00fc", Software: "faxstream",
	}
}

func writeDocument(t testing.TB, pages []*raster.Page) ([]byte, []int64) {
	t.Helper()
	var buf bytes.Buffer
	var offsets []int64
	w := tiff.NewWriter(&buf)
	for i, p := range pages {
		off, err := w.AddPage(meta(p, i+1, len(pages)), tiff.G4Strip(g4(p)))
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, off)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), offsets
}

var somePages = []*raster.Page{textPage(1728, 1100), raster.New(1728, 2200), textPage(2048, 300), textPage(33, 7)}

func TestWrittenDocumentsReadBackExactly(t *testing.T) {
	doc, offsets := writeDocument(t, somePages)
	f, err := tiff.Parse(doc, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil || f.NumPages() != len(somePages) {
		t.Fatalf("%d pages of %d, %v", f.NumPages(), len(somePages), err)
	}
	for i, want := range somePages {
		im, err := f.Page(i)
		if err != nil {
			t.Fatal(err)
		}
		d, err := im.Decode(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d.Raster.SHA256() != want.SHA256() || d.Raster.XRes != 204 || d.Raster.YRes != 196 || len(d.Warnings) > 0 || d.Coding != "mmr" {
			t.Errorf("page %d: %+v", i+1, d)
		}
		strip := g4(want)
		if !bytes.Equal(d.CleanG4, strip) || !bytes.Equal(doc[offsets[i]:offsets[i]+int64(len(strip))], strip) {
			t.Errorf("page %d: the strip is not the one given", i+1)
		}
	}
}

func TestTheSamePagesGiveTheSameBytes(t *testing.T) {
	a, _ := writeDocument(t, somePages)
	b, _ := writeDocument(t, somePages)
	if !bytes.Equal(a, b) {
		t.Error("two runs differ")
	}
}

func TestTiffinfoReadsOurDocumentsWithoutAWarning(t *testing.T) {
	info := tool(t, "tiffinfo", "libtiff-tools")
	doc, _ := writeDocument(t, somePages)
	name := filepath.Join(t.TempDir(), "doc.tiff")
	if err := os.WriteFile(name, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, warnings bytes.Buffer
	cmd := exec.Command(info, "-D", name) // -D: read the pixels too
	cmd.Stdout, cmd.Stderr = &out, &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 || strings.Contains(out.String(), "arning") {
		t.Fatalf("%v\n%s%s", err, warnings.String(), out.String())
	}
	for _, want := range []string{
		"Image Width: 1728 Image Length: 1100", "Resolution: 204, 196 pixels/inch", "Compression Scheme: CCITT Group 4",
		"Subfile Type: multi-page document", "min-is-white", "Page Number: 1-4", "DateTime: 2026:11:23 09:30:00",
		"Software: faxstream", "ImageDescription: fax of page ?", "Fax Data: clean (0 = 0x0)", "Rows/Strip: 1100",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("tiffinfo does not say %q:\n%s", want, out.String())
		}
	}
}

func TestLibtiffReadsOurRowsIdentically(t *testing.T) {
	cp := tool(t, "tiffcp", "libtiff-tools")
	doc, _ := writeDocument(t, somePages)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "doc.tiff"), filepath.Join(dir, "plain.tiff")
	if err := os.WriteFile(in, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(cp, "-c", "none", in, out).CombinedOutput(); err != nil || len(msg) > 0 {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range decodeAll(t, data) {
		if d.Coding != "none" || d.Raster.SHA256() != somePages[i].SHA256() {
			t.Errorf("page %d: libtiff reads other rows", i+1)
		}
	}
}

func decodeAll(t testing.TB, data []byte) []*tiff.Decoded {
	t.Helper()
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var ds []*tiff.Decoded
	for i := range f.NumPages() {
		im, err := f.Page(i)
		if err != nil {
			t.Fatal(err)
		}
		d, err := im.Decode(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

func TestAThousandPagesNeedTheMemoryOfOne(t *testing.T) {
	p := textPage(1728, 2200)
	strip := g4(p)
	h := sha256.New()
	w := tiff.NewWriter(h)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 1000 {
		if _, err := w.AddPage(meta(p, i+1, 1000), tiff.G4Strip(strip)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes allocated for 1,000 pages", grown)
	}
	t.Log(hex.EncodeToString(h.Sum(nil)))
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriterKeepsTheFirstError(t *testing.T) {
	p := textPage(100, 50)
	for _, left := range []int{0, 5, 20, 500, 900} {
		w := tiff.NewWriter(&failingWriter{left})
		for range 3 {
			w.AddPage(meta(p, 1, 3), tiff.G4Strip(g4(p)))
		}
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("destination full after %d bytes: Close says %v", left, err)
		}
		if _, err := w.AddPage(meta(p, 1, 3), tiff.G4Strip(g4(p))); !errors.Is(err, errFull) {
			t.Errorf("destination full after %d bytes: the next page says %v", left, err)
		}
	}
	if err := tiff.NewWriter(io.Discard).Close(); err == nil {
		t.Error("a file without pages was closed without an error")
	}
	if _, err := tiff.NewWriter(io.Discard).AddPage(tiff.PageMeta{}, tiff.G4Strip(nil)); !errors.Is(err, tiff.ErrMalformed) {
		t.Errorf("a page without pixels: %v", err)
	}
}

func ExampleWriter() {
	p := raster.New(1728, 1100)
	w := tiff.NewWriter(io.Discard)
	at, err := w.AddPage(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 204, YRes: 98, Page: 1, Pages: 1},
		tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)))
	fmt.Println(at, err, w.Close())
	// Output: 8 <nil> <nil>
}
