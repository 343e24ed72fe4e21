package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
	"github.com/faxstream/faxstream/storage/local"
)

// workbench is the page worker's and the assembler's own code on a real archive, with the facts in memory.
type workbench struct {
	t         testing.TB
	worker    *worker
	assembler *assembler

	mu    sync.Mutex
	facts map[string]map[int]session.PageArchived // by session and page
}

func newWorkbench(t testing.TB, archive Archive) *workbench {
	t.Helper()
	wb := &workbench{t: t, facts: map[string]map[int]session.PageArchived{}}
	observe, log := func(Step) {}, slog.New(slog.DiscardHandler)
	dec := newDecoder(runtime.GOMAXPROCS(0))
	wb.worker = &worker{pages: pages{facts: wb, archive: archive, decoder: dec, observe: observe}, bus: wb, log: log}
	wb.assembler = &assembler{
		facts: wb, archive: archive, observe: observe, log: log,
		builder: builder{archive: archive, decoder: dec, log: log, spoolDir: t.TempDir(), software: "faxstream test"},
	}
	return wb
}

func localArchive(t testing.TB) Archive {
	t.Helper()
	store, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func (wb *workbench) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	wb.mu.Lock()
	defer wb.mu.Unlock()
	if f, ok := f.(session.PageArchived); ok {
		if wb.facts[f.Session] == nil {
			wb.facts[f.Session] = map[int]session.PageArchived{}
		}
		wb.facts[f.Session][f.Page] = f
	}
	return 1, nil, nil
}

func (wb *workbench) PageFacts(_ context.Context, id string, _ session.Ranges) (map[int]session.PageArchived, error) {
	return wb.facts[id], nil
}

func (wb *workbench) Claim(_ context.Context, _, _, id string) (string, error) { return id, nil }

func (wb *workbench) Bind(_ context.Context, _, token string) (string, error) { return token, nil }

func (wb *workbench) Schedule(context.Context, session.Timer, []byte) error {
	return errors.New("nothing is to be scheduled on a workbench")
}

// benchStart is when every fax on a workbench began.
var benchStart = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// page takes a page's file the way of a page that was fetched.
func (wb *workbench) page(id string, page int, data []byte) {
	wb.t.Helper()
	o := origin{session: id, page: page, from: "+15550100", to: "+15550199", toToken: "15550199", eventTime: benchStart, source: session.SourceFetch}
	original, err := wb.worker.keepOriginal(wb.t.Context(), o, data, kindOriginal)
	if err != nil {
		wb.t.Fatal(err)
	}
	m, err := wb.worker.decoder.page(wb.t.Context(), data)
	if err != nil {
		wb.t.Fatalf("page %d: %v", page, err)
	}
	if err := wb.worker.publish(wb.t.Context(), o, original, m); err != nil {
		wb.t.Fatal(err)
	}
}

// cut takes all pages of a file the way of a fax that comes whole, and says why some cannot be had.
func (wb *workbench) cut(id string, data []byte) session.PageReasons {
	wb.t.Helper()
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		wb.t.Fatal(err)
	}
	o := origin{session: id, from: "+15550100", to: "+15550199", toToken: "15550199", source: session.SourceWholeFile}
	lost, err := wb.worker.cutPages(wb.t.Context(), o, file, session.Span(1, file.NumPages()))
	if err != nil {
		wb.t.Fatalf("%s: %v", id, err)
	}
	return lost
}

// order is for a document of all pages that a session has.
func (wb *workbench) order(id string, missing session.PageReasons) session.DocReady {
	r := session.DocReady{
		Session: id, Direction: session.Incoming, ToToken: "15550199", Revision: 1, From: "+15550100", To: "+15550199",
		Status: session.StatusComplete, Missing: missing, Close: &session.Closed{Session: id, StartTime: benchStart},
	}
	if len(missing) > 0 {
		r.Status, r.Reason = session.StatusPartial, session.PartialMissing
	}
	for page := range wb.facts[id] {
		r.Pages = r.Pages.Add(page)
	}
	return r
}

// assemble makes the document of an order and returns its manifest.
func (wb *workbench) assemble(r session.DocReady) Manifest {
	wb.t.Helper()
	order, err := json.Marshal(r)
	if err != nil {
		wb.t.Fatal(err)
	}
	if err := wb.assembler.ready(wb.t.Context(), bus.Delivery{Data: order, Time: benchStart, Tries: 1}); err != nil {
		wb.t.Fatal(err)
	}
	var m Manifest
	if err := json.Unmarshal(wb.read(revisionKey(r.Session, r.Revision, "manifest.json")), &m); err != nil {
		wb.t.Fatal(err)
	}
	return m
}

func (wb *workbench) read(key string) []byte {
	wb.t.Helper()
	data, err := read(wb.t.Context(), wb.assembler.archive, key, maxObject)
	if err != nil {
		wb.t.Fatal(err)
	}
	return data
}

// saved are the two documents of a manifest as files.
func (wb *workbench) saved(m Manifest) (tiffName, pdfName string) {
	wb.t.Helper()
	dir := wb.t.TempDir()
	tiffName, pdfName = filepath.Join(dir, "document.tiff"), filepath.Join(dir, "document.pdf")
	for name, key := range map[string]string{tiffName: m.TIFF.Key, pdfName: m.PDF.Key} {
		if err := os.WriteFile(name, wb.read(key), 0o600); err != nil {
			wb.t.Fatal(err)
		}
	}
	return tiffName, pdfName
}

// judge runs a program of a Debian package, which must end well and complain of nothing.
func judge(t testing.TB, debian, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: apt-get install %s", name, debian)
		}
		t.Skipf("%s is missing: apt-get install %s", name, debian)
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s%.2000s", name, strings.Join(args, " "), err, &complaints, &out)
	}
	return out.String()
}

// testdata reads a file of the project's.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tonesFile is a TIFF of one gray or colour page.
func tonesFile(t testing.TB, width, height, samples int) []byte {
	t.Helper()
	page := &raster.Tones{Width: width, Height: height, Samples: samples, XRes: 200, YRes: 200, Pix: make([]byte, width*height*samples)}
	for i := range page.Pix {
		page.Pix[i] = byte(i*7) ^ byte(i>>9)
	}
	strip, err := tiff.TonesStrip(page)
	if err != nil {
		t.Fatal(err)
	}
	return stripFile(t, tiff.PageMeta{Width: width, Height: height, XRes: 200, YRes: 200}, strip)
}

// benchPage is an A4 page of dense text, 80 KB in Group 4, as a file in that coding or in the Group 3 of a fax server.
func benchPage(t testing.TB, group3 bool) []byte {
	t.Helper()
	file, err := tiff.Parse(testdata(t, "a4-fine-g4.tiff"), tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodePage(t.Context(), file, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := m.Raster
	const lower = 10 // rows by which the text stands once more between its lines
	for y := p.Height - 1; y >= lower; y-- {
		for i, above := range p.Row(y - lower) {
			p.Row(y)[i] |= above
		}
	}
	strip := tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride))
	if group3 {
		o := ccitt.G3Options{TwoD: true, Fill: true, RTC: true, LSBFirst: true}
		strip = tiff.G3Strip(ccitt.AppendG3(nil, p.Pix, p.Width, p.Height, p.Stride, o), o)
	}
	return stripFile(t, tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 204, YRes: 196}, strip)
}

func stripFile(t testing.TB, meta tiff.PageMeta, strip tiff.Strip) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tiff.NewWriter(&b)
	if _, err := w.AddPage(meta, strip); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sha is a hash as the manifest has it.
func sha(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
