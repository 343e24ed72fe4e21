package document_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// checkDocuments: both documents hold each page's strip where the manifest says, and whoever decodes them (ours, libtiff,
// poppler) sees the pixels that were archived.
func checkDocuments(t testing.TB, wb *pipelinetest.Workbench, m archive.Manifest) {
	t.Helper()
	var pages []archive.ManifestPage // those that are there
	for _, p := range m.Pages {
		if p.Status == session.PageStatusArchived {
			pages = append(pages, p)
		}
	}
	tiffName, pdfName := wb.Saved(m)
	tiffData, pdfData := wb.Read(m.TIFF.Key), wb.Read(m.PDF.Key)
	if pipelinetest.SHA(tiffData) != m.TIFF.SHA256 || pipelinetest.SHA(pdfData) != m.PDF.SHA256 {
		t.Errorf("%s: the documents have other hashes than the manifest says", m.Session)
	}
	images := filepath.Join(filepath.Dir(pdfName), "image")
	pipelinetest.Judge(t, "poppler-utils", "pdfimages", "-all", pdfName, images)
	pipelinetest.Judge(t, "poppler-utils", "pdfimages", pdfName, images)
	plain := filepath.Join(filepath.Dir(pdfName), "plain.tiff")
	pipelinetest.Judge(t, "libtiff-tools", "tiffcp", "-c", "none", tiffName, plain)
	libtiff, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := rasters(t, tiffData), rasters(t, libtiff)
	if len(ours) != len(pages) || len(theirs) != len(pages) {
		t.Fatalf("%s: the TIFF has %d pages, libtiff finds %d, want %d", m.Session, len(ours), len(theirs), len(pages))
	}
	for i, p := range pages {
		if pipelinetest.SHA(tiffData[p.TIFFOffset:][:p.StripSize]) != p.StripSHA256 ||
			pipelinetest.SHA(pdfData[p.PDFOffset:][:p.StripSize]) != p.StripSHA256 {
			t.Errorf("%s page %d: a document has another strip where the manifest says", m.Session, p.Page)
		}
		if ours[i] != p.RasterSHA256 || theirs[i] != p.RasterSHA256 {
			t.Errorf("%s page %d: the TIFF decodes to %s, libtiff says %s, want %s", m.Session, p.Page, ours[i], theirs[i], p.RasterSHA256)
		}
		if p.Samples > 0 {
			continue
		}
		if strip := readFile(t, fmt.Sprintf("%s-%03d.ccitt", images, i)); pipelinetest.SHA(strip) != p.StripSHA256 {
			t.Errorf("%s page %d: poppler finds another strip of %d bytes in the PDF", m.Session, p.Page, len(strip))
		}
		if got := pbmRaster(readFile(t, fmt.Sprintf("%s-%03d.pbm", images, i))); got != p.RasterSHA256 {
			t.Errorf("%s page %d: poppler sees %s in the PDF, want %s", m.Session, p.Page, got, p.RasterSHA256)
		}
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rasters are the hashes of a file's pages.
func rasters(t testing.TB, data []byte) (sums []string) {
	t.Helper()
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range file.NumPages() {
		page, err := file.Page(i)
		if err != nil {
			t.Fatal(err)
		}
		m, err := page.Decode(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := m.Raster.SHA256()
		if m.Tones != nil {
			sum = m.Tones.SHA256()
		}
		sums = append(sums, fmt.Sprintf("%x", sum))
	}
	return sums
}

// pbmRaster is the hash of a raw PBM's rows, without what poppler sets past their ends.
func pbmRaster(file []byte) string {
	m := regexp.MustCompile(`^P4\s+(\d+)\s+\d+\s`).FindSubmatch(file)
	rows := file[len(m[0]):]
	width, _ := strconv.Atoi(string(m[1])) // digits
	if stride := (width + 7) / 8; width%8 != 0 {
		for at := stride - 1; at < len(rows); at += stride {
			rows[at] &= 0xFF << (-width & 7)
		}
	}
	return pipelinetest.SHA(rows)
}

// realPage is a page of the collection of real faxes beside the project.
type realPage struct {
	file   string
	page   int
	raster string // hex SHA-256
}

// realPages are those that are faultless and black and white.
func realPages(t *testing.T, corpus string) (pages []realPage) {
	t.Helper()
	index, err := os.Open(filepath.Join(corpus, "index.csv"))
	if err != nil {
		t.Skipf("no collection of real faxes beside the project: %v", err)
	}
	defer index.Close()
	rows, err := csv.NewReader(index).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		page, err := strconv.Atoi(row[column["page"]])
		if err != nil {
			t.Fatal(err)
		}
		if p := (realPage{row[column["file"]], page, row[column["raster_sha256"]]}); row[column["kind"]] == "strict" && p.raster != "" {
			pages = append(pages, p)
		}
	}
	if len(pages) < 100 {
		t.Fatalf("only %d pages", len(pages))
	}
	return pages
}

// TestRealFaxesComeBackFromTheirDocuments takes every page of the collection that is faultless and black and white through
// archive and documents, and back: the files of one page as a fax whose pages were streamed, each other as a fax that came whole.
func TestRealFaxesComeBackFromTheirDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("many decodings: runs without -short")
	}
	corpus := filepath.Join("..", "..", "..", "shared", "corpus")
	type key struct {
		session string
		page    int
	}
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	want := map[key]string{}
	sessions := map[string]string{} // of the files of several pages
	lost := map[string]session.PageReasons{}
	const streamed = "streamed"
	for _, p := range realPages(t, corpus) {
		data := readFile(t, filepath.Join(corpus, "files", p.file))
		file, err := tiff.Parse(data, tiff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		at := key{streamed, len(wb.Facts[streamed]) + 1}
		if file.NumPages() == 1 {
			wb.Page(at.session, at.page, data)
		} else {
			id := fmt.Sprintf("file-%d", len(sessions)+1)
			if known, ok := sessions[p.file]; ok {
				id = known
			} else {
				lost[id] = wb.Cut(id, data) // one has a page of gray in a coding that faxes do not have
			}
			sessions[p.file] = id
			at = key{id, p.page}
		}
		want[at] = p.raster
	}
	for _, id := range append(slices.Sorted(maps.Values(sessions)), streamed) {
		m := wb.Assemble(wb.Order(id, lost[id]))
		for _, p := range m.Pages {
			if sum, ok := want[key{id, p.Page}]; ok && p.RasterSHA256 != sum {
				t.Errorf("%s page %d: archived as %s, want %s", id, p.Page, p.RasterSHA256, sum)
			}
			delete(want, key{id, p.Page})
		}
		checkDocuments(t, wb, m)
	}
	if len(want) > 0 {
		t.Errorf("these pages never came into a document: %v", want)
	}
}

// TestAMixedFaxPassesItsJudges: pages of every kind in one fax, with pages missing at its start and in its middle.
func TestAMixedFaxPassesItsJudges(t *testing.T) {
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	damaged := pipelinetest.Testdata(t, "letter-fine-g3.tiff")
	for i := len(damaged) / 2; i < len(damaged)/2+40; i++ {
		damaged[i] ^= 0x5A
	}
	for page, data := range map[int][]byte{
		2: pipelinetest.Testdata(t, "a4-fine-g4.tiff"),
		3: pipelinetest.Testdata(t, "letter-standard-g3-2d-fill-lsb.tiff"),
		4: damaged,
		5: pipelinetest.TonesFile(t, 1700, 200, 1),
		7: pipelinetest.Testdata(t, "letter-superfine-g4.tiff"),
		8: pipelinetest.TonesFile(t, 300, 400, 3),
		9: pipelinetest.Testdata(t, "legal-fine-g3-2d-fill-lsb.tiff"),
	} {
		wb.Page("mixed", page, data)
	}
	m := wb.Assemble(wb.Order("mixed", session.PageReasons{1: session.ReasonNotInFile, 6: session.ReasonNotYet}))
	checkDocuments(t, wb, m)
	tiffName, pdfName := wb.Saved(m)

	t.Run("looks", func(t *testing.T) { judgeLooks(t, m, pdfName) })
	t.Run("TIFF", func(t *testing.T) { judgeMixedTIFF(t, tiffName) })
	t.Run("PDF", func(t *testing.T) { judgeMixedPDF(t, pdfName) })
}

// judgeLooks: poppler draws the black and white pages, at their own resolution, as they were archived.
func judgeLooks(t *testing.T, m archive.Manifest, pdfName string) {
	t.Helper()
	for i, p := range m.Pages {
		if p.Status == session.PageStatusMissing || p.Samples > 0 {
			continue
		}
		sheet := strconv.Itoa(i + 1)
		look := filepath.Join(t.TempDir(), sheet)
		pipelinetest.Judge(t, "poppler-utils", "pdftoppm", "-mono", "-singlefile", "-f", sheet, "-l", sheet,
			"-rx", fmt.Sprint(p.XResolution), "-ry", fmt.Sprint(p.YResolution), pdfName, look)
		if got := pbmRaster(readFile(t, look+".pbm")); got != p.RasterSHA256 {
			t.Errorf("page %d: poppler draws %s, want %s", p.Page, got, p.RasterSHA256)
		}
	}
}

func judgeMixedTIFF(t *testing.T, tiffName string) {
	t.Helper()
	info := pipelinetest.Judge(t, "libtiff-tools", "tiffinfo", "-D", tiffName)
	pages := strings.Split(info, "=== TIFF directory")[1:]
	if len(pages) != 7 || strings.Contains(info, "arning") {
		t.Fatalf("%d pages:\n%s", len(pages), info)
	}
	for i, has := range [][]string{
		{"CCITT Group 4", "Resolution: 204, 196", "Page Number: 0-7", "clean (0 = 0x0)", "Image Length: 2292", "fax mixed page 2"},
		{"CCITT Group 4", "Resolution: 204, 98", "Page Number: 1-7", "clean (0 = 0x0)", "min-is-white", "fax mixed page 3"},
		{
			"CCITT Group 4", "Resolution: 204, 196", "Page Number: 2-7", "receiver regenerated (1 = 0x1)", "Bad Fax Lines: ",
			"fax mixed page 4",
		},
		{"AdobeDeflate", "Resolution: 200, 200", "Page Number: 3-7", "min-is-black", "Bits/Sample: 8", "fax mixed page 5"},
		{"CCITT Group 4", "Resolution: 204, 391", "Page Number: 4-7", "clean (0 = 0x0)", "fax mixed page 7"},
		{"AdobeDeflate", "Samples/Pixel: 3", "Page Number: 5-7", "RGB color", "fax mixed page 8"},
		{"CCITT Group 4", "Page Number: 6-7", "Image Length: 2744", "fax mixed page 9"},
	} {
		for _, text := range append(has, "multi-page document", "DateTime: 2026:11:23 09:30:00", "pixels/inch", "Rows/Strip: ") {
			if !strings.Contains(pages[i], text) {
				t.Errorf("tiffinfo does not say %q of page %d:\n%s", text, i+1, pages[i])
			}
		}
	}
}

func judgeMixedPDF(t *testing.T, pdfName string) {
	t.Helper()
	pipelinetest.Judge(t, "qpdf", "qpdf", "--check", pdfName)
	const letter, a4, legal, gray, small = "609.882 x 792", "609.882 x 841.959", "609.882 x 1008", "612 x 71.9999", "108 x 144"
	info := pipelinetest.Judge(t, "poppler-utils", "pdfinfo", "-isodates", "-l", "9", pdfName)
	for i, size := range []string{a4, a4, letter, letter, gray, letter, letter, small, legal} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^Page +%d size: +%s`, i+1, size)).MatchString(info) {
			t.Errorf("page %d is not of %s points", i+1, size)
		}
	}
	info += pipelinetest.Judge(t, "poppler-utils", "pdfinfo", "-meta", pdfName)
	for _, text := range []string{
		"Title:           Fax mixed, partial: missing_pages\n", "Author:          +15550100\n", "CreationDate:    2026-11-23T09:30:00Z\n",
		"Subject:         From +15550100 to +15550199, pages: 9, of which missing: 2\n", "Producer:        faxstream test\n",
		"<pdfaid:part>2<", ">Fax mixed, partial: missing_pages<", "<xmp:CreateDate>2026-11-23T09:30:00+00:00<",
		"pages: 9, of which missing: 2<",
	} {
		if !strings.Contains(info, text) {
			t.Errorf("pdfinfo does not say %q", text)
		}
	}
	if t.Failed() {
		t.Log(info)
	}
	for page, want := range map[string]string{
		"1": "Page 1 is missing\n.*The file of the whole fax ends before this page. .not_in_file.\n.*Fax: mixed\n",
		"6": "Page 6 is missing\n.*The fax provider did not have this page. .not_ready.\n.*From: .15550100\nTo: .15550199\n",
	} {
		text := pipelinetest.Judge(t, "poppler-utils", "pdftotext", "-f", page, "-l", page, pdfName, "-")
		if !regexp.MustCompile(`(?s)` + want).MatchString(text) {
			t.Errorf("the sheet of page %s says\n%s", page, text)
		}
	}
}

// If the first page of a fax is missing, the others still have their numbers: a viewer shows them as labels.
func TestPagesKeepTheirNumbers(t *testing.T) {
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	for _, page := range []int{3, 4, 8} {
		wb.Page("gaps", page, pipelinetest.Testdata(t, "letter-standard-g4.tiff"))
	}
	_, pdfName := wb.Saved(wb.Assemble(wb.Order("gaps", session.PageReasons{5: session.ReasonLost})))
	labels := pipelinetest.Judge(t, "qpdf", "qpdf", "--json", "--json-key=pages", pdfName)
	if !regexp.MustCompile(`(?s)"/St": 3.*"/St": 8`).MatchString(labels) {
		t.Errorf("no labels 3 and 8 in %.3000s", labels)
	}
}

// A provider's clock may say anything: a fax of the year 0 gets its document, without a date, and is listed under the day of its order. So
// is one of a year to come.
func TestAFaxOfNoPossibleYearGetsItsDocument(t *testing.T) {
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	wb.Page("old", 1, pipelinetest.Testdata(t, "letter-standard-g4.tiff"))
	order := wb.Order("old", nil)
	order.Close.StartTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	tiffName, pdfName := wb.Saved(wb.Assemble(order))
	out := pipelinetest.Judge(t, "poppler-utils", "pdfinfo", pdfName) + pipelinetest.Judge(t, "libtiff-tools", "tiffinfo", tiffName)
	if strings.Contains(out, "Date") {
		t.Error(out)
	}
	order.Close.StartTime = pipelinetest.BenchStart.AddDate(3, 0, 0)
	for _, start := range []time.Time{{}, order.Close.StartTime, time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)} {
		order.Close.StartTime = start
		plan, err := archive.NewPlan(order, map[int]session.PageArchived{1: {Page: 1, EventTime: start}}, pipelinetest.BenchStart)
		if err != nil || !plan.Indexed.Equal(pipelinetest.BenchStart) {
			t.Errorf("a fax that began %s and was ordered %s is listed under %s, %v", start, pipelinetest.BenchStart, plan.Indexed, err)
		}
	}
}

// tiffcmp sees the same pixels in the document as in what the fax server sent, in another coding.
func TestTiffcmpSeesNoDifference(t *testing.T) {
	wb := pipelinetest.NewWorkbench(t, pipelinetest.LocalArchive(t))
	wb.Cut("three", pipelinetest.Testdata(t, "three-pages-fine-g3-2d-fill-lsb.tiff"))
	tiffName, _ := wb.Saved(wb.Assemble(wb.Order("three", nil)))
	pipelinetest.Judge(t, "libtiff-tools", "tiffcmp", "-t",
		filepath.Join("..", "..", "testdata", "three-pages-fine-g3-2d-fill-lsb.tiff"), tiffName) // ends with 1 where a pixel differs
}
