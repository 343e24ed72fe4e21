package tiff_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// firstPage reads the first page of a file; nil: there is none.
func firstPage(data []byte) *tiff.Image {
	file, err := tiff.Parse(data, tiff.Limits{MaxPixels: 1 << 24})
	if err != nil {
		return nil
	}
	im, err := file.Page(0)
	if err != nil {
		return nil
	}
	return im
}

// withField returns a copy of a little-endian file whose first page has another value in a field of one SHORT or LONG.
func withField(t *testing.T, data []byte, tag uint16, value uint32) []byte {
	t.Helper()
	data = slices.Clone(data)
	le := binary.LittleEndian
	at := le.Uint32(data[4:])
	for n := range uint32(le.Uint16(data[at:])) {
		f := data[at+2+12*n:][:12]
		if le.Uint16(f) == tag {
			le.PutUint16(f[2:], 4)
			le.PutUint32(f[8:], value)
			return data
		}
	}
	t.Fatalf("no field %d", tag)
	return nil
}

// A page is the same, and its strip is clean, only if every field is as it was of which its rows depend.
func TestOnlyAPageWithTheSameFieldsIsTheSame(t *testing.T) {
	data := g4Page(t)
	page, err := firstPage(data).Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, strip := page.Raster, page.CleanG4
	for _, c := range []struct {
		tag   uint16
		value uint32
		same  bool
	}{
		{254, 0, true},         // NewSubfileType
		{256, 1720, false},     // ImageWidth
		{257, 100, false},      // ImageLength
		{259, 3, false},        // Compression
		{262, 1, false},        // PhotometricInterpretation
		{266, 2, false},        // FillOrder
		{277, 3, false},        // SamplesPerPixel
		{279, 10, false},       // StripByteCounts
		{273, 9, false},        // StripOffsets: the strip begins a byte later
		{297, 7 | 9<<16, true}, // PageNumber
	} {
		im := firstPage(withField(t, data, c.tag, c.value))
		if im == nil {
			t.Fatalf("field %d: no page", c.tag)
		}
		if c.tag != 254 && c.tag != 297 { // the others change the type too
			if firstPage(data).Same(im) || im.Same(firstPage(data)) {
				t.Errorf("field %d: the same", c.tag)
			}
		}
		if got := im.CleanStrip(p.Width, p.Height, len(strip)); bytes.Equal(got, strip) != c.same {
			t.Errorf("field %d: a clean strip %v, want %v", c.tag, !c.same, c.same)
		}
	}
	if !firstPage(data).Same(firstPage(slices.Clone(data))) {
		t.Error("a copy is not the same")
	}
}

// g4Page is a page as our Writer writes it.
func g4Page(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/letter-standard-g4.tiff")
	if err != nil {
		t.Fatal(err)
	}
	page, err := firstPage(data).Decode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return writtenPage(t, page.Raster, tiff.G4Strip(page.CleanG4))
}

func writtenPage(t testing.TB, p *raster.Page, s tiff.Strip) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	if _, err := w.AddPage(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 204, YRes: 98, Page: 1, Pages: 1}, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two files that differ in one byte, and whose first pages are the same, decode to the same rows. The last four bytes of the input say
// which byte of the others, and how it differs.
func FuzzSame(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 12 {
			return
		}
		change := binary.BigEndian.Uint32(data[len(data)-4:])
		data = data[:len(data)-4]
		other := slices.Clone(data)
		other[int(change>>8)%len(data)] ^= byte(change)
		a, b := firstPage(data), firstPage(other)
		if a == nil || b == nil || !a.Same(b) {
			return
		}
		ours, err := a.Decode(t.Context())
		theirs, otherErr := b.Decode(t.Context())
		if (err == nil) != (otherErr == nil) {
			t.Fatalf("%v, but %v", err, otherErr)
		}
		if err == nil && (ours.Raster.SHA256() != theirs.Raster.SHA256() || !slices.Equal(ours.BadRows, theirs.BadRows)) {
			t.Errorf("the same page has other rows: %v and %v are bad", ours.BadRows, theirs.BadRows)
		}
	})
}
