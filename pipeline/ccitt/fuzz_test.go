package ccitt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xccitt "golang.org/x/image/ccitt"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// A stream is what a fuzz target is seeded with.
type stream struct {
	coding ccitt.Coding
	width  int
	rows   int
	lsb    bool
	src    []byte
}

// seeds returns faultless streams of every encoder, all as if they were of a
// coding, beginnings of real strips of that coding, and some curious bytes.
func seeds(f *testing.F, coding ccitt.Coding) []stream {
	pix := []byte{0x00, 0x0f, 0xff, 0x00, 0x0f, 0xf0, 0x55, 0x0f, 0xff}
	var ss []stream
	for _, c := range codecs() {
		ss = append(ss, stream{coding, 24, 3, c.lsb, c.encode(pix, 24, 3, 3)}, stream{coding, 20, 0, c.lsb, c.encode(pix, 20, 3, 3)})
	}
	ss = append(
		ss,
		stream{coding, 1728, 40, false, []byte("0123456789abcdef")},
		stream{coding, 2453, 2, false, []byte{0x26, 0xa1, 0xb9, 0x80, 0x40}}, // runs of no pixels
		stream{coding, 9, 9, true, []byte{0x00, 0x00, 0x01, 0xfe, 0xff}},
	)
	for _, s := range realStrips(f) {
		if s.coding == coding {
			ss = append(ss, s)
		}
	}
	return ss
}

