package ccitt_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// fuzzSeeds adds small faultless streams of every kind.
func fuzzSeeds(f *testing.F) {
	pix := []byte{0x00, 0x0f, 0xff, 0x00, 0x0f, 0xf0, 0x55, 0x0f, 0xff}
	for _, c := range codecs() {
		f.Add(c.encode(pix, 24, 3, 3), uint16(24), uint8(3), c.lsb)
		f.Add(c.encode(pix, 20, 3, 3), uint16(20), uint8(0), c.lsb)
	}
	f.Add([]byte("0123456789abcdef"), uint16(1728), uint8(40), false)
	f.Add([]byte{0x26, 0xa1, 0xb9, 0x80, 0x40}, uint16(2453), uint8(2), false) // runs of no pixels
	f.Add([]byte{0x00, 0x00, 0x01, 0xfe, 0xff}, uint16(9), uint8(9), true)
}

// fuzzDecode checks what Decode promises whatever the bytes are.
func fuzzDecode(f *testing.F, coding ccitt.Coding) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, src []byte, width uint16, rows uint8, lsb bool) {
		o := ccitt.Options{Coding: coding, Width: int(width), Rows: int(rows), LSBFirst: lsb, MaxRows: 300, MaxPixels: 1 << 22}
		before := bytes.Clone(src)
		pix, res, err := ccitt.Decode(nil, src, o)
		if !bytes.Equal(src, before) {
			t.Fatal("the source was changed")
		}
		rowBytes := (o.Width + 7) / 8
		if err != nil {
			if !errors.Is(err, ccitt.ErrMalformed) && !errors.Is(err, ccitt.ErrLimit) && !errors.Is(err, ccitt.ErrUnsupported) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if len(pix) != res.Rows*rowBytes || res.Rows > o.MaxRows || res.Rows < 1 || o.Rows > 0 && res.Rows != o.Rows || res.Found > res.Rows {
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
		if width%8 != 0 {
			for y := range res.Rows {
				if pix[(y+1)*rowBytes-1]&(0xff>>(width%8)) != 0 {
					t.Fatalf("row %d has pixels behind the width", y)
				}
			}
		}
		// What was decoded is a raster like any other: it round-trips.
		again, res2, err := ccitt.Decode(nil, ccitt.AppendG4(nil, pix, o.Width, res.Rows, rowBytes), ccitt.Options{Coding: ccitt.MMR, Width: o.Width, Rows: res.Rows})
		if err != nil || !res2.Clean() || !bytes.Equal(again, pix) {
			t.Fatalf("decode(encode(x)) is not x: %+v %v", res2, err)
		}
	})
}

func FuzzDecodeMH(f *testing.F)   { fuzzDecode(f, ccitt.MH) }
func FuzzDecodeMR(f *testing.F)   { fuzzDecode(f, ccitt.MR) }
func FuzzDecodeMMR(f *testing.F)  { fuzzDecode(f, ccitt.MMR) }
func FuzzDecodeRLE(f *testing.F)  { fuzzDecode(f, ccitt.RLE) }
func FuzzDecodeRLEW(f *testing.F) { fuzzDecode(f, ccitt.RLEW) }
