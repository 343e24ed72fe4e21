package matrix_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/faxstream/faxstream/pipeline/raster"
)

// newSheet draws a page that no turn, mirror, shift or inversion leaves as it is: lines of something like text, a black block at the
// upper left, a frame at the upper and left edge, and noise, in which every run is short.
func newSheet(width, height int, xres, yres float64) *raster.Page {
	p := raster.New(width, height)
	p.XRes, p.YRes = xres, yres
	noise := uint32(1)
	for y := range height {
		for x := range width {
			noise = noise*1664525 + 1013904223
			text := y%23 < 14 && x > width/12 && x < width*3/4 && (x*7/9+y/23*13)%17 < 5 && (x/3+y%23)%4 != 0
			block := x < width/9 && y < height/7
			speckled := x > width*5/6 && y > height*2/3 && noise>>31 != 0
			if text || block || speckled || x == 0 || y == 0 {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

// newTones draws a gray or colour page of the same kind: soft changes, for lossy codings, a dark block at the upper left, white paper at
// the lower right. The colours differ in each direction.
func newTones(width, height, samples int, xres, yres float64) *raster.Tones {
	p := &raster.Tones{Width: width, Height: height, Samples: samples, Pix: make([]byte, width*height*samples), XRes: xres, YRes: yres}
	for y := range height {
		for x := range width {
			px := p.Row(y)[x*samples:][:samples]
			px[0] = byte(min(255, 24+200*x/width+60*y/height))
			if samples == 3 {
				px[1], px[2] = byte(min(255, 40+230*y/height)), byte(min(255, 24+120*(x+y)/(width+height)+110*x/width))
			}
		}
	}
	return p
}

func pbm(p *raster.Page) []byte {
	return append(fmt.Appendf(nil, "P4\n%d %d\n", p.Width, p.Height), p.Pix...)
}

func pnm(p *raster.Tones) []byte {
	return append(fmt.Appendf(nil, "P%d\n%d %d\n255\n", 5+p.Samples/3, p.Width, p.Height), p.Pix...)
}

// A picture is what a program reads or shows: samples of a byte, 0 as black, so that pages in black and white, gray and colour compare.
type picture struct {
	width, height, samples int
	pix                    []byte
}

func ofPage(p *raster.Page) picture {
	pic := picture{p.Width, p.Height, 1, make([]byte, p.Width*p.Height)}
	for y := range p.Height {
		for x := range p.Width {
			if p.Row(y)[x/8]&(0x80>>(x%8)) == 0 {
				pic.pix[y*p.Width+x] = 255
			}
		}
	}
	return pic
}

func ofTones(p *raster.Tones) picture { return picture{p.Width, p.Height, p.Samples, p.Pix} }

// inColour returns the picture with three samples a pixel.
func (p picture) inColour() picture {
	if p.samples == 3 {
		return p
	}
	c := picture{p.width, p.height, 3, make([]byte, 3*len(p.pix))}
	for i, v := range p.pix {
		c.pix[3*i], c.pix[3*i+1], c.pix[3*i+2] = v, v, v
	}
	return c
}

// without returns the picture without up to so many white rows at its end.
func (p picture) without(rows int) picture {
	row := p.width * p.samples
	for ; rows > 0 && p.height > 0; rows-- {
		if bytes.Count(p.pix[(p.height-1)*row:], []byte{255}) < row {
			break
		}
		p.pix, p.height = p.pix[:(p.height-1)*row], p.height-1
	}
	return p
}

// differs says how a picture differs from the right one: by its size, or by more than tolerance in the mean of all samples, or by more
// than 16 times that in any one. Tolerance 0 is every sample equal. It returns "" when the picture does not differ.
func (p picture) differs(want picture, tolerance int) string {
	if p.width != want.width || p.height != want.height {
		return fmt.Sprintf("%d x %d pixels, want %d x %d", p.width, p.height, want.width, want.height)
	}
	a, b := p, want
	if a.samples != b.samples {
		a, b = a.inColour(), b.inColour()
	}
	sum, largest, count, inverted := 0, 0, 0, 0
	for i, v := range a.pix {
		d := max(int(v), int(b.pix[i])) - min(int(v), int(b.pix[i]))
		sum, largest = sum+d, max(largest, d)
		if d > 16*tolerance {
			count++
		}
		if int(v)+int(b.pix[i]) == 255 {
			inverted++
		}
	}
	if largest <= 16*tolerance && sum <= tolerance*len(a.pix) {
		return ""
	}
	return fmt.Sprintf("%d of %d samples differ by more than %d, the largest by %d, the mean by %.2f; %d are inverted",
		count, len(a.pix), 16*tolerance, largest, float64(sum)/float64(len(a.pix)), inverted)
}

// parsePNM reads a binary PBM, PGM or PPM file of 8 bits or 1.
func parsePNM(data []byte) (picture, error) {
	if len(data) < 2 || data[0] != 'P' || data[1] < '4' || data[1] > '6' {
		return picture{}, fmt.Errorf("not a binary PNM file: %.8q", data)
	}
	kind, numbers := data[1], 3
	if kind == '4' {
		numbers = 2
	}
	header, body, err := pnmHeader(data[2:], numbers)
	if err != nil {
		return picture{}, err
	}
	p := picture{width: header[0], height: header[1], samples: 1}
	size := p.width * p.height
	switch {
	case kind == '4':
		size = (p.width + 7) / 8 * p.height
	case header[2] != 255:
		return picture{}, fmt.Errorf("PNM of %d levels, want 255", header[2])
	case kind == '6':
		p.samples, size = 3, 3*size
	}
	if len(body) < size {
		return picture{}, fmt.Errorf("PNM data end after %d bytes of %d", len(body), size)
	}
	if p.pix = body[:size]; kind == '4' {
		return ofPage(&raster.Page{Width: p.width, Height: p.height, Stride: (p.width + 7) / 8, Pix: p.pix}), nil
	}
	return p, nil
}

// pnmHeader reads the numbers of a header, and comments between them, and returns what is behind the last one's white space.
func pnmHeader(data []byte, numbers int) ([]int, []byte, error) {
	var header []int
	for len(header) < numbers {
		data = bytes.TrimLeft(data, " \t\r\n")
		if bytes.HasPrefix(data, []byte("#")) {
			_, data, _ = bytes.Cut(data, []byte("\n"))
			continue
		}
		end := max(0, bytes.IndexAny(data, " \t\r\n"))
		n, err := strconv.Atoi(string(data[:end]))
		if err != nil {
			return nil, nil, fmt.Errorf("PNM header: %w", err)
		}
		header, data = append(header, n), data[end:]
	}
	return header, data[1:], nil
}

func readPNM(t *testing.T, path string) picture {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePNM(data)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return p
}

func save(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
