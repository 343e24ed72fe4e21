package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "image/png" // pdfimages writes PNG

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Real pages in every resolution and coding that a fax machine sends, in one fax: what comes out is judged by qpdf, poppler and libtiff.
func TestDocumentsPassTheirJudges(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is about bytes, and other tests cover the same code for the race detector: runs without -short")
	}
	pages := []struct {
		file          string
		width, height float64 // of the sheet, points
	}{
		{"letter-standard-g4", 1728.0 / 204 * 72, 1078.0 / 98 * 72},
		{"letter-fine-g4", 1728.0 / 204 * 72, 2156.0 / 196 * 72},
		{"letter-superfine-g4", 1728.0 / 204 * 72, 4301.0 / 391 * 72},
		{"a4-fine-g4", 1728.0 / 204 * 72, 2292.0 / 196 * 72},
		{"legal-fine-g4", 1728.0 / 204 * 72, 2744.0 / 196 * 72},
		{"letter-fine-g3", 1728.0 / 204 * 72, 2156.0 / 196 * 72},
		{"letter-fine-g3-2d", 1728.0 / 204 * 72, 2156.0 / 196 * 72},
		{"letter-standard-g3-2d-fill-lsb", 1728.0 / 204 * 72, 1078.0 / 98 * 72},
		{"legal-fine-g3-2d-fill-lsb", 1728.0 / 204 * 72, 2744.0 / 196 * 72},
	}
	f := faxplustest.Fax{Session: "judged", Streamed: true}
	for _, page := range pages {
		b, err := os.ReadFile(filepath.Join(root(t), "testdata", page.file+".tiff"))
		if err != nil {
			t.Fatal(err)
		}
		f.Pages = append(f.Pages, b)
	}
	sim, flags := newSimulator(t, faxplustest.Config{})
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), patientGrace)...)
	for _, b := range apptest.Bodies(f, p.target()) {
		if status := apptest.Post(t, p.target(), b); status != 200 {
			t.Fatalf("webhook answered %d", status)
		}
	}
	if d := p.awaitDocuments(f.Session)[f.Session]; d.Status != session.StatusComplete {
		t.Fatalf("the fax is %s (%s)", d.Status, d.Reason)
	}
	checkFax(t, p, f)
	dir := t.TempDir()
	pdf, tif := filepath.Join(dir, "document.pdf"), filepath.Join(dir, "document.tiff")
	get(t, p, pdf, f.Session, "--as=pdf")
	get(t, p, tif, f.Session, "--as=tiff")

	apptest.Judge(t, "qpdf", "qpdf", "--check", pdf)
	info := apptest.Judge(t, "pdfinfo", "poppler-utils", "-f", "1", "-l", strconv.Itoa(len(pages)), pdf)
	for i, page := range pages {
		width, height := sheetSize(t, info, i+1)
		if math.Abs(width/page.width-1) > 0.005 || math.Abs(height/page.height-1) > 0.005 {
			t.Errorf("%s: the sheet is %.1f x %.1f points, want %.1f x %.1f", page.file, width, height, page.width, page.height)
		}
	}
	apptest.Judge(t, "pdfimages", "poppler-utils", "-png", pdf, filepath.Join(dir, "page"))
	for i, page := range pages {
		want := rasterFromTIFF(t, f.Pages[i])
		if got := rasterFromPNG(t, filepath.Join(dir, fmt.Sprintf("page-%03d.png", i))); got != want {
			t.Errorf("%s: poppler sees another image in the PDF: %s, want %s", page.file, got, want)
		}
		file := filepath.Join(dir, fmt.Sprintf("page-%d.png", i+1))
		get(t, p, file, f.Session, "--as=png", fmt.Sprintf("--page=%d", i+1))
		checkOCRImage(t, file, page.width/page.height)
	}
	if out := apptest.Judge(t, "tiffinfo", "libtiff-tools", tif); strings.Count(out, "TIFF Directory at") != len(pages) {
		t.Errorf("tiffinfo sees %d pages, want %d", strings.Count(out, "TIFF Directory at"), len(pages))
	}
}

// What /metrics says after a fax is what Prometheus reads, and has the stages that the fax went through.
func TestMetricsAreReadByPrometheus(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool", "apt-get install prometheus")
	sim, flags := newSimulator(t, faxplustest.Config{})
	f := apptest.Generated(t, 31, 1)[0]
	sim.Add(f)
	p := serve(t, nil, append(flags, "--dir="+t.TempDir(), patientGrace, "--otlp-endpoint=http://127.0.0.1:1")...)
	for _, b := range apptest.Bodies(f, p.target()) {
		apptest.Post(t, p.target(), b)
	}
	p.awaitDocuments(f.Session)
	metrics := apptest.Fetch(t, p.ready.Admin+"/metrics")
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	for _, want := range []string{
		fmt.Sprintf(`faxstream_stage_seconds_count{stage="fetch"} %d`, len(f.Pages)),
		fmt.Sprintf(`faxstream_stage_seconds_count{stage="publish"} %d`, len(f.Pages)),
		`faxstream_stage_seconds_count{stage="assemble"} 1`,
		fmt.Sprintf(`faxstream_webhooks_total{outcome="recorded"} %d`, len(f.Pages)+1),
		`faxstream_trace_spans_total{outcome="sent"} 0`, // nobody listens
	} {
		if !bytes.Contains(metrics, []byte(want+"\n")) {
			t.Errorf("the metrics do not say %s", want)
		}
	}
}

// sheetSize reads pdfinfo's line of one page.
func sheetSize(t *testing.T, info string, page int) (width, height float64) {
	t.Helper()
	prefix := fmt.Sprintf("Page %4d size:", page)
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%f x %f pts", &width, &height); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return width, height
		}
	}
	t.Fatalf("pdfinfo says nothing of page %d:\n%s", page, info)
	return 0, 0
}

func rasterFromTIFF(t *testing.T, data []byte) string {
	t.Helper()
	f, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return apptest.Describe(apptest.DecodePage(t, f, 0))
}

// rasterFromPNG reads a black and white PNG with a decoder that is not ours.
func rasterFromPNG(t *testing.T, file string) string {
	t.Helper()
	img := openImage(t, file)
	b := img.Bounds()
	p := raster.New(b.Dx(), b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			if color.GrayModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y < 128 {
				p.Row(y)[x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return apptest.Describe(p)
}

func openImage(t *testing.T, file string) image.Image {
	t.Helper()
	r, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	img, _, err := image.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkOCRImage wants near-square pixels: the image has the sheet's proportions.
func checkOCRImage(t *testing.T, file string, want float64) {
	t.Helper()
	b := openImage(t, file).Bounds()
	if got := float64(b.Dx()) / float64(b.Dy()); math.Abs(got/want-1) > 0.06 {
		t.Errorf("%s: %dx%d pixels have the proportion %.3f, the sheet has %.3f", file, b.Dx(), b.Dy(), got, want)
	}
}
