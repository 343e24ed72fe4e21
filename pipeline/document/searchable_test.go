package document_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/verify"
)

var morning = time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)

// assembledDesk is a desk with the first revision of the document of its fax, and the event of that.
func assembledDesk(t *testing.T) (*pipelinetest.Desk, session.DocAssembled) {
	t.Helper()
	d, order := pipelinetest.NewDesk(t)
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, morning); err != nil {
		t.Fatal(err)
	}
	for _, data := range d.Events {
		var f session.DocAssembled
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		return d, f
	}
	t.Fatal("no event of the document")
	return nil, session.DocAssembled{}
}

// searchables are the events of searchable documents, by the time of the newest text.
func searchables(t *testing.T, d *pipelinetest.Desk) (all []session.DocSearchable) {
	t.Helper()
	for subject, data := range d.Events {
		if strings.HasPrefix(subject, session.TypeDocSearchable) {
			var f session.DocSearchable
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b session.DocSearchable) int { return a.At.Compare(b.At) })
	return all
}

func proven(t *testing.T, d *pipelinetest.Desk, software string) {
	t.Helper()
	f, err := verify.Checker{
		Archive: d, Software: software, ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}.Session(t.Context(), "fax")
	if err != nil || len(f.Faults) > 0 || f.Orphans > 0 {
		t.Errorf("the archive is not right: %+v, %v", f, err)
	}
	for _, wrong := range d.Wrong {
		t.Error(wrong)
	}
}

// As soon as the last usable page has a text there is a PDF with the words of all of them, in whatever order texts and document come.
func TestAFaxBecomesSearchable(t *testing.T) {
	t.Parallel()
	for _, documentLast := range []bool{false, true} {
		d, doc := assembledDesk(t)
		s := d.SearchablesOf(t, "v1")
		deliver := func(event any) {
			t.Helper()
			if err := pipelinetest.Deliver(t.Context(), s, event); err != nil {
				t.Fatal(err)
			}
		}
		deliver(doc)
		deliver(d.Recognise(t, 2, "second page", morning))
		if n := len(searchables(t, d)); n != 0 {
			t.Fatalf("%d searchable documents of a fax whose page 1 has no text", n)
		}
		last := d.Recognise(t, 1, "Order 4711", morning.Add(time.Minute))
		if documentLast {
			deliver(doc)
		}
		deliver(last)
		all := searchables(t, d)
		if len(all) != 1 || all[0].Pages != 2 || all[0].Revision != 1 || !all[0].At.Equal(morning.Add(time.Minute)) {
			t.Fatalf("searchable documents: %+v", all)
		}
		path := filepath.Join(t.TempDir(), "searchable.pdf")
		if err := os.WriteFile(path, d.Objects[all[0].PDF.Key], 0o600); err != nil {
			t.Fatal(err)
		}
		pipelinetest.Judge(t, "qpdf", "qpdf", "--check", path)
		text := strings.Split(pipelinetest.Judge(t, "poppler-utils", "pdftotext", path, "-"), "\f")
		if len(text) != 4 || text[0] != "Order 4711\n\n" || text[1] != "second page\n\n" || !strings.Contains(text[2], "Page 3 is missing") {
			t.Errorf("the text of its pages is %q", text)
		}
		proven(t, d, "v1")
		proven(t, d, "v2")
	}
}

// counted counts the objects that are read of an archive.
type counted struct {
	archive.Store
	opened atomic.Int64
}

func (c *counted) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	c.opened.Add(1)
	return c.Store.Open(ctx, key)
}

// While pages have no text, a text of another page reads nothing, also that of the first page which had none: the manifest of a long fax is
// large, and its texts come one after another.
func TestATextReadsNothingWhileOthersAreMissing(t *testing.T) {
	t.Parallel()
	d, doc := assembledDesk(t)
	s := d.SearchablesOf(t, "v1")
	reads := &counted{Store: d}
	s.Archive = reads
	deliver := func(event any) {
		t.Helper()
		reads.opened.Store(0)
		if err := pipelinetest.Deliver(t.Context(), s, event); err != nil {
			t.Fatal(err)
		}
	}
	deliver(doc) // pages 1 and 2 have no text
	for range 2 {
		if deliver(d.Recognise(t, 1, "one", morning)); reads.opened.Load() > 0 {
			t.Errorf("%d objects are read for the text of page 1, while page 2 has none", reads.opened.Load())
		}
	}
	deliver(d.Recognise(t, 2, "two", morning))
	if n := len(searchables(t, d)); n != 1 {
		t.Errorf("%d searchable documents, when both pages have a text", n)
	}
}

// The images of the searchable document are those of the document, byte for byte, whatever program made the document.
func TestASearchableDocumentHasTheSameImages(t *testing.T) {
	t.Parallel()
	d, doc := assembledDesk(t)
	d.Recognise(t, 1, "one", morning)
	d.Recognise(t, 2, "two", morning)
	if err := pipelinetest.Deliver(t.Context(), d.SearchablesOf(t, "v2"), doc); err != nil {
		t.Fatal(err)
	}
	record, err := archive.ParseSearchable(d.Objects[searchables(t, d)[0].Record.Key], searchables(t, d)[0].Record.Key)
	if err != nil {
		t.Fatal(err)
	}
	var m archive.Manifest
	if err := json.Unmarshal(d.Objects[record.Manifest.Key], &m); err != nil {
		t.Fatal(err)
	}
	for i, p := range record.Pages {
		size := int64(m.Pages[i].StripSize)
		ours, theirs := d.Objects[record.PDF.Key][p.PDFOffset:][:size], d.Objects[m.PDF.Key][m.Pages[i].PDFOffset:][:size]
		if !bytes.Equal(ours, theirs) {
			t.Errorf("page %d has another strip", p.Page)
		}
	}
	proven(t, d, "v2")
}

