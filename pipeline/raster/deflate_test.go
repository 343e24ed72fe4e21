package raster

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	kzlib "github.com/klauspost/compress/zlib"
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
	if testing.Short() {
		t.Skip("one goroutine and much to compute, in which the race detector sees nothing: runs without -short")
	}
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
	dither := make([]byte, 0, 300_000)
	for y := range 1000 {
		for x := range 217 {
			dither = append(dither, byte(0x11<<(y%4))|byte(int(0x88>>(y%3))*(x/50%2)))
		}
	}
	for name, rows := range map[string][]byte{
		"dither": dither, "text": text, "noise": noise, "far": far, "sparse": sparse, "skewed": skewed,
		"white": make([]byte, 500_000), "a byte": {7},
	} {
		for _, width := range []int{1, 2, 3, 7, 8, 9, 63, 64, 65, 216, 217, 433, 4096, 32767, 32768, 32769, 70_000} {
			t.Run(fmt.Sprint(name, width), func(t *testing.T) {
				deflated(t, rows, width, once)
				deflated(t, rows[:len(rows)/3], width, func(row int) int { return 1 + row%3 })
				deflated(t, rows[:min(len(rows), 60*width)], width, func(row int) int { return 1 + row%5/4*(2*maxWindow/width) })
			})
		}
	}
}

// leaningText is text that no two rows of have in common, as a scanner gives it.
func leaningText(xres, yres float64) *Page { return scan(sheetOfText(27), xres, yres, 1) }

// ordered is a tone that becomes darker to the right and down, by a pattern of 4 by 4 pixels.
func ordered() *Page {
	p := New(1728, 1100)
	p.XRes, p.YRes = 204, 196
	pattern := [16]int{0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5}
	for y := range p.Height {
		for x := range p.Width {
			if (x/12+y/40)%160 > 10*pattern[y%4*4+x%4] {
				p.fill(x, y, 1, 1)
			}
		}
	}
	return p
}

// general is what WritePNG would be with klauspost/compress: the chunks around the rows are as many bytes.
func general(w io.Writer, p *Page) error {
	z, err := kzlib.NewWriterLevel(w, pngLevel)
	if err != nil {
		return err
	}
	cols, rows := SquareFactors(p.XRes, p.YRes)
	line := make([]byte, 1+(p.Width*cols+7)/8)
	for y := range p.Height {
		if cols == 2 {
			doubleInvert(line[1:], p.Row(y))
		} else {
			invert(line[1:], p.Row(y))
		}
		for range rows {
			if _, err := z.Write(line); err != nil {
				return err
			}
		}
	}
	return z.Close()
}

func kindsOfPages() map[string]*Page {
	return map[string]*Page{
		"fine": leaningText(204, 196), "standard": leaningText(204, 98), "superfine": leaningText(204, 391),
		"ordered": ordered(), "white": New(1728, 2200), "noise": randomPage(1728, 600, 216),
	}
}

// A file for OCR that grew would cost more than the time saved.
func TestPNGIsNoLargerThanThatOfAGeneralCompressor(t *testing.T) {
	for name, p := range kindsOfPages() {
		var ours, theirs countWriter
		if err := errors.Join(p.WritePNG(&ours), general(&theirs, p)); err != nil {
			t.Fatal(err)
		}
		if chunks := countWriter(200); ours > theirs*105/100+chunks {
			t.Errorf("%s: %d bytes, those of klauspost's level %d are %d", name, ours, pngLevel, theirs)
		}
	}
}

// The judge is libpng, which checks codes and checksums for itself.
func TestLibpngReadsEveryPixel(t *testing.T) {
	tool, err := exec.LookPath("pngtopnm")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pngtopnm is missing: install the Debian package netpbm")
		}
		t.Skip("pngtopnm is missing: install the Debian package netpbm")
	}
	for name, p := range kindsOfPages() {
		var file bytes.Buffer
		if err := p.WritePNG(&file); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(tool)
		cmd.Stdin = &file
		got, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cols, rows := SquareFactors(p.XRes, p.YRes)
		want := fmt.Appendf(nil, "P4\n%d %d\n", p.Width*cols, p.Height*rows)
		for y := range p.Height * rows {
			line := make([]byte, (p.Width*cols+7)/8)
			for x := range p.Width * cols {
				if black(p, x/cols, y/rows) {
					line[x/8] |= 0x80 >> (x % 8)
				}
			}
			want = append(want, line...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other pixels", name)
		}
	}
}

// What one page needed, the next one uses again.
func TestPNGUsesItsMemoryAgain(t *testing.T) {
	gray := textPage().Thumbnail(1000)
	colour := &Tones{Width: 500, Height: 500, Samples: 3, Pix: make([]byte, 750_000)}
	for name, write := range map[string]func(io.Writer) error{
		"bilevel": textPage().WritePNG, "doubled columns": leaningText(204, 391).WritePNG, "gray": gray.WritePNG, "colour": colour.WritePNG,
	} {
		used := leastAllocated(func() {
			var n countWriter
			if err := write(&n); err != nil {
				t.Fatal(err)
			}
		})
		if used > 8<<10 {
			t.Errorf("%s: %d bytes are allocated for a page", name, used)
		}
	}
}

// BenchmarkPNGPeers compresses the rows of pages by our own Deflate and by klauspost's fastest level, in turn.
func BenchmarkPNGPeers(b *testing.B) {
	for name, p := range kindsOfPages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var ours, theirs time.Duration
			var size, theirSize countWriter
			for b.Loop() {
				size, theirSize = 0, 0
				start := time.Now()
				if err := p.WritePNG(&size); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				if err := general(&theirSize, p); err != nil {
					b.Fatal(err)
				}
				ours, theirs = ours+middle.Sub(start), theirs+time.Since(middle)
			}
			b.ReportMetric(ours.Seconds()/theirs.Seconds(), "time/klauspost")
			b.ReportMetric(float64(size)/float64(theirSize), "size/klauspost")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "µs/page")
		})
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

// Counts that would give longer codes give the best ones of a limit's length, or nearly.
func TestCodesAreCompleteAndWithinTheLimit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(17, 18))
	for range 300 {
		symbols, limit := 2+rnd.IntN(litLenSymbols-1), 15
		if symbols <= lengthSymbols {
			limit = 7
		}
		counts, lengths := make([]uint32, symbols), make([]uint8, symbols)
		for i := range counts {
			counts[i] = uint32(rnd.IntN(2)) * uint32(1+1<<rnd.IntN(24)) * uint32(rnd.IntN(2))
		}
		codeLengths(counts, limit, lengths)
		filled := 0
		for i, n := range lengths {
			if int(n) > limit || n == 0 && counts[i] > 0 {
				t.Fatalf("symbol %d of %d, which comes %d times, has %d bits", i, symbols, counts[i], n)
			}
			if n > 0 {
				filled += 1 << (15 - n)
			}
		}
		if filled != 1<<15 {
			t.Fatalf("%d of %d codes are used", filled, 1<<15)
		}
	}
}
