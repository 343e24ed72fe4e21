package tiff_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"runtime"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// decodeCounted decodes page i of a file that is not in memory, with as many bytes as Memory says and then as many as errors ask for.
func decodeCounted(t testing.TB, data []byte, lim tiff.Limits, i int) (*tiff.Decoded, error) {
	t.Helper()
	file, err := tiff.ParseFile(bytes.NewReader(data), int64(len(data)), lim)
	if err != nil {
		return nil, err
	}
	im, err := file.Page(i)
	if err != nil {
		return nil, err
	}
	im.Allowed = im.Memory()
	for range 40 {
		d, err := im.Decode(context.Background())
		var more *tiff.MemoryError
		if !errors.As(err, &more) {
			return d, err
		}
		if more.Need <= im.Allowed {
			t.Fatalf("%d bytes are allowed, and the error asks for %d", im.Allowed, more.Need)
		}
		im.Allowed = more.Need
	}
	t.Fatalf("still not enough: %d bytes", im.Allowed)
	return nil, nil
}

// sameDecoded fails unless a file gives the same page from memory and piece by piece within its memory.
func sameDecoded(t testing.TB, data []byte, lim tiff.Limits, i int, want *tiff.Decoded, wantErr error) {
	t.Helper()
	got, err := decodeCounted(t, data, lim, i)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("page %d: %v in memory, %v in pieces", i+1, wantErr, err)
	}
	if err != nil {
		return
	}
	if got.Raster.SHA256() != want.Raster.SHA256() || !bytes.Equal(got.CleanG4, want.CleanG4) || len(got.BadRows) != len(want.BadRows) ||
		(got.Tones == nil) != (want.Tones == nil) || got.Tones != nil && got.Tones.SHA256() != want.Tones.SHA256() {
		t.Fatalf("page %d: another page in pieces: %q, %q", i+1, want.Warnings, got.Warnings)
	}
}

// A page takes no more bytes than its estimate, whatever its layout: the sum of all allocations is an upper bound of what is in use.
func TestDecodeTakesNoMoreThanItsEstimate(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	black := raster.New(9000, 8000) // 9 MB
	for y := 0; y < black.Height; y += 3 {
		copy(black.Row(y)[50:], bytes.Repeat([]byte{0x5a}, 200))
	}
	gray, rgb := smoothPage(3000, 2000, 1), smoothPage(2000, 2000, 3) // 6 and 12 MB
	var tiles [][]byte
	for range 2 * 2 {
		tiles = append(tiles, g4(raster.New(4512, 4000)))
	}
	turned := field{274, 3, 1, 6}
	for name, file := range map[string][]byte{
		"Group 4":                 onePage(4, 9000, 8000, g4(black)),
		"Group 4, turned":         onePage(4, 9000, 8000, g4(black), turned),
		"Group 4, without length": onePage(4, 1728, 0, g4(raster.New(1728, 2200))),
		"uncompressed":            onePage(1, 9000, 8000, black.Pix),
		"tiles":                   tilesFile(4, 0, 1, 9000, 8000, 4512, 4000, tiles),
		"gray, Deflate":           tonesDocument(t, gray),
		"colour, Deflate":         tonesDocument(t, rgb),
		"colour, uncompressed":    samplesFileSized(2000, 2000, 2, 3, rgb.Pix, field{278, 3, 1, 2000}),
		"CMYK":                    samplesFileSized(1500, 2000, 5, 4, rgb.Pix, field{278, 3, 1, 2000}),
		"JPEG":                    jpegFile(t, 2000, 2000, 3, rgbImage(rgb)),
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := tiff.ParseFile(bytes.NewReader(file), int64(len(file)), tiff.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			im, err := parsed.Page(0)
			if err != nil {
				t.Fatal(err)
			}
			im.Allowed = im.Memory()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d, err := im.Decode(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d.Upright()
			runtime.ReadMemStats(&after)
			took := int64(after.TotalAlloc - before.TotalAlloc)
			t.Logf("%d bytes of %d", took, im.Allowed)
			if took > growth*im.Allowed {
				t.Errorf("%d bytes were allocated, %d were said", took, im.Allowed)
			}
			if least := int64(len(d.Raster.Pix)); im.Allowed > 8*least+decodeSlack && d.Tones == nil {
				t.Errorf("%d bytes were said for a page of %d", im.Allowed, least)
			}
		})
	}
}

// decodeSlack is what Memory may count beside the rows of a bilevel page.
const decodeSlack = 6 << 20

// A page of many rows in few bytes, without ImageLength, asks for more memory before it takes it.
func TestAPageThatUnpacksToMuchAsksFirst(t *testing.T) {
	const rows = 160_000
	data := onePage(4, 1728, 0, append(bytes.Repeat([]byte{0xff}, rows/8), 0x00, 0x10, 0x01))
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := file.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	im.Allowed = im.Memory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = im.Decode(t.Context())
	runtime.ReadMemStats(&after)
	var more *tiff.MemoryError
	if !errors.As(err, &more) || more.Need <= im.Allowed {
		t.Fatalf("%v, want a MemoryError", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(2*im.Allowed) {
		t.Errorf("%d bytes were allocated before the error, allowed are %d", took, im.Allowed)
	}
	if d, err := decodeCounted(t, data, tiff.Limits{}, 0); err != nil || d.Raster.Height != rows {
		t.Errorf("with more memory: %v", err)
	}
}

// unreadable is a file on a disk that fails behind some byte.
type unreadable struct {
	io.ReaderAt
	from int64
}

var errDisk = errors.New("input/output error")

func (u unreadable) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > u.from {
		return 0, errDisk
	}
	return u.ReaderAt.ReadAt(p, at)
}

// A disk that fails says nothing about the page: the error is no complaint about the file.
func TestAReadErrorIsNoDamage(t *testing.T) {
	data := tonesDocument(t, tonesPage(300, 200, 3))
	for from := int64(0); from < int64(len(data)); from += 97 {
		file, err := tiff.ParseFile(unreadable{bytes.NewReader(data), from}, int64(len(data)), tiff.Limits{})
		if err == nil {
			var im *tiff.Image
			if im, err = file.Page(0); err == nil {
				_, err = im.Decode(t.Context())
			}
		}
		if !errors.Is(err, tiff.ErrRead) || !errors.Is(err, errDisk) {
			t.Fatalf("a disk that fails at byte %d of %d: %v", from, len(data), err)
		}
	}
}

func rgbImage(p *raster.Tones) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(img.Pix[4*i:], append(p.Pix[3*i:3*i+3:3*i+3], 0xff))
	}
	return img
}
