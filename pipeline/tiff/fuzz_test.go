package tiff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"os"
	"path/filepath"
	"slices"
	"testing"

	xtiff "golang.org/x/image/tiff"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// addFiles seeds a fuzz target with a small file of every compression and
// layout, and with the real files below 4 KiB.
func addFiles(f *testing.F) {
	doc, _ := writeDocument(f, somePages[3:])
	f.Add(doc)
	p := clipped(textPage(83, 20))
	for _, o := range []ccitt.G3Options{{}, {Fill: true, RTC: true}, {TwoD: true}, {TwoD: true, Fill: true, RTC: true}} {
		t4Options := uint32(0)
		if o.TwoD {
			t4Options = 1
		}
		f.Add(pageFile(3, t4Options, 1, p, g3(p, o)))
		o.LSBFirst = true
		f.Add(pageFile(3, t4Options, 2, p, g3(p, o)))
	}
	f.Add(pageFile(1, 0, 1, p, p.Pix))
	f.Add(pageFile(4, 0, 1, p, g4(p)))
	f.Add(pageFile(8, 0, 1, p, deflateOf(f, p.Pix)))
	f.Add(onePage(5, 16, 2, []byte{0x80, 0x00, 0x20, 0x10}))
	f.Add(onePage(5, 8, 20, oldLZW(p.Pix[:20])))
	f.Add(onePage(32773, 1728, 2, []byte{0x81, 0, 0x81, 0xff}))
	f.Add(handMade(
		0, make([]byte, 40), field{256, 4, 1, 20}, field{257, 4, 1, 10}, field{322, 4, 1, 16}, field{323, 4, 1, 16}, field{324, 4, 1, 8},
		field{325, 4, 1, 32},
	))
	f.Add([]byte("MM\x00\x2b\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add(tonesDocument(f, tonesPage(17, 9, 1), tonesPage(17, 9, 3)))
	f.Add(samplesFile(3, 1, []byte{0, 1, 2, 3}, field{320, 3, 768, 0}))
	for _, p := range sampledPages() {
		f.Add(p.file(binary.BigEndian))
	}
	f.Add(oldJPEGFile(f, smoothPage(16, 16, 3), 16))
	f.Add(oldJPEGFile(f, smoothPage(16, 16, 1), 8))
	f.Add(samplesFileSized(2, 2, 6, 3, []byte{1, 2, 3, 4, 5, 6}, field{530, 3, 2, 2 | 2<<16}))
	f.Add(samplesFileSized(2, 2, 2, 3, make([]byte, 12), field{284, 3, 1, 2}))
	f.Add(onePage(9, 37, 40, smallJBIG))
	f.Add(kindsFile([]kind{{254, 2}, {254, 1}, {255, 2}}))
	f.Add(jpegFile(f, 16, 8, 1, image.NewGray(image.Rect(0, 0, 16, 8))))
	err := filepath.WalkDir(filepath.Join("..", "..", "..", "shared", "corpus", "files"), func(path string, e os.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil || e.IsDir():
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && len(data) < 4096 {
			f.Add(data)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

var fuzzLimits = tiff.Limits{
	MaxBytes: 1 << 20, MaxPages: 20, MaxIFDEntries: 50, MaxWidth: 4000, MaxRows: 5000, MaxPixels: 1 << 20, MaxTonePixels: 1 << 18,
}

// FuzzParse checks what Parse and Decode promise whatever the bytes are.
func FuzzParse(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := tiff.Parse(data, fuzzLimits)
		if err != nil {
			checkTyped(t, err)
			return
		}
		if n := file.NumPages(); n < 1 || n > fuzzLimits.MaxPages {
			t.Fatalf("%d pages", n)
		}
		for i := range file.NumPages() {
			im, err := file.Page(i)
			if err != nil {
				checkTyped(t, err)
				continue
			}
			d, err := im.Decode(context.Background())
			sameDecoded(t, data, fuzzLimits, i, d, err)
			if err != nil {
				checkTyped(t, err)
				continue
			}
			checkDecoded(t, d)
		}
		if err := file.Check(); err != nil {
			checkTyped(t, err)
		}
	})
}

// checkDecoded fails when a page exceeds the limits or contradicts itself.
func checkDecoded(t *testing.T, d *tiff.Decoded) {
	t.Helper()
	r, lim := d.Raster, fuzzLimits
	if r.Width > lim.MaxWidth || r.Height > lim.MaxRows || r.Width*r.Height > lim.MaxPixels || len(r.Pix) != r.Stride*r.Height {
		t.Fatalf("page of %d x %d", r.Width, r.Height)
	}
	if w := d.Tones; w != nil && (w.Width != r.Width || w.Height != r.Height || w.Width*w.Height > lim.MaxTonePixels ||
		w.Samples != 1 && w.Samples != 3 || len(w.Pix) != w.Width*w.Height*w.Samples) {
		t.Fatalf("gray page of %d x %d", w.Width, w.Height)
	}
	if sum := r.SHA256(); sum != clipped(r).SHA256() {
		t.Fatal("pixels behind the width")
	}
	last, longest := -2, 0
	for _, b := range d.BadRows {
		if b.First <= last+1 || b.Last < b.First || b.Last >= r.Height {
			t.Fatalf("bad rows %v of %d", d.BadRows, r.Height)
		}
		last, longest = b.Last, max(longest, b.Last-b.First+1)
	}
	if longest != d.LongestBadRun {
		t.Fatalf("longest run %d, said %d", longest, d.LongestBadRun)
	}
	if d.CleanG4 == nil {
		return
	}
	pix, res, err := ccitt.Decode(nil, d.CleanG4, ccitt.Options{Coding: ccitt.MMR, Width: r.Width, Rows: r.Height})
	if err != nil || !res.Clean() || !res.EndMark || !bytes.Equal(pix, r.Pix) {
		t.Fatalf("the strip to copy is not the page: %+v %v", res, err)
	}
}

func checkTyped(t *testing.T, err error) {
	t.Helper()
	for _, want := range []error{tiff.ErrMalformed, tiff.ErrTruncated, tiff.ErrUnsupported, tiff.ErrLimit} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Fatalf("untyped error: %v", err)
}

// FuzzAgainstXImage compares with golang.org/x/image the bilevel pages that
// both read without a complaint.
func FuzzAgainstXImage(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) { compareWithXImage(t, data, fuzzLimits) })
}

// compareWithXImage tells whether x/image and we both read the first page of a
// file as a faultless bilevel page, and fails when they are different ones. It
// knows what x/image does otherwise than TIFF demands: it takes the white runs
// of fax codings for white whatever the photometric interpretation, it looks at
// T4Options not at all and at FillOrder only in fax codings.
func compareWithXImage(t *testing.T, data []byte, lim tiff.Limits) bool {
	t.Helper()
	config, err := xtiff.DecodeConfig(bytes.NewReader(data))
	if err != nil || config.Width > lim.MaxWidth || config.Width*config.Height > lim.MaxPixels {
		return false
	}
	want, err := xtiff.Decode(bytes.NewReader(data))
	if err != nil {
		return false
	}
	file, err := tiff.Parse(data, lim)
	if err != nil {
		t.Fatalf("x/image reads it: %v", err)
	}
	im, err := file.Page(0)
	if err != nil || im.BitsPerSample != 1 || im.SamplesPerPixel != 1 {
		return false
	}
	fax := im.Compression == 3 || im.Compression == 4
	if fax && im.T4Options&1 != 0 || !fax && im.FillOrder == 2 {
		return false
	}
	d, err := im.Decode(context.Background())
	if err != nil || slices.ContainsFunc(d.Warnings, func(w string) bool { return w != d.Resolution.Assumed }) || len(d.BadRows) > 0 {
		return false
	}
	p := blackPixels(want, fax && im.Photometric > 0)
	if p != nil && p.SHA256() != d.Raster.SHA256() {
		t.Fatalf("%s: x/image reads another page of %d x %d", d.Coding, p.Width, p.Height)
	}
	return p != nil
}

// TestXImageReadsRealFilesAsWeDo also shows that the comparison is not empty.
func TestXImageReadsRealFilesAsWeDo(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	dir, pages := corpusPages(t)
	compared, bilevel := 0, 0
	for _, p := range pages {
		if p.page != 1 || p.kind != "strict" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, "files", p.file))
		if err != nil {
			t.Fatal(err)
		}
		bilevel++
		t.Run(p.file, func(t *testing.T) {
			if compareWithXImage(t, data, tiff.Limits{MaxWidth: 20_000, MaxPixels: 1 << 24}) {
				compared++
			}
		})
	}
	if t.Logf("%d files compared of %d", compared, bilevel); compared < 60 {
		t.Errorf("only %d files compared of %d", compared, bilevel)
	}
}

// blackPixels turns what x/image made of a bilevel page into rows; nil for an
// image that is none. Of a palette the darker entry is black.
func blackPixels(img image.Image, inverted bool) *raster.Page {
	var black func(x, y int) bool
	switch img := img.(type) {
	case *image.Gray:
		black = func(x, y int) bool { return img.GrayAt(x, y).Y == 0 }
	case *image.Paletted:
		if len(img.Palette) != 2 {
			return nil
		}
		var sum [2]uint32
		for i, c := range img.Palette {
			r, g, b, _ := c.RGBA()
			sum[i] = r + g + b
		}
		dark := uint8(1)
		if sum[0] < sum[1] {
			dark = 0
		}
		black = func(x, y int) bool { return img.ColorIndexAt(x, y) == dark }
	default:
		return nil
	}
	p := raster.New(img.Bounds().Dx(), img.Bounds().Dy())
	set(p, func(x, y int) bool { return black(x, y) != inverted })
	return p
}