// realStrips returns the beginnings of the first strips of the collection of
// real faxes, where it lies beside the project, and of our own test pages.
func realStrips(f *testing.F) []stream {
	root := filepath.Join("..", "..")
	files, err := filepath.Glob(filepath.Join(root, "testdata", "*.tiff"))
	if err != nil || len(files) == 0 {
		f.Fatal("no test pages", err)
	}
	err = filepath.WalkDir(filepath.Join(root, "..", "shared", "corpus", "files"), func(path string, e os.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil || e.IsDir():
			return err
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	var ss []stream
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if s, ok := firstStrip(data); ok {
			ss = append(ss, s)
		}
	}
	return ss
}

// firstStrip reads as much of a TIFF as it takes to find its first strip of
// fax data, of which it returns the beginning.
func firstStrip(data []byte) (s stream, ok bool) {
	const enough = 1500 // bytes: some rows of any page
	if len(data) < 8 {
		return stream{}, false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	tags := map[uint16]int{}
	at := int(order.Uint32(data[4:]))
	for n := 0; at+14+12*n <= len(data) && n < int(order.Uint16(data[at:])); n++ {
		e := data[at+2+12*n:]
		typ, count, value := order.Uint16(e[2:]), order.Uint32(e[4:]), int(order.Uint32(e[8:]))
		switch {
		case typ == 3 && count == 1:
			value = int(order.Uint16(e[8:]))
		case typ == 3 && count > 2 && value+2 <= len(data): // the first of several
			value = int(order.Uint16(data[value:]))
		case typ == 4 && count > 1 && value+4 <= len(data):
			value = int(order.Uint32(data[value:]))
		}
		tags[order.Uint16(e)] = value
	}
	const width, compression, fillOrder, offset, size, t4Options = 256, 259, 266, 273, 279, 292
	s = stream{width: tags[width], lsb: tags[fillOrder] == 2}
	switch tags[compression] {
	case 2:
		s.coding = ccitt.RLE
	case 3:
		s.coding = ccitt.MH
		if tags[t4Options]&1 != 0 {
			s.coding = ccitt.MR
		}
	case 4:
		s.coding = ccitt.MMR
	case 32771:
		s.coding = ccitt.RLEW
	default:
		return stream{}, false
	}
	from := tags[offset]
	to := min(from+min(tags[size], enough), len(data))
	if from <= 0 || from >= to || s.width > 1<<16-1 {
		return stream{}, false
	}
	s.src = data[from:to]
	return s, true
}

// TestRealStripsAreSeeds: the targets begin with streams of every coding that
// the real files have.
func TestRealStripsAreSeeds(t *testing.T) {
	count := map[ccitt.Coding]int{}
	for _, file := range []string{"a4-fine-g4.tiff", "letter-fine-g3.tiff", "letter-fine-g3-2d-fill-lsb.tiff"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		s, ok := firstStrip(data)
		if !ok {
			t.Fatalf("%s: no strip found", file)
		}
		if _, res, err := ccitt.Decode(nil, s.src, ccitt.Options{Coding: s.coding, Width: s.width, LSBFirst: s.lsb}); err != nil ||
			res.Found < 10 {
			t.Errorf("%s: %d rows, %v", file, res.Found, err)
		}
		count[s.coding]++
	}
	if len(count) != 3 {
		t.Errorf("codings %v", count)
	}
}

// fuzzDecode checks what Decode promises whatever the bytes are.
func fuzzDecode(f *testing.F, codings ...ccitt.Coding) {
	for _, coding := range codings {
		for _, s := range seeds(f, coding) {
			f.Add(s.src, uint16(s.width), uint8(s.rows), s.lsb)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, width uint16, rows uint8, lsb bool) {
		for _, coding := range codings {
			o := ccitt.Options{Coding: coding, Width: int(width), Rows: int(rows), LSBFirst: lsb, MaxRows: 300, MaxPixels: 1 << 22}
			checkDecode(t, src, o)
			if n := ccitt.CodedWidth([][]byte{src, src}, o); n < 0 || n > 2*ccitt.MaxWidth {
				t.Fatalf("a width of %d", n)
			}
			if o.Ragged = true; coding == ccitt.MH {
				checkDecode(t, src, o)
			}
		}
	})
}

func checkDecode(t *testing.T, src []byte, o ccitt.Options) {
	t.Helper()
	before := bytes.Clone(src)
	pix, res, err := ccitt.Decode(nil, src, o)
	if !bytes.Equal(src, before) {
		t.Fatal("the source was changed")
	}
	rowBytes := (o.Width + 7) / 8
	if len(pix) > o.MaxRows*rowBytes || len(pix)/max(rowBytes, 1)*o.Width > o.MaxPixels {
		t.Fatalf("%d bytes of rows for %+v", len(pix), o)
	}
	if err != nil {
		if !errors.Is(err, ccitt.ErrMalformed) && !errors.Is(err, ccitt.ErrLimit) && !errors.Is(err, ccitt.ErrUnsupported) {
			t.Fatalf("untyped error: %v", err)
		}
		return
	}
	checkResult(t, pix, res, o)
	// What was decoded is a raster like any other: it round-trips.
	again, res2, err := ccitt.Decode(
		nil, ccitt.AppendG4(nil, pix, o.Width, res.Rows, rowBytes), ccitt.Options{Coding: ccitt.MMR, Width: o.Width, Rows: res.Rows},
	)
	if err != nil || !res2.Clean() || !bytes.Equal(again, pix) {
		t.Fatalf("decode(encode(x)) is not x: %+v %v", res2, err)
	}
}

// checkResult fails when a result contradicts itself or its rows.
func checkResult(t *testing.T, pix []byte, res ccitt.Result, o ccitt.Options) {
	t.Helper()
	rowBytes := (o.Width + 7) / 8
	if len(pix) != res.Rows*rowBytes || res.Rows < 1 || o.Rows > 0 && res.Rows != o.Rows || res.Found > res.Rows {
		t.Fatalf("%d bytes of %+v for %+v", len(pix), res, o)
	}
	last, longest := -2, 0
	for _, b := range res.BadRows {
		if b.First <= last+1 || b.Last < b.First || b.Last >= res.Rows {
			t.Fatalf("bad rows %v of %d", res.BadRows, res.Rows)
		}
		last, longest = b.Last, max(longest, b.Last-b.First+1)
	}
	if longest != res.LongestBadRun {
		t.Fatalf("longest run %d, said %d", longest, res.LongestBadRun)
	}
	for y := range res.Rows {
		if o.Width%8 != 0 && pix[(y+1)*rowBytes-1]&(0xff>>(o.Width%8)) != 0 {
			t.Fatalf("row %d has pixels behind the width", y)
		}
	}
}

func FuzzDecodeMH(f *testing.F)  { fuzzDecode(f, ccitt.MH) }
func FuzzDecodeMR(f *testing.F)  { fuzzDecode(f, ccitt.MR) }
func FuzzDecodeMMR(f *testing.F) { fuzzDecode(f, ccitt.MMR) }
func FuzzDecodeRLE(f *testing.F) { fuzzDecode(f, ccitt.RLE, ccitt.RLEW) }

// FuzzRoundTrip encodes rows in every way and reads them back.
func FuzzRoundTrip(f *testing.F) {
	all := codecs()
	for i := range all {
		f.Add([]byte{0x00, 0x0f, 0xff, 0x00, 0x0f, 0xf0, 0x55, 0x0f, 0xff}, uint16(19+i), uint8(i))
		f.Add(bytes.Repeat([]byte{0xaa, 0x55}, 600), uint16(1727), uint8(i))
		f.Add(make([]byte, 700), uint16(2560), uint8(i))
	}
	f.Fuzz(func(t *testing.T, pix []byte, width uint16, which uint8) {
		w := int(width)
		rowBytes := (w + 7) / 8
		if w == 0 || len(pix) < rowBytes {
			return
		}
		height := len(pix) / rowBytes
		pix = bytes.Clone(pix[:height*rowBytes])
		for y := range height {
			if w%8 != 0 {
				pix[(y+1)*rowBytes-1] &= 0xff << (8 - w%8)
			}
		}
		checkRoundTrip(t, all[int(which)%len(all)], pix, w, height)
	})
}

// FuzzAgainstXImage compares with golang.org/x/image whatever that reads to its
// end mark without an error. It is the stricter reader: every row begins with
// EOL in its Group 3, which has no fill bits and ends with six EOL codes, its
// Group 4 ends with EOFB, and after any other code it gives up. So all that it
// reads must be clean for us, and the same rows. There is one exception: in
// Group 4 a run of no pixels is a changing element for us, as it is for
// libtiff, but not for x/image. Decode warns of those, and nothing is said of
// streams with such a warning.
func FuzzAgainstXImage(f *testing.F) {
	for _, coding := range []ccitt.Coding{ccitt.MMR, ccitt.MH} {
		for _, s := range seeds(f, coding) {
			f.Add(s.src, uint16(s.width), s.lsb, coding == ccitt.MMR)
		}
		for _, s := range realStrips(f) { // whole, as a strip that was cut has no end mark
			pix, res, err := ccitt.Decode(nil, s.src, ccitt.Options{Coding: s.coding, Width: s.width, LSBFirst: s.lsb})
			if err == nil && s.coding == coding {
				f.Add(ccitt.AppendG4(nil, pix, s.width, res.Rows, (s.width+7)/8), uint16(s.width), false, true)
				f.Add(ccitt.AppendG3(nil, pix, s.width, res.Rows, (s.width+7)/8, ccitt.G3Options{RTC: true}), uint16(s.width), false, false)
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, width uint16, lsb, group4 bool) {
		w := int(width)
		if w == 0 {
			return
		}
		maxRows := min(500, 1<<20/w)
		coding, format, order := ccitt.MH, xccitt.Group3, xccitt.MSB
		if group4 {
			coding, format = ccitt.MMR, xccitt.Group4
		}
		if lsb {
			order = xccitt.LSB
		}
		rowBytes := (w + 7) / 8
		x := xccitt.NewReader(bytes.NewReader(src), order, format, w, xccitt.AutoDetectHeight, &xccitt.Options{Invert: true})
		want, err := io.ReadAll(io.LimitReader(x, int64(maxRows*rowBytes)+1))
		rows := len(want) / rowBytes
		if err != nil || rows == 0 || rows > maxRows || len(want)%rowBytes != 0 {
			return
		}
		for _, asked := range []int{0, rows} {
			got, res, err := ccitt.Decode(nil, src, ccitt.Options{Coding: coding, Width: w, Rows: asked, LSBFirst: lsb})
			if emptyRuns(res) {
				return
			}
			if err != nil || !res.Clean() || !res.EndMark || !bytes.Equal(got, want) {
				t.Fatalf("x/image reads %d rows of %d pixels; asked for %d: %+v %v", rows, w, asked, res, err)
			}
		}
	})
}

func emptyRuns(res ccitt.Result) bool {
	for _, w := range res.Warnings {
		if strings.Contains(w.Text, "runs of no pixels") {
			return true
		}
	}
	return false
}
