package tifftool

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"

	_ "image/png" // exports are PNG

	xtiff "golang.org/x/image/tiff"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Every format has the pixels whose hash info tells.
func TestTIFFExportKeepsThePixels(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings of one goroutine: runs without -short")
	}
	for _, c := range []struct {
		name       string
		cols, rows int // PNG pixels for one of the fax
	}{{"three-pages-fine-g3-2d-fill-lsb", 1, 1}, {"three-pages-fine-g4", 1, 1}, {"letter-standard-g4", 1, 2}, {"letter-superfine-g4", 2, 1}} {
		name, file := c.name, fixtureFile(t, c.name)
		for _, l := range infoOf(t, mustInfo(t, file)) {
			want := fmt.Sprintf("%dx%d, %d black, %s", *l.Width, *l.Height, *l.BlackPixels, *l.RasterSHA256)
			pbm := readPBM(t, mustExport(t, file, *l.Page, "pbm"))
			if got := apptest.Describe(pbm); got != want {
				t.Errorf("%s page %d as PBM: %s, want %s", name, *l.Page, got, want)
			}
			data := mustExport(t, file, *l.Page, "tiff")
			img, err := xtiff.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s page %d as TIFF: x/image: %v", name, *l.Page, err)
			}
			if got := apptest.Describe(imageRaster(img)); got != want {
				t.Errorf("%s page %d as TIFF: x/image sees %s, want %s", name, *l.Page, got, want)
			}
			img, format, err := image.Decode(bytes.NewReader(mustExport(t, file, *l.Page, "png")))
			if err != nil || format != "png" {
				t.Fatalf("%s page %d as PNG: %s, %v", name, *l.Page, format, err)
			}
			if b := img.Bounds(); b.Dx() != c.cols**l.Width || b.Dy() != c.rows**l.Height {
				t.Errorf("%s page %d as PNG: %v pixels, want %dx%d for each of the page", name, *l.Page, b.Size(), c.cols, c.rows)
			} else if got := apptest.Describe(thin(imageRaster(img), c.cols, c.rows)); got != want {
				t.Errorf("%s page %d as PNG: %s, want %s", name, *l.Page, got, want)
			}
		}
	}
}

func readPBM(t *testing.T, data []byte) *raster.Page {
	t.Helper()
	var width, height int
	lines := bytes.SplitN(data, []byte("\n"), 3)
	if len(lines) < 3 || string(lines[0]) != "P4" {
		t.Fatalf("no PBM: %.20q", data)
	}
	if _, err := fmt.Sscanf(string(lines[1]), "%d %d", &width, &height); err != nil || len(lines[2]) != (width+7)/8*height {
		t.Fatalf("PBM %q with %d bytes of rows: %v", lines[1], len(lines[2]), err)
	}
	return &raster.Page{Width: width, Height: height, Stride: (width + 7) / 8, Pix: lines[2]}
}

func imageRaster(img image.Image) *raster.Page {
	b := img.Bounds()
	p := raster.New(b.Dx(), b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			if color.GrayModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y < 128 {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return p
}

// thin takes the first pixel of every block of cols x rows.
func thin(p *raster.Page, cols, rows int) *raster.Page {
	s := raster.New(p.Width/cols, p.Height/rows)
	for y := range s.Height {
		for x := range s.Width {
			if p.Row(y * rows)[x*cols/8]&(0x80>>(x*cols%8)) != 0 {
				s.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return s
}

// Clean Group 4 in one strip is copied and not coded anew: this one is right, but longer than ours would be.
func TestTIFFExportCopiesACleanStrip(t *testing.T) {
	const row = "001" + "1011" + "011" + "1" // horizontal mode, 4 white, 4 black, V0; in the second row three V0 would do (T.6 table 1)
	strip := bitString(row + row + "000000000001" + "000000000001")
	source := apptest.OnePage(t, tiff.PageMeta{Width: 16, Height: 2, XRes: 204, YRes: 196}, tiff.G4Strip(strip))
	data := mustExport(t, writeTemp(t, "source.tiff", source), 1, "tiff")
	out := writeTemp(t, "out.tiff", data)
	if !bytes.Contains(data, strip) {
		t.Errorf("the strip % x is not in the file: % x", strip, data)
	}
	if pbm := readPBM(t, mustExport(t, out, 1, "pbm")); !bytes.Equal(pbm.Pix, []byte{0x0f, 0, 0x0f, 0}) {
		t.Errorf("rows % x", pbm.Pix)
	}
	tags := apptest.Judge(t, "tiffinfo", "libtiff-tools", out)
	for _, want := range []string{"CCITT Group 4", "Software: test\n", "Page Number: 0-1\n"} {
		if !strings.Contains(tags, want) {
			t.Errorf("tiffinfo does not say %q:\n%s", want, tags)
		}
	}
}

// bitString packs a text of 0 and 1, most significant bit first.
func bitString(text string) []byte {
	b := make([]byte, (len(text)+7)/8)
	for i, c := range text {
		b[i/8] |= byte(c-'0') << (7 - i%8)
	}
	return b
}

// Gray and colour stay what they are in PNG and TIFF; a PBM has black and white.
func TestTIFFExportKeepsGrayAndColour(t *testing.T) {
	for _, samples := range []int{1, 3} {
		tones := &raster.Tones{Width: 37, Height: 24, Samples: samples, XRes: 200, YRes: 200}
		for i := range tones.Width * tones.Height * samples {
			tones.Pix = append(tones.Pix, byte(i*7))
		}
		strip, err := tiff.TonesStrip(tones)
		if err != nil {
			t.Fatal(err)
		}
		data := apptest.OnePage(t, tiff.PageMeta{Width: tones.Width, Height: tones.Height, XRes: tones.XRes, YRes: tones.YRes}, strip)
		file := writeTemp(t, "tones.tiff", data)
		l := infoOf(t, mustInfo(t, file))[0]
		if *l.Coding != "deflate" || *l.RasterSHA256 != fmt.Sprintf("%x", tones.Bilevel().SHA256()) ||
			*l.BlackPixels != tones.Bilevel().BlackPixels() {
			t.Errorf("%d samples: coding %s, %d black pixels, want %d", samples, *l.Coding, *l.BlackPixels, tones.Bilevel().BlackPixels())
		}
		pbm := readPBM(t, mustExport(t, file, 1, "pbm"))
		if got, want := apptest.Describe(pbm), apptest.Describe(tones.Bilevel()); got != want {
			t.Errorf("%d samples as PBM: %s, want %s", samples, got, want)
		}
		for _, to := range []string{"png", "tiff"} {
			img, format, err := image.Decode(bytes.NewReader(mustExport(t, file, 1, to)))
			if err != nil || format != to || img.Bounds().Dx() != tones.Width || img.Bounds().Dy() != tones.Height {
				t.Fatalf("%d samples as %s: %s, %v", samples, to, format, err)
			}
			if got, want := sampleSum(img, samples), fmt.Sprintf("%x", sha256.Sum256(tones.Pix)); got != want {
				t.Errorf("%d samples as %s: other pixels", samples, to)
			}
		}
	}
}

// sampleSum hashes an image as raster.Tones has it.
func sampleSum(img image.Image, samples int) string {
	var pix []byte
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			pix = append(pix, []byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}[:samples]...)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(pix))
}
