package verify

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A text is known, and what somebody changes of it, moves or takes away is named.
func TestTextsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(d *pipelinetest.Desk, f session.TextRecognised)
		want    []FaultKind
		orphans int
	}{
		"nothing": {func(*pipelinetest.Desk, session.TextRecognised) {}, nil, 0},
		"another word": {func(d *pipelinetest.Desk, f session.TextRecognised) {
			d.Objects[f.Words.Key] = bytes.Replace(d.Objects[f.Words.Key], []byte("4711"), []byte("4712"), 1)
		}, []FaultKind{FaultText}, 1}, // nothing names the result any more
		"of another page": {func(d *pipelinetest.Desk, f session.TextRecognised) {
			d.Objects[f.Words.Key[:len("faxes/fax/text/")]+"0002"+f.Words.Key[len("faxes/fax/text/0001"):]] = d.Objects[f.Words.Key]
		}, []FaultKind{FaultText}, 0},
		"another result": {func(d *pipelinetest.Desk, f session.TextRecognised) {
			d.Objects[f.Result.Key] = []byte("Order 4712")
		}, []FaultKind{FaultAltered}, 0},
		"no result": {func(d *pipelinetest.Desk, f session.TextRecognised) { delete(d.Objects, f.Result.Key) }, []FaultKind{FaultMissing}, 0},
		"no words":  {func(d *pipelinetest.Desk, f session.TextRecognised) { delete(d.Objects, f.Words.Key) }, nil, 1},
	} {
		d := pipelinetest.OddDesk(t)
		f, _, err := (&ocr.Results{Facts: d, Archive: d}).Take(t.Context(), d.Pages[1], session.OCRResult{
			Engine: "tesseract", Format: "plain", Read: session.ReadPNG, Data: []byte("Order 4711"), At: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(d, f)
		checker := Checker{Archive: d, Software: "v1", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
		found, err := checker.Session(t.Context(), "fax")
		if err != nil {
			t.Fatal(err)
		}
		var kinds []FaultKind
		for _, fault := range found.Faults {
			kinds = append(kinds, fault.Kind)
		}
		if !slices.Equal(kinds, c.want) || found.Orphans != c.orphans {
			t.Errorf("%s: faults %v and %d orphans, want %v and %d", name, kinds, found.Orphans, c.want, c.orphans)
		}
	}
}
