package intake

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// densePage is the page of cmd/faxstream/bench: a sheet of text with the same text once more between its lines, as a file of Group 4.
func densePage(b *testing.B) []byte {
	data, err := os.ReadFile("../../testdata/a4-fine-g4.tiff")
	if err != nil {
		b.Fatal(err)
	}
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	im, err := file.Page(0)
	if err != nil {
		b.Fatal(err)
	}
	d, err := im.Decode(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	p := d.Raster
	for y := p.Height - 1; y >= 10; y-- {
		for i, above := range p.Row(y - 10) {
			p.Row(y)[i] |= above
		}
	}
	var out bytes.Buffer
	w := tiff.NewWriter(&out)
	strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	meta := tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: p.XRes, YRes: p.YRes, Page: 1, Pages: 1}
	if _, err := w.AddPage(meta, strip); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkStages has what a page costs in each stage between its bytes and its PNG.
func BenchmarkStages(b *testing.B) {
	data := densePage(b)
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	im, err := file.Page(0)
	if err != nil {
		b.Fatal(err)
	}
	pool := tiff.NewPool(2)
	d, err := pool.Decode(context.Background(), im)
	if err != nil {
		b.Fatal(err)
	}
	p := &raster.Page{
		Width: d.Raster.Width, Height: d.Raster.Height, Stride: d.Raster.Stride, Pix: bytes.Clone(d.Raster.Pix),
		XRes: d.Raster.XRes, YRes: d.Raster.YRes,
	}
	d.Release()
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, err := pool.Decode(context.Background(), im)
			if err != nil {
				b.Fatal(err)
			}
			d.Release()
		}
	})
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.SHA256()
		}
	})
	b.Run("quality", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Quality()
		}
	})
	b.Run("png", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			var c counter
			if err := p.WritePNG(&c); err != nil {
				b.Fatal(err)
			}
			n = int(c)
		}
		b.ReportMetric(float64(n), "bytes")
	})
}

// A counter counts the bytes that are written.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
