package verify

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// searchableDesk is a fax with a searchable document, and the event of that.
func searchableDesk(t *testing.T) (*pipelinetest.Desk, session.DocSearchable) {
	t.Helper()
	d, order := pipelinetest.NewDesk(t)
	at := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, at); err != nil {
		t.Fatal(err)
	}
	d.Recognise(t, 1, "Order 4711", at)
	last := d.Recognise(t, 2, "of page two", at)
	if err := pipelinetest.Deliver(t.Context(), d.SearchablesOf(t, "v1"), last); err != nil {
		t.Fatal(err)
	}
	for subject, data := range d.Events {
		if strings.HasPrefix(subject, session.TypeDocSearchable) {
			var f session.DocSearchable
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			return d, f
		}
	}
	t.Fatal("there is no searchable document")
	return nil, session.DocSearchable{}
}

// replace writes a record and a document that somebody made, under the keys of their bytes.
func replace(t *testing.T, d *pipelinetest.Desk, f session.DocSearchable, change func(*archive.Searchable, []byte) []byte) {
	t.Helper()
	s, _, err := archive.LoadSearchable(t.Context(), d, f.Record.Key)
	if err != nil {
		t.Fatal(err)
	}
	pdf := change(&s, slices.Clone(d.Objects[s.PDF.Key]))
	delete(d.Objects, f.PDF.Key)
	delete(d.Objects, f.Record.Key)
	s.PDF.SHA256, s.PDF.Size = pipelinetest.SHA(pdf), int64(len(pdf))
	s.PDF.Key = archive.SearchableKey("fax", 1, s.PDF.SHA256[:16], "pdf")
	data, self, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.Objects[s.PDF.Key], d.Objects[self.Key] = pdf, data
}

// A searchable document is known, and what somebody changes of it, replaces or takes away is named.
func TestSearchableDocumentsAreChecked(t *testing.T) {
	t.Parallel()
	clean, f := searchableDesk(t)
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, d *pipelinetest.Desk)
		want    []FaultKind
		orphans int
	}{
		"nothing":     {func(*testing.T, *pipelinetest.Desk) {}, nil, 0},
		"no document": {func(_ *testing.T, d *pipelinetest.Desk) { delete(d.Objects, f.PDF.Key) }, []FaultKind{FaultMissing}, 0},
		"no record":   {func(_ *testing.T, d *pipelinetest.Desk) { delete(d.Objects, f.Record.Key) }, nil, 1},
		"another byte": {func(_ *testing.T, d *pipelinetest.Desk) {
			d.Objects[f.PDF.Key] = bytes.Replace(d.Objects[f.PDF.Key], []byte("%%EOF"), []byte("%%EOE"), 1)
		}, []FaultKind{FaultAltered}, 0},
		"another byte of the record": {func(_ *testing.T, d *pipelinetest.Desk) {
			d.Objects[f.Record.Key] = bytes.Replace(d.Objects[f.Record.Key], []byte("v1"), []byte("v2"), 1)
		}, []FaultKind{FaultAltered}, 1},
		"another document with its hash": {func(t *testing.T, d *pipelinetest.Desk) {
			replace(t, d, f, func(_ *archive.Searchable, pdf []byte) []byte { return append(pdf, '\n') })
		}, []FaultKind{FaultSearchable}, 0},
		"another strip with its hash, of another program": {func(t *testing.T, d *pipelinetest.Desk) {
			replace(t, d, f, func(s *archive.Searchable, pdf []byte) []byte {
				pdf[s.Pages[0].PDFOffset+5] ^= 1
				s.Software = "v0"
				return pdf
			})
		}, []FaultKind{FaultStrip}, 0},
		"a page less": {func(t *testing.T, d *pipelinetest.Desk) {
			replace(t, d, f, func(s *archive.Searchable, pdf []byte) []byte {
				s.Pages = s.Pages[:1]
				return pdf
			})
		}, []FaultKind{FaultSearchable}, 0},
		"the text of another page": {func(t *testing.T, d *pipelinetest.Desk) {
			replace(t, d, f, func(s *archive.Searchable, pdf []byte) []byte {
				s.Pages[0].Words = s.Pages[1].Words
				return pdf
			})
		}, []FaultKind{FaultSearchable}, 0},
		"bytes that are no record": {func(_ *testing.T, d *pipelinetest.Desk) {
			data := []byte("{}\n")
			delete(d.Objects, f.Record.Key)
			d.Objects[archive.SearchableKey("fax", 1, pipelinetest.SHA(data)[:16], "json")] = data
		}, []FaultKind{FaultUnreadable}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects)}
			c.spoil(t, d)
			found, err := Checker{
				Archive: d, Software: "v1", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
			}.Session(t.Context(), "fax")
			if err != nil {
				t.Fatal(err)
			}
			var kinds []FaultKind
			for _, fault := range found.Faults {
				kinds = append(kinds, fault.Kind)
			}
			if !slices.Equal(kinds, c.want) || found.Orphans != c.orphans {
				t.Errorf("%+v, %d orphans; want %v and %d", found.Faults, found.Orphans, c.want, c.orphans)
			}
		})
	}
}
