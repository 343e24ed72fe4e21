package tiff_test

import (
	"bytes"
	"compress/zlib"
	"math/rand/v2"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
)

// oldLZW codes bytes as writers before TIFF 5.0 did: codes begin with their
// least significant bit and become wider one code later. It uses no strings.
func oldLZW(data []byte) []byte {
	var out []byte
	acc, have, bits, next := uint32(0), uint(0), uint(9), 258
	put := func(code uint32) {
		acc |= code << have
		for have += bits; have >= 8; have -= 8 {
			out = append(out, byte(acc))
			acc >>= 8
		}
	}
	put(256)
	for i, b := range data {
		put(uint32(b))
		if i > 0 {
			next++ // the reader's table grows with every code but the first
		}
		if next >= 1<<bits && bits < 12 {
			bits++
		}
	}
	put(257)
	return append(out, byte(acc), 0)
}

func TestOldLZWIsRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 1500)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	ds, err := decodeAllPages(onePage(5, 8, 1500, oldLZW(want)))
	if err != nil || !bytes.Equal(ds[0].Raster.Pix, want) {
		t.Errorf("rows differ, %v", err)
	}
}

func TestDamagedPlainDataKeepTheRowsBefore(t *testing.T) {
	p := textPage(1728, 400)
	z := deflateOf(t, p.Pix)
	for name, data := range map[string][]byte{
		"uncompressed, cut": onePage(1, 1728, 400, p.Pix)[:40000],
		"Deflate, cut":      onePage(8, 1728, 400, z)[:len(z)*3/4],
	} {
		ds, err := decodeAllPages(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d := ds[0]
		if len(d.BadRows) == 0 || d.BadRows[0].First < 50 || len(d.Warnings) == 0 {
			t.Errorf("%s: bad rows %v, warnings %q", name, d.BadRows, d.Warnings)
		}
		for y := range d.BadRows[0].First {
			if !bytes.Equal(d.Raster.Row(y), p.Row(y)) {
				t.Errorf("%s: row %d differs", name, y)
				break
			}
		}
	}
}

func TestGarbledDeflateIsReported(t *testing.T) {
	p := textPage(1728, 400)
	z := deflateOf(t, p.Pix)
	z[len(z)-1] ^= 1 // of the checksum
	ds, err := decodeAllPages(onePage(8, 1728, 400, z))
	if err == nil && len(ds[0].Warnings) == 0 {
		t.Error("no warning")
	}
}

func TestDamagedRowsOfAMinIsBlackPageAreWhite(t *testing.T) {
	p := textPage(1728, 400)
	for i, b := range p.Pix {
		p.Pix[i] = ^b
	}
	src := ccitt.AppendG4(nil, p.Pix, 1728, 400, 216)
	data := onePage(4, 1728, 400, src[:len(src)/2])
	data[8+2+12*3+8] = 1 // Photometric
	ds, err := decodeAllPages(data)
	if err != nil {
		t.Fatal(err)
	}
	d := ds[0]
	if len(d.BadRows) == 0 {
		t.Fatal("no bad rows in half a page")
	}
	for y := d.BadRows[0].First; y < 400; y++ {
		if !bytes.Equal(d.Raster.Row(y), make([]byte, 216)) {
			t.Fatalf("row %d is missing and not white", y)
		}
	}
}

func deflateOf(t testing.TB, data []byte) []byte {
	t.Helper()
	return mustDeflate(data)
}

// mustDeflate compresses; writing to memory does not fail.
func mustDeflate(data []byte) []byte {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	if _, err := z.Write(data); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}
