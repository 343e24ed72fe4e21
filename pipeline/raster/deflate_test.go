package raster

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"testing"
)

func TestChecksumsOfRowsAreThoseOfTheirBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	for range 200 {
		width := 1 + rnd.IntN(700)
		sum, all := adler{a: 1}, []byte{}
		for range 5 {
			row := make([]byte, (width+7)/8*8)
			for i := range width {
				row[i] = byte(rnd.Uint32()) | byte(-rnd.IntN(2))
			}
			times := rnd.IntN(4)
			if times == 1 {
				sum.add(sumRow(row, width), width)
			} else if times > 0 {
				sum.repeat(sumRow(row, width), width, times)
			}
			for range times {
				all = append(all, row[:width]...)
			}
		}
		if got, want := sum.sum(), adler32.Checksum(all); got != want {
			t.Fatalf("rows of %d bytes: %08x, want %08x", width, got, want)
		}
	}
}

// deflated compresses rows of width bytes, each so many times, and checks that they come out again.
func deflated(t testing.TB, rows []byte, width int, times func(row int) int) []byte {
	t.Helper()
	var stream, want bytes.Buffer
	d := startRowDeflater(&stream, width)
	for i := 0; (i+1)*width <= len(rows); i++ {
		row := rows[i*width : (i+1)*width]
		copy(d.next(), row)
		d.add()
		d.repeat(times(i) - 1)
		for range times(i) {
			want.Write(row)
		}
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(stream.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d rows of %d bytes: %d bytes come out, %v", len(rows)/width, width, len(got), err)
	}
	return stream.Bytes()
}

func once(int) int { return 1 }

// Rows as pages have them, and rows that need more symbols, blocks, distances or window than there are.
func TestRowsComeOutAgain(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	text := textPage().Pix
	noise := randomPage(1728, 500, 216).Pix
	far := make([]byte, 0, 300*217) // the same rows at many distances
	for range 300 {
		i := rnd.IntN(40) * rnd.IntN(2) * rnd.IntN(2)
		far = append(far, noise[i*217:(i+1)*217]...)
	}
	sparse := make([]byte, 400_000)
	for range 300 {
		sparse[rnd.IntN(len(sparse))] = 1
	}
	skewed := make([]byte, 0, 100_000) // a code without a limit would be longer than 15 bits
	for i, n := 0, 1; len(skewed) < 80_000; i, n = i+1, n*8/5+1 {
		for range n {
			skewed = append(skewed, byte(i), byte(rnd.Uint32()>>31))
		}
	}
	for name, rows := range map[string][]byte{
		"text": text, "noise": noise, "far": far, "sparse": sparse, "skewed": skewed, "white": make([]byte, 500_000), "a byte": {7},
	} {
		for _, width := range []int{1, 2, 3, 7, 8, 9, 63, 64, 65, 216, 217, 433, 4096, 32767, 32768, 32769, 70_000} {
			t.Run(fmt.Sprint(name, width), func(t *testing.T) {
				deflated(t, rows, width, once)
				deflated(t, rows[:len(rows)/3], width, func(row int) int { return 1 + row%3 })
			})
		}
	}
}

func FuzzRowDeflater(f *testing.F) {
	f.Add(uint16(217), uint8(1), []byte("\x00\xff\xff\xff\xff\x01"))
	f.Add(uint16(2), uint8(2), []byte("\x00\x01\x00\x02\x00\x02"))
	f.Add(uint16(5), uint8(3), bytes.Repeat([]byte("abcdefghij"), 40))
	f.Fuzz(func(t *testing.T, width uint16, times uint8, rows []byte) {
		deflated(t, rows, int(width)%40_000+1, func(row int) int { return 1 + row*int(times)%4 })
	})
}
