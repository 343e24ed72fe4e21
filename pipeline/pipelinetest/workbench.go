package pipelinetest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Workbench runs the code of the page worker and the assembler on a real archive, with the facts in memory.
type Workbench struct {
	t         testing.TB
	pages     intake.Pages
	Assembler *document.Assembler

	mu    sync.Mutex
	Facts map[string]map[int]session.PageArchived // by session and page
	lost  session.PageReasons                     // by the last order for a whole file
}

// NewWorkbench returns one on an archive.
func NewWorkbench(t testing.TB, archive archive.Store) *Workbench {
	t.Helper()
	wb := &Workbench{t: t, Facts: map[string]map[int]session.PageArchived{}}
	observe, log := func(context.Context, stage.Step) {}, slog.New(slog.DiscardHandler)
	dec := intake.NewDecoder(runtime.GOMAXPROCS(0))
	wb.pages = intake.Pages{Facts: wb, Archive: archive, Decoder: dec, Observe: observe}
	wb.Assembler = &document.Assembler{
		Facts: wb, Archive: archive, Observe: observe, Log: log,
		Builder: document.Builder{Archive: archive, Decoder: dec, Log: log, ScratchDir: t.TempDir(), Software: "faxstream test"},
	}
	return wb
}

// RecordFact stores the fact of an archived page in Facts, and why pages of a whole file are lost.
func (wb *Workbench) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	wb.mu.Lock()
	defer wb.mu.Unlock()
	switch f := f.(type) {
	case session.WholeDone:
		wb.lost = f.Lost
	case session.PageArchived:
		if wb.Facts[f.Session] == nil {
			wb.Facts[f.Session] = map[int]session.PageArchived{}
		}
		wb.Facts[f.Session][f.Page] = f
	}
	return 1, nil, nil
}

// PageFacts returns all Facts of a session.
func (wb *Workbench) PageFacts(_ context.Context, id string, _ session.Ranges) (map[int]session.PageArchived, error) {
	return wb.Facts[id], nil
}

// Recorded reports that there is no fact: no work on a Workbench is done twice.
func (wb *Workbench) Recorded(context.Context, session.Fact) (bool, error) { return false, nil }

// Claim makes every session the owner of what it claims.
func (wb *Workbench) Claim(_ context.Context, _, _, id string) (string, error) { return id, nil }

// Bind gives every session the number that it asks for.
func (wb *Workbench) Bind(_ context.Context, _, token string) (string, error) { return token, nil }

// Schedule is an error: no work on a Workbench is retried.
func (wb *Workbench) Schedule(context.Context, session.Timer, []byte) error {
	return errors.New("a Workbench schedules nothing")
}

// BenchStart is when every fax on a Workbench began.
var BenchStart = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// Page takes in the file of a page as if it was fetched.
func (wb *Workbench) Page(id string, page int, data []byte) {
	wb.t.Helper()
	o := intake.Origin{
		Session: id, Page: page, From: "+15550100", To: "+15550199", ToToken: "15550199",
		EventTime: BenchStart, Source: session.SourceFetch,
	}
	original, err := ArchiveOriginal(wb.t.Context(), &wb.pages, o, data, archive.KindOriginal)
	if err != nil {
		wb.t.Fatal(err)
	}
	m, err := wb.pages.Decoder.Page(wb.t.Context(), data)
	if err != nil {
		wb.t.Fatalf("page %d: %v", page, err)
	}
	if err := wb.pages.Publish(wb.t.Context(), o, original, m); err != nil {
		wb.t.Fatal(err)
	}
}

// Cut takes in all pages of a whole file, and says which are lost and why.
func (wb *Workbench) Cut(id string, data []byte) session.PageReasons {
	wb.t.Helper()
	order, err := json.Marshal(session.WholeOrdered{Session: id, N: 1, From: "+15550100", To: "+15550199", All: true, TryFor: time.Minute})
	if err != nil {
		wb.t.Fatal(err)
	}
	w := fetch.New(fetch.Config{Bus: wb, Pages: wb.pages, Provider: served(data), Log: wb.Assembler.Log})
	for _, c := range w.Consumptions(1) {
		if c.Consumer.Durable != "whole" {
			continue
		}
		if err := c.Handle(wb.t.Context(), bus.Delivery{Data: order, Time: BenchStart, Tries: 1}); err != nil {
			wb.t.Fatalf("%s: %v", id, err)
		}
	}
	return wb.lost
}

// Order is for a document of all pages that a session has.
func (wb *Workbench) Order(id string, missing session.PageReasons) session.DocReady {
	r := session.DocReady{
		Session: id, Direction: session.Incoming, ToToken: "15550199", Revision: 1, From: "+15550100", To: "+15550199",
		Status: session.StatusComplete, Missing: missing, Close: &session.Closed{Session: id, StartTime: BenchStart},
	}
	if len(missing) > 0 {
		r.Status, r.Reason = session.StatusPartial, session.PartialMissing
	}
	for page := range wb.Facts[id] {
		r.Pages = r.Pages.Add(page)
	}
	return r
}

// Assemble makes the document of an order and returns its manifest.
func (wb *Workbench) Assemble(r session.DocReady) archive.Manifest {
	wb.t.Helper()
	if err := Assemble(wb.t.Context(), wb.Assembler, r, BenchStart); err != nil {
		wb.t.Fatal(err)
	}
	var m archive.Manifest
	if err := json.Unmarshal(wb.Read(archive.RevisionKey(r.Session, r.Revision, "manifest.json")), &m); err != nil {
		wb.t.Fatal(err)
	}
	return m
}

// Read returns an object.
func (wb *Workbench) Read(key string) []byte {
	wb.t.Helper()
	data, err := archive.Read(wb.t.Context(), wb.Assembler.Archive, key, archive.MaxObject)
	if err != nil {
		wb.t.Fatal(err)
	}
	return data
}

// Saved writes the two documents of a manifest to files.
func (wb *Workbench) Saved(m archive.Manifest) (tiffName, pdfName string) {
	wb.t.Helper()
	dir := wb.t.TempDir()
	tiffName, pdfName = filepath.Join(dir, "document.tiff"), filepath.Join(dir, "document.pdf")
	for name, key := range map[string]string{tiffName: m.TIFF.Key, pdfName: m.PDF.Key} {
		if err := os.WriteFile(name, wb.Read(key), 0o600); err != nil {
			wb.t.Fatal(err)
		}
	}
	return tiffName, pdfName
}

// Repeated gives a session n pages whose originals are the given ones, again and again: the archive has few objects.
func (wb *Workbench) Repeated(id string, n int, originals ...[]byte) {
	wb.t.Helper()
	for i, data := range originals {
		wb.Page(id, i+1, data)
	}
	for page := len(originals) + 1; page <= n; page++ {
		f := wb.Facts[id][(page-1)%len(originals)+1]
		f.Page = page
		wb.Facts[id][page] = f
	}
}

// served is a provider that has one whole file and nothing else.
type served []byte

func (s served) File(_ context.Context, _ string, into fetch.File) error {
	_, err := into.Write(s)
	return err
}

func (served) Page(context.Context, string, int, fetch.File) error { return errors.ErrUnsupported }

func (served) Outcome(context.Context, string) (*session.Closed, bool, error) {
	return nil, false, errors.ErrUnsupported
}

func (served) Probe(context.Context) error { return nil }

// Assemble delivers an order of a document, which was stored at a time, to an assembler.
func Assemble(ctx context.Context, a *document.Assembler, r session.DocReady, at time.Time) error {
	order, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return a.Consumptions()[0].Handle(ctx, bus.Delivery{Data: order, Time: at, Tries: 1})
}