// A better text waits until the texts rest, and then there is a second document, which counts. Without another text there is none.
func TestBetterTextsMakeItAgain(t *testing.T) {
	t.Parallel()
	d, doc := assembledDesk(t)
	s := d.SearchablesOf(t, "v1")
	deliver := func(event any) {
		t.Helper()
		if err := pipelinetest.Deliver(t.Context(), s, event); err != nil {
			t.Fatal(err)
		}
	}
	d.Recognise(t, 1, "Ordcr 471l", morning)
	d.Recognise(t, 2, "two", morning)
	deliver(doc)
	better := time.Now()
	deliver(d.Recognise(t, 1, "Order 4711", better))
	if len(d.Timers) != 1 || len(searchables(t, d)) != 1 || !d.Timers[0].Due.After(better.Add(59*time.Second)) {
		t.Fatalf("timers %v, %d documents", d.Timers, len(searchables(t, d)))
	}
	deliver(d.Timers[0]) // another text has come meanwhile
	if n := len(searchables(t, d)); n != 1 || len(d.Timers) != 2 {
		t.Fatalf("%d documents while texts come, and %d timers; want one that looks again, since this one may be the last", n, len(d.Timers))
	}
	deliver(d.Recognise(t, 1, "Order 4712", morning.Add(time.Hour))) // an older one does not count
	d.Recognise(t, 2, "two again", morning.Add(2*time.Hour))
	for key := range d.Objects { // that of now did not come
		if p, err := archive.ParseText(d.Objects[key]); err == nil && p.At.After(morning.Add(24*time.Hour)) {
			delete(d.Objects, key)
		}
	}
	for range 2 {
		deliver(d.Timers[0])
	}
	all := searchables(t, d)
	if len(all) != 2 {
		t.Fatalf("%d documents, want 2", len(all))
	}
	keys, err := archive.RevisionKeys(t.Context(), d, "fax")
	if err != nil {
		t.Fatal(err)
	}
	if counts, _, ok, err := archive.NewestSearchable(t.Context(), d, "fax", 1, keys); err != nil || !ok || counts.PDF != all[1].PDF {
		t.Errorf("%s counts, want %s; %v", counts.PDF.Key, all[1].PDF.Key, err)
	}
}

// Texts of another image of a page do not count, and no text of a fax without usable pages is waited for.
func TestTextsOfOtherImagesAreNotInTheDocument(t *testing.T) {
	t.Parallel()
	d, doc := assembledDesk(t)
	d.Recognise(t, 1, "one", morning)
	right := d.Pages[2]
	other := right
	other.RasterSHA256 = strings.Repeat("a", 64)
	d.Pages[2] = other
	wrong := d.Recognise(t, 2, "other", morning)
	d.Pages[2] = right
	s := d.SearchablesOf(t, "v1")
	for _, event := range []any{doc, wrong} {
		if err := pipelinetest.Deliver(t.Context(), s, event); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(searchables(t, d)); n != 0 {
		t.Fatal("it is searchable without the text of page 2")
	}
	if err := pipelinetest.Deliver(t.Context(), s, d.Recognise(t, 2, "two", morning)); err != nil || len(searchables(t, d)) != 1 {
		t.Errorf("%d documents, %v", len(searchables(t, d)), err)
	}
}

// Each write fails once, or fails though it was done; then the event comes again, and the archive is that of a process without a fault.
func TestASearchableDocumentHealsAtEveryWrite(t *testing.T) {
	t.Parallel()
	clean, doc := assembledDesk(t)
	texts := func(d *pipelinetest.Desk) {
		d.Recognise(t, 1, "one", morning)
		d.Recognise(t, 2, "two", morning)
	}
	texts(clean)
	if err := pipelinetest.Deliver(t.Context(), clean.SearchablesOf(t, "v1"), doc); err != nil {
		t.Fatal(err)
	}
	for at := range 3 {
		for _, persists := range []bool{false, true} {
			d, _ := assembledDesk(t)
			texts(d)
			writes := 0
			d.Before = func(string) (bool, bool) {
				writes++
				return persists || writes-1 != at, writes-1 == at
			}
			if err := pipelinetest.Deliver(t.Context(), d.SearchablesOf(t, "v1"), doc); !errors.Is(err, pipelinetest.ErrDesk) {
				t.Fatalf("write %d: %v", at, err)
			}
			if err := pipelinetest.Deliver(t.Context(), d.SearchablesOf(t, "v1"), doc); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(d.Objects, clean.Objects, bytes.Equal) || !maps.EqualFunc(d.Events, clean.Events, bytes.Equal) {
				t.Errorf("write %d, persists %t: archive or events are not those of a process without a fault", at, persists)
			}
			proven(t, d, "v1")
		}
	}
}
