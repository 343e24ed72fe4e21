package tiff_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// A field is an IFD entry of a hand-made file; its value stands in the entry.
type field struct {
	tag, typ uint16
	count    uint32
	value    uint32
}

// handMade is a little-endian TIFF with one IFD at byte 8, followed by data.
func handMade(next uint32, data []byte, fields ...field) []byte {
	b := []byte{'I', 'I', 42, 0, 8, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint16(b, f.tag)
		b = binary.LittleEndian.AppendUint16(b, f.typ)
		b = binary.LittleEndian.AppendUint32(b, f.count)
		b = binary.LittleEndian.AppendUint32(b, f.value)
	}
	b = binary.LittleEndian.AppendUint32(b, next)
	return append(b, data...)
}

// onePage is a bilevel page in one strip behind the IFD.
func onePage(compression, width, height uint32, data []byte, more ...field) []byte {
	fields := append([]field{
		{256, 4, 1, width},
		{257, 4, 1, height},
		{259, 3, 1, compression},
		{262, 3, 1, 0},
		{273, 4, 1, 0},
		{278, 4, 1, height},
		{279, 4, 1, uint32(len(data))},
	}, more...)
	fields[4].value = 8 + 2 + 12*uint32(len(fields)) + 4
	return handMade(0, data, fields...)
}

