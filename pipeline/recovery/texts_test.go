package recovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// recognise archives a text of page 1 of "fax".
func recognise(t *testing.T, d *pipelinetest.Desk) session.TextRecognised {
	t.Helper()
	f, _, err := (&ocr.Results{Facts: d, Archive: d}).Take(t.Context(), d.Pages[1], session.OCRResult{
		Engine: "tesseract", Format: "plain", Read: session.ReadPNG, Data: []byte("Order 4711"), At: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Texts are published again after a loss of JetStream, of a fax with a document and of an open one. One that is damaged is named, and the
// fax is there without it.
func TestARebuildBringsTextsBack(t *testing.T) {
	for _, assembled := range []bool{true, false} {
		d := pipelinetest.OddDesk(t)
		if !assembled {
			d, _ = pipelinetest.NewDesk(t)
		}
		f := recognise(t, d)
		b := blank(d)
		done := b.rebuild(t)
		if _, ok := b.facts[f.Subject()]; !ok || len(done.Broken) > 0 {
			t.Errorf("assembled %t: rebuilt %+v, facts %v", assembled, done, b.facts)
		}
		d.Objects[f.Words.Key] = []byte(strings.Replace(string(d.Objects[f.Words.Key]), "4711", "4712", 1))
		b = blank(d)
		done = b.rebuild(t)
		if _, ok := b.facts[f.Subject()]; ok || !slices.Equal(done.Broken, []string{"fax"}) || done.Faxes+done.Open < 1 {
			t.Errorf("assembled %t, with a damaged text: rebuilt %+v, facts %v", assembled, done, b.facts)
		}
		if _, err := archive.ParseText(d.Objects[f.Words.Key]); !archive.Broken(err) {
			t.Error(err)
		}
	}
}

// The events of searchable and derived documents are published again as they were.
func TestARebuildBringsMadeDocumentsBack(t *testing.T) {
	d := pipelinetest.OddDesk(t)
	at := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	var last session.TextRecognised
	for page := range d.Pages {
		last = d.Recognise(t, page, "some words", at)
	}
	if err := pipelinetest.Deliver(t.Context(), d.SearchablesOf(t, "v1"), last); err != nil {
		t.Fatal(err)
	}
	derivation := session.Derivation{Revision: 1, Pages: session.Span(1, 1)}
	if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v1"), 1, derivation); err != nil {
		t.Fatal(err)
	}
	b := blank(d)
	b.rebuild(t)
	n := 0
	for subject := range d.Events { // the hash of the record is in the subject
		if strings.HasPrefix(subject, session.TypeDocSearchable) || strings.HasPrefix(subject, session.TypeDocDerived) {
			n++
			if _, ok := b.facts[subject]; !ok {
				t.Errorf("%s is not published again: %v", subject, b.facts)
			}
		}
	}
	if n != 2 {
		t.Errorf("there are %d searchable and derived documents, want 2", n)
	}
}
