package tiff_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/faxstream/faxstream/pipeline/tiff"
)

// decodeWithin decodes the first page of a file under limits.
func decodeWithin(t *testing.T, data []byte, lim tiff.Limits) (*tiff.Decoded, error) {
	t.Helper()
	f, err := tiff.Parse(data, lim)
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Page(0)
	if err != nil {
		t.Fatal(err)
	}
	return im.Decode(context.Background())
}

// stripsWithoutLength is a page without ImageLength.
func stripsWithoutLength(compression, width, photometric uint32, strips [][]byte, more ...field) []byte {
	fields := append([]field{
		{256, 4, 1, width},
		{259, 3, 1, compression},
		{262, 3, 1, photometric},
		{273, 4, uint32(len(strips)), 0},
		{279, 4, uint32(len(strips)), 0},
	}, more...)
	at := 8 + 2 + 12*uint32(len(fields)) + 4
	fields[3].value, fields[4].value = at, at+4*uint32(len(strips))
	first := at + 8*uint32(len(strips))
	var data []byte
	for _, s := range strips {
		data, first = binary.LittleEndian.AppendUint32(data, first), first+uint32(len(s))
	}
	for _, s := range strips {
		data = binary.LittleEndian.AppendUint32(data, uint32(len(s)))
	}
	return handMade(0, append(data, bytes.Join(strips, nil)...), fields...)
}

func encoded(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// emptyJBIG is a white image of T.85 in one stripe: its code is all zeros, which an encoder leaves out.
func emptyJBIG(width, rows uint32) []byte {
	b := []byte{0, 0, 1, 0}
	for _, v := range [3]uint32{width, rows, rows} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, 8, 0, 0, 0, 0xff, 0x02)
}

// A page without ImageLength has as many rows as its strips have together, and no more than are allowed.
func TestStripsTogetherKeepTheLimits(t *testing.T) {
	gray := encoded(t, image.NewGray(image.Rect(0, 0, 64, 64)))
	jbig := emptyJBIG(64, 64)
	for name, file := range map[string][]byte{
		"JPEG": stripsWithoutLength(7, 64, 1, [][]byte{gray, gray, gray}),
		"JBIG": stripsWithoutLength(34661, 64, 0, [][]byte{jbig, jbig, jbig}),
	} {
		d, err := decodeWithin(t, file, tiff.Limits{})
		if err != nil || d.Raster.Height != 192 {
			t.Errorf("%s: %v, %+v", name, err, d)
		}
		for _, lim := range []tiff.Limits{{MaxRows: 150}, {MaxPixels: 64 * 150, MaxTonePixels: 64 * 150}} {
			if d, err := decodeWithin(t, file, lim); !errors.Is(err, tiff.ErrLimit) {
				t.Errorf("%s under %+v: error %v, %+v", name, lim, err, d)
			}
		}
	}
}

// fourComponents is a JPEG of four components, as those of CMYK are.
func fourComponents() []byte {
	b := []byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
	b = append(b, "\xff\xdb\x00\x43\x00"...)
	b = append(b, bytes.Repeat([]byte{1}, 64)...)
	b = append(b, "\xff\xc0\x00\x14\x08\x00\x10\x00\x10\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00"...)
	for _, class := range []byte{0x00, 0x10} { // one code of one bit: 0, which is no difference, and the end of a block
		b = append(b, 0xff, 0xc4, 0, 20, class, 1)
		b = append(b, make([]byte, 16)...)
	}
	b = append(b, "\xff\xda\x00\x0e\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x3f\x00"...)
	return append(append(b, make([]byte, 4)...), 0xff, 0xd9) // 4 blocks of 4 components, two bits each
}

// Strips of other components than the first one has, and opacity in a sample that a pixel lacks, end in a bad strip or a page.
func TestStripsOfOtherComponentsDoNotPanic(t *testing.T) {
	gray := encoded(t, image.NewGray(image.Rect(0, 0, 16, 16)))
	rgb := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 16 {
		rgb.Set(i, i, color.RGBA{200, 100, 50, 255})
	}
	colours := encoded(t, rgb)
	four := fourComponents()
	for name, file := range map[string][]byte{
		"CMYK, then gray":             stripsWithoutLength(7, 16, 5, [][]byte{four, gray}, field{277, 3, 1, 4}),
		"CMYK, then colour":           stripsWithoutLength(7, 16, 5, [][]byte{four, colours}, field{277, 3, 1, 4}),
		"opacity, then none":          stripsWithoutLength(7, 16, 2, [][]byte{four, colours}, field{277, 3, 1, 4}, field{338, 3, 1, 1}),
		"opacity in the tenth sample": stripsWithoutLength(7, 16, 2, [][]byte{four, four}, field{277, 3, 1, 10}, field{338, 1, 4, 1 << 16}),
		"no pixels in a row":          stripsWithoutLength(7, 16, 1, [][]byte{gray, narrowed(gray)}),
	} {
		d, err := decodeWithin(t, file, tiff.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Raster.Width != 16 || d.Raster.Height < 16 {
			t.Errorf("%s: %d x %d, warnings %q", name, d.Raster.Width, d.Raster.Height, d.Warnings)
		}
	}
}

// narrowed is a JPEG that says that it is 0 pixels wide.
func narrowed(data []byte) []byte {
	data = bytes.Clone(data)
	sof := bytes.Index(data, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(data[sof+7:], 0)
	return data
}

// Pixels of many or deep samples take more memory than gray ones: the limit counts that.
func TestDeepSamplesCountAgainstTheLimit(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const width, height, samples = 400, 400, 16
	data := enc.EncodeAll(make([]byte, width*height*samples*2), nil)
	bits := make([]byte, 0, 2*samples)
	for range samples {
		bits = binary.LittleEndian.AppendUint16(bits, 16)
	}
	file := onePage(50000, width, height, append(data, bits...), field{258, 3, samples, 0}, field{277, 3, 1, samples})
	const fields = 9
	binary.LittleEndian.PutUint32(file[8+2+12*7+8:], uint32(8+2+12*fields+4+len(data)))
	binary.LittleEndian.PutUint32(file[8+2+12*6+8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(file[8+2+12*3+8:], 1)
	if _, err := decodeWithin(t, file, tiff.Limits{}); err != nil {
		t.Fatalf("within the limit: %v", err)
	}
	if _, err := decodeWithin(t, file, tiff.Limits{MaxTonePixels: width * height}); !errors.Is(err, tiff.ErrLimit) {
		t.Errorf("32 bytes a pixel: error %v, want ErrLimit", err)
	}
}
