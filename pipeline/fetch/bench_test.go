package fetch_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// BenchmarkCompare compares 100 streamed pages with the same pages of the whole file, with an archive of plain files, and in turns decodes
// those of the file as if they were stored in another way. Times are medians of the rounds; same/decoded is the ratio of two rounds that
// follow one another: its median, and the smallest and largest one.
func BenchmarkCompare(b *testing.B) {
	b.Run("g4", func(b *testing.B) {
		benchmarkCompare(b, func(d *tiff.Decoded) tiff.Strip { return tiff.G4Strip(d.CleanG4) })
	})
	b.Run("g3-2d", func(b *testing.B) {
		o := ccitt.G3Options{TwoD: true, K: 4, Fill: true, LSBFirst: true, RTC: true}
		benchmarkCompare(b, func(d *tiff.Decoded) tiff.Strip {
			return tiff.G3Strip(ccitt.AppendG3(nil, d.Raster.Pix, d.Raster.Width, d.Raster.Height, d.Raster.Stride, o), o)
		})
	})
}

func benchmarkCompare(b *testing.B, strip func(*tiff.Decoded) tiff.Strip) {
	const pages, rounds = 100, 7
	p := intake.Pages{
		Archive: pipelinetest.LocalArchive(b), Decoder: intake.NewDecoder(1), Observe: func(context.Context, stage.Step) {},
	}
	w := fetch.New(fetch.Config{Pages: p, Provider: wholeOnly{}, Log: slog.New(slog.DiscardHandler)})
	data := wholeFile(b, p.Decoder, pages, strip)
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	facts := streamedPages(b, &p, pipelinetest.SinglePages(b, data))
	judge := func(judge func(context.Context, session.PageArchived, *tiff.File) (archive.PageVerdict, error)) float64 {
		start := time.Now()
		for _, f := range facts {
			if v, err := judge(b.Context(), f, file); err != nil || v.Verdict != archive.VerdictAgreed {
				b.Fatalf("page %d: %+v, %v", f.Page, v, err)
			}
		}
		return time.Since(start).Seconds() * 1000
	}
	var same, decoded, ratio []float64
	for b.Loop() {
		for range rounds {
			s, d := judge(w.Judge), judge(w.JudgeDecoded)
			same, decoded, ratio = append(same, s), append(decoded, d), append(ratio, s/d)
		}
	}
	for _, all := range [][]float64{same, decoded, ratio} {
		slices.Sort(all)
	}
	b.ReportMetric(same[len(same)/2], "same-ms")
	b.ReportMetric(decoded[len(decoded)/2], "decoded-ms")
	b.ReportMetric(ratio[len(ratio)/2], "same/decoded")
	b.ReportMetric(ratio[0], "same/decoded-min")
	b.ReportMetric(ratio[len(ratio)-1], "same/decoded-max")
	b.ReportMetric(0, "ns/op")
}

// wholeFile is a file of a page, again and again.
func wholeFile(b *testing.B, dec *intake.Decoder, pages int, strip func(*tiff.Decoded) tiff.Strip) []byte {
	b.Helper()
	m, err := dec.Page(b.Context(), pipelinetest.Testdata(b, "a4-fine-g4.tiff"))
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	t := tiff.NewWriter(&file)
	for page := range pages {
		meta := tiff.PageMeta{Width: m.Raster.Width, Height: m.Raster.Height, XRes: 204, YRes: 196, Page: page + 1, Pages: pages}
		if _, err := t.AddPage(meta, strip(m.Decoded)); err != nil {
			b.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}