func deflated(t testing.TB, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	z, err := zlib.NewWriterLevel(&buf, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<16)
	for ; n > 0; n -= len(zeros) {
		if _, err := z.Write(zeros[:min(n, len(zeros))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestBombsEndInATypedErrorOrABoundedResult(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
	junk := []byte("0123456789abcdef0123456789abcdef")
	white := bytes.Repeat([]byte{0xff}, 1<<20) // Group 4: a row a bit
	for _, c := range []struct {
		name string
		data []byte
		want error // nil: some page
	}{
		{"65535 x 65535 Group 4", onePage(4, 65535, 65535, junk), tiff.ErrLimit},
		{"65535 x 65535 uncompressed", onePage(1, 65535, 65535, junk), tiff.ErrLimit},
		{"1728 x 4e9 Group 3", onePage(3, 1728, 4e9, junk), tiff.ErrMalformed},
		{"1728 x 4e9 uncompressed", onePage(1, 1728, 4e9, junk), tiff.ErrLimit},
		{"1728 x 4e9 Deflate", onePage(8, 1728, 4e9, deflated(t, 1<<24)), tiff.ErrLimit},
		{"Deflate of 2 million rows", onePage(8, 1728, 2e6, deflated(t, 216*2e6)), tiff.ErrLimit},
		{"Deflate of many more rows than it says", onePage(8, 1728, 10, deflated(t, 216*2e6)), nil},
		{"Group 4 of 8 million rows", onePage(4, 1728, 8<<20, white), tiff.ErrLimit},
		{"Group 4 of 8 million rows that says 100", onePage(4, 1728, 100, white), nil},
		{"an IFD of 65,535 entries", append([]byte{'I', 'I', 42, 0, 8, 0, 0, 0, 0xff, 0xff}, junk...), tiff.ErrTruncated},
		{"an IFD of 60,000 entries", append([]byte{'I', 'I', 42, 0, 8, 0, 0, 0, 0x60, 0xea}, make([]byte, 12*0xea60+4)...), tiff.ErrLimit},
		{"the same 100,000 rows in 400 strips", manyStrips(t, 400), tiff.ErrLimit},
		{
			"4e9 strips", handMade(0, junk, field{256, 4, 1, 1728}, field{257, 4, 1, 10}, field{259, 3, 1, 4}, field{273, 4, 4e9, 8}),
			tiff.ErrTruncated,
		},
		{"strips past the end", onePage(4, 1728, 100, nil, field{999, 4, 1, 1}), tiff.ErrMalformed},
		{
			"tiles of 4e9 x 4e9",
			handMade(0, junk, field{256, 4, 1, 1728}, field{257, 4, 1, 10}, field{322, 4, 1, 4e9}, field{323, 4, 1, 4e9}, field{324, 4, 1, 8}),
			tiff.ErrLimit,
		},
		{"no width", onePage(4, 0, 10, junk), tiff.ErrMalformed},
		{"a loop of one IFD", handMade(8, junk, field{256, 4, 1, 1728}), tiff.ErrMalformed},
		{"empty", nil, tiff.ErrTruncated},
		{"PNG", []byte("\x89PNG\r\n\x1a\n12345678"), tiff.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := decodeAllPages(c.data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 128<<20 { // the rows that are allowed are 43 MB, twice with the race detector
				t.Errorf("%d bytes allocated", used)
			}
		})
	}
}

// manyStrips is a page without ImageLength whose strips are all the same bytes,
// 100,000 rows in Group 4.
func manyStrips(t testing.TB, n int) []byte {
	t.Helper()
	data := bytes.Repeat([]byte{0xff}, 12500)
	at := uint32(len(data))
	for range n {
		data = binary.LittleEndian.AppendUint32(data, 8+2+12*4+4)
	}
	for range n {
		data = binary.LittleEndian.AppendUint32(data, at)
	}
	arrays := 8 + 2 + 12*4 + 4 + at
	return handMade(
		0, data, field{256, 4, 1, 1728}, field{259, 3, 1, 4}, field{273, 4, uint32(n), arrays}, field{279, 4, uint32(n), arrays + 4*uint32(n)},
	)
}

// decodeAllPages decodes what can be and returns the first error.
func decodeAllPages(data []byte) ([]*tiff.Decoded, error) {
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		return nil, err
	}
	first := error(nil)
	var ds []*tiff.Decoded
	for i := range f.NumPages() {
		im, err := f.Page(i)
		if err == nil {
			var d *tiff.Decoded
			if d, err = im.Decode(context.Background()); err == nil {
				ds = append(ds, d)
			}
		}
		if first == nil {
			first = err
		}
	}
	return ds, first
}

func TestALoopOfIFDsKeepsThePagesBeforeIt(t *testing.T) {
	doc, _ := writeDocument(t, somePages)
	f, err := tiff.Parse(doc, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	// The last IFD's link is the only four zero bytes that matter: point it
	// to the first IFD.
	first := binary.LittleEndian.Uint32(doc[4:])
	at := int(first)
	for range len(somePages) - 1 {
		at = int(binary.LittleEndian.Uint32(doc[at+2+12*int(binary.LittleEndian.Uint16(doc[at:])):]))
	}
	link := at + 2 + 12*int(binary.LittleEndian.Uint16(doc[at:]))
	binary.LittleEndian.PutUint32(doc[link:], first)
	f, err = tiff.Parse(doc, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if f.NumPages() != len(somePages) || !errors.Is(f.Check(), tiff.ErrMalformed) {
		t.Errorf("%d pages, %v", f.NumPages(), f.Check())
	}
}

func TestMorePagesThanAllowed(t *testing.T) {
	doc, _ := writeDocument(t, somePages)
	f, err := tiff.Parse(doc, tiff.Limits{MaxPages: 2})
	if err != nil || f.NumPages() != 2 || !errors.Is(f.Check(), tiff.ErrLimit) {
		t.Errorf("%d pages, %v, %v", f.NumPages(), err, f.Check())
	}
}

func TestACutFileIsTruncatedAndNotMalformed(t *testing.T) {
	p := textPage(1728, 400)
	doc, _ := writeDocument(t, somePages[:1])
	classF := onePage(4, 1728, 400, g4(p))
	for _, whole := range [][]byte{doc, classF} {
		for _, cut := range []int{5, 9, 30, 200, len(whole) / 2, len(classF) - 3} {
			f, err := tiff.Parse(whole[:cut], tiff.Limits{})
			if err == nil {
				err = f.Check()
			}
			if !errors.Is(err, tiff.ErrTruncated) || errors.Is(err, tiff.ErrMalformed) {
				t.Errorf("cut to %d of %d bytes: %v", cut, len(whole), err)
			}
		}
	}
	// What is there of the strip is decoded all the same.
	ds, err := decodeAllPages(classF[:len(classF)*3/4])
	if err != nil || len(ds) != 1 {
		t.Fatal(err)
	}
	d := ds[0]
	if len(d.BadRows) != 1 || d.BadRows[0].Last != 399 || d.BadRows[0].First < 200 || d.CleanG4 != nil || len(d.Warnings) == 0 {
		t.Errorf("bad rows %v, warnings %q", d.BadRows, d.Warnings)
	}
	for y := range d.BadRows[0].First {
		if !bytes.Equal(d.Raster.Row(y), p.Row(y)) {
			t.Fatalf("row %d before the cut differs", y)
		}
	}
}

func TestDecodingStopsWithItsContext(t *testing.T) {
	doc, _ := writeDocument(t, somePages[:1])
	f, err := tiff.Parse(doc, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := im.Decode(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOnlyCleanGroup4IsCopied(t *testing.T) {
	p := textPage(1728, 300)
	strip := g4(p)
	damaged := bytes.Clone(strip)
	damaged[len(damaged)/2] ^= 0x10
	for _, c := range []struct {
		name string
		data []byte
		copy bool
	}{
		{"clean", onePage(4, 1728, 300, strip), true},
		{"least significant bit first", onePage(4, 1728, 300, ccitt.ReverseBits(strip), field{266, 3, 1, 2}), true},
		{"bytes behind EOFB", onePage(4, 1728, 300, append(bytes.Clone(strip), 0, 0, 7)), true},
		{"no EOFB", onePage(4, 1728, 300, strip[:len(strip)-3]), false},
		{"half an EOFB", onePage(4, 1728, 299, strip), false},
		{"damaged", onePage(4, 1728, 300, damaged), false},
		{"Group 3", onePage(3, 1728, 300, ccitt.AppendG3(nil, p.Pix, 1728, 300, 216, ccitt.G3Options{})), false},
		{"tagged Group 3", onePage(3, 1728, 300, strip), true},
		{"ImageLength too large", onePage(4, 1728, 310, strip), false},
	} {
		ds, err := decodeAllPages(c.data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if (ds[0].CleanG4 != nil) != c.copy || c.copy && !bytes.Equal(ds[0].CleanG4, strip) {
			t.Errorf("%s: %d bytes to copy, warnings %q", c.name, len(ds[0].CleanG4), ds[0].Warnings)
		}
	}
}
