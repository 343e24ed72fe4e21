package document_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// mixedFax is a document of a fax page, a gray and a colour scan, a fax page in standard resolution, and a page that is missing.
func mixedFax(t *testing.T) (*pipelinetest.Workbench, document.FaxForms, session.Object) {
	t.Helper()
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	for i, data := range [][]byte{
		pipelinetest.BenchPage(t, false), pipelinetest.TonesFile(t, 1700, 2200, 1), pipelinetest.TonesFile(t, 1275, 1650, 3),
		pipelinetest.Testdata(t, "letter-standard-g3-2d-fill-lsb.tiff"),
	} {
		wb.Page("mixed", i+1, data)
	}
	wb.Assemble(wb.Order("mixed", session.PageReasons{5: session.ReasonNotYet}))
	key := archive.RevisionKey("mixed", 1, "manifest.json")
	forms := document.FaxForms{Archive: wb.Assembler.Archive, Decoder: intake.NewDecoder(1), ScratchDir: t.TempDir()}
	return wb, forms, session.Object{Key: key, SHA256: pipelinetest.SHA(wb.Read(key))}
}

func madeForm(t *testing.T, forms document.FaxForms, manifest session.Object) []byte {
	t.Helper()
	file, sum, err := forms.Make(t.Context(), manifest)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if pipelinetest.SHA(data) != sum {
		t.Errorf("the hash is %s, want %s", sum, pipelinetest.SHA(data))
	}
	if left, err := os.ReadDir(forms.ScratchDir); err != nil || len(left) > 0 {
		t.Errorf("left in the scratch directory: %v, %v", left, err)
	}
	return data
}

var (
	tiffWidth      = regexp.MustCompile(`Image Width: (\d+) Image Length: (\d+)`)
	tiffResolution = regexp.MustCompile(`Resolution: (\d+), (\d+) pixels/inch`)
)

// Every page is what fax machines send, in the words of libtiff; pages of fax machines keep their pixels.
func TestFaxFormIsClassF(t *testing.T) {
	wb, forms, manifest := mixedFax(t)
	data := madeForm(t, forms, manifest)
	if again := madeForm(t, forms, manifest); pipelinetest.SHA(again) != pipelinetest.SHA(data) {
		t.Error("made twice, it has other bytes")
	}
	name := filepath.Join(t.TempDir(), "fax.tiff")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	info := pipelinetest.Judge(t, "libtiff-tools", "tiffinfo", name)
	var widths, lines []string
	for _, m := range tiffWidth.FindAllStringSubmatch(info, -1) {
		widths = append(widths, m[1])
	}
	for _, m := range tiffResolution.FindAllStringSubmatch(info, -1) {
		lines = append(lines, m[1]+"x"+m[2])
	}
	if want := []string{"1728", "1728", "1728", "1728"}; !slices.Equal(widths, want) {
		t.Errorf("widths %v, want %v", widths, want)
	}
	if want := []string{"204x196", "204x196", "204x196", "204x98"}; !slices.Equal(lines, want) {
		t.Errorf("resolutions %v, want %v", lines, want)
	}
	for text, want := range map[string]int{
		"Bits/Sample: 1\n": 4, "Compression Scheme: CCITT Group 4": 4, "Photometric Interpretation: min-is-white": 4, "Samples/Pixel: 1\n": 4,
		"Orientation: row 0 top": 4, "Page Number: 3-4": 1, "multi-page document": 4,
	} {
		if got := strings.Count(info, text); got != want {
			t.Errorf("%q %d times, want %d:\n%s", text, got, want, info)
		}
	}
	plain := name + ".plain"
	pipelinetest.Judge(t, "libtiff-tools", "tiffcp", "-c", "none", name, plain)
	ours, theirs := rasters(t, data), rasters(t, readFile(t, plain))
	if !slices.Equal(ours, theirs) || len(ours) != 4 || ours[0] != wb.Facts["mixed"][1].RasterSHA256 ||
		ours[3] != wb.Facts["mixed"][4].RasterSHA256 {
		t.Errorf("pixels %v, libtiff sees %v; pages 1 and 4 were %s and %s", ours, theirs,
			wb.Facts["mixed"][1].RasterSHA256, wb.Facts["mixed"][4].RasterSHA256)
	}
}

// Fax programs do not look at Orientation, so the pixels are turned.
func TestFaxFormIsUpright(t *testing.T) {
	page := raster.New(1728, 200)
	page.Row(3)[5] = 0xf0
	meta := tiff.PageMeta{Width: 1728, Height: 200, XRes: 204, YRes: 196, Orientation: 3}
	strip := tiff.G4Strip(ccitt.AppendG4(nil, page.Pix, page.Width, page.Height, page.Stride))
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	wb.Page("turned", 1, pipelinetest.StripFile(t, meta, strip))
	wb.Assemble(wb.Order("turned", nil))
	key := archive.RevisionKey("turned", 1, "manifest.json")
	forms := document.FaxForms{Archive: wb.Assembler.Archive, Decoder: intake.NewDecoder(1), ScratchDir: t.TempDir()}
	data := madeForm(t, forms, session.Object{Key: key, SHA256: pipelinetest.SHA(wb.Read(key))})
	want := fmt.Sprintf("%x", page.Upright(3).SHA256())
	if got := rasters(t, data); len(got) != 1 || got[0] != want || bytes.Contains(data, []byte{0x12, 1, 3, 0, 1, 0, 0, 0, 3}) {
		t.Errorf("pixels %v, want %s", got, want)
	}
}

// What is not as it was written makes no form, and leaves nothing behind.
func TestNoFaxFormOfWhatIsLost(t *testing.T) {
	_, forms, manifest := mixedFax(t)
	altered := manifest
	altered.SHA256 = pipelinetest.SHA(nil)
	gone := manifest
	gone.Key += "x"
	for name, o := range map[string]session.Object{"altered": altered, "gone": gone} {
		if _, _, err := forms.Make(t.Context(), o); !archive.Lost(err) {
			t.Errorf("a manifest that is %s: %v", name, err)
		}
	}
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	wb.Assemble(wb.Order("empty", session.PageReasons{1: session.ReasonNotYet}))
	key := archive.RevisionKey("empty", 1, "manifest.json")
	forms.Archive = wb.Assembler.Archive
	if _, _, err := forms.Make(
		t.Context(), session.Object{Key: key, SHA256: pipelinetest.SHA(wb.Read(key))},
	); !errors.Is(err, tiff.ErrMalformed) {
		t.Errorf("a document without a usable page: %v", err)
	}
	if left, err := os.ReadDir(forms.ScratchDir); err != nil || len(left) > 0 {
		t.Errorf("left in the scratch directory: %v, %v", left, err)
	}
}
