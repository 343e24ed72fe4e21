package document_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// rasterOf decodes page i of a TIFF, from 0, as it is stored.
func rasterOf(t *testing.T, data []byte, i int) *raster.Page {
	t.Helper()
	file, err := tiff.Parse(data, tiff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := intake.NewDecoder(1).PageOf(t.Context(), file, i)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raster
}

// Pages that are not turned have the bytes of the revision; a turned page has its pixels in another place. libtiff, qpdf and poppler read
// the documents, and verify proves them, also a program of another version.
func TestADerivedDocumentHasTheChosenPages(t *testing.T) {
	t.Parallel()
	d, doc := assembledDesk(t)
	order := session.Derivation{Revision: 1, Pages: session.Span(1, 3), Right: session.Span(2, 2)}
	if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v1"), 7, order); err != nil {
		t.Fatal(err)
	}
	made := d.Derived(t)
	record, err := archive.ParseDerived(d.Objects[made.Record.Key], made.Record.Key)
	if err != nil {
		t.Fatal(err)
	}
	if record.By != "ada" || record.Manifest != doc.Manifest || len(record.Pages) != 3 || record.Pages[2].Reason == "" {
		t.Errorf("the record is %+v", record)
	}
	source, ours := d.Objects[doc.TIFF.Key], d.Objects[made.TIFF.Key]
	strip := record.Pages[0]
	if !bytes.Contains(source, ours[strip.TIFFOffset:][:strip.StripSize]) || strip.StripSHA256 != strip.Source {
		t.Error("the page that is not turned has other bytes")
	}
	before, after := rasterOf(t, source, 1), rasterOf(t, ours, 1)
	if back := after.Upright(8); back.SHA256() != before.SHA256() || after.SHA256() == before.SHA256() {
		t.Error("turned back, the turned page has other pixels")
	}
	for y := range 50 { // the first rows are seen at the right
		for x := range before.Width {
			if black(before, x, y) != black(after, after.Width-1-y, x) {
				t.Fatalf("pixel %d, %d is not at the right", x, y)
			}
		}
	}
	dir := t.TempDir()
	pdf, tif := filepath.Join(dir, "derived.pdf"), filepath.Join(dir, "derived.tiff")
	if err := errors.Join(os.WriteFile(pdf, d.Objects[made.PDF.Key], 0o600), os.WriteFile(tif, ours, 0o600)); err != nil {
		t.Fatal(err)
	}
	pipelinetest.Judge(t, "qpdf", "qpdf", "--check", pdf)
	text := pipelinetest.Judge(t, "poppler-utils", "pdftotext", pdf, "-")
	if !strings.Contains(text, "Page 3 is missing") {
		t.Errorf("the missing page has no sheet: %q", text)
	}
	info := pipelinetest.Judge(t, "libtiff-tools", "tiffinfo", tif)
	sizes := regexp.MustCompile(`Image Width: (\d+) Image Length: (\d+)`).FindAllStringSubmatch(info, -1)
	if len(sizes) != 2 || sizes[1][1] != fmt.Sprint(before.Height) || sizes[1][2] != fmt.Sprint(before.Width) {
		t.Errorf("libtiff reads pages of %v, want the second one turned: %s", sizes, info)
	}
	proven(t, d, "v1")
	proven(t, d, "v2")
}

func black(p *raster.Page, x, y int) bool { return p.Row(y)[x/8]>>(7-x%8)&1 != 0 }

// Each write fails once, or fails though it was done; then the order comes again, and the archive is that of a process without a fault.
func TestADerivedDocumentHealsAtEveryWrite(t *testing.T) {
	t.Parallel()
	order := session.Derivation{Revision: 1, Pages: session.Span(1, 2), Over: session.Span(1, 1)}
	clean, _ := assembledDesk(t)
	if err := pipelinetest.Derive(t.Context(), clean.DerivingOf(t, "v1"), 1, order); err != nil {
		t.Fatal(err)
	}
	for at := range 4 {
		for _, persists := range []bool{false, true} {
			d, _ := assembledDesk(t)
			writes := 0
			d.Before = func(string) (bool, bool) {
				writes++
				return persists || writes-1 != at, writes-1 == at
			}
			if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v1"), 1, order); !errors.Is(err, pipelinetest.ErrDesk) {
				t.Fatalf("write %d: %v", at, err)
			}
			if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v1"), 1, order); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(d.Objects, clean.Objects, bytes.Equal) || !maps.EqualFunc(d.Events, clean.Events, bytes.Equal) {
				t.Errorf("write %d, persists %t: archive or events are not those of a process without a fault", at, persists)
			}
			proven(t, d, "v1")
		}
	}
}

// An order that is delivered again, after an update of the program too, and an order of somebody else for the same pages make no second
// document.
func TestAnOrderMakesOneDocument(t *testing.T) {
	t.Parallel()
	d, _ := assembledDesk(t)
	order := session.Derivation{Revision: 1, Pages: session.Span(1, 1)}
	for _, software := range []string{"v1", "v2"} {
		if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, software), 1, order); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v2"), 2, order); err != nil {
		t.Fatal(err)
	}
	d.Derived(t)
	order.Over = session.Span(1, 1)
	if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v2"), 3, order); err != nil {
		t.Fatal(err)
	}
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(d.Objects)), func(key string) bool { return !archive.IsDerived(key) })
	if len(keys) != 2 {
		t.Errorf("two documents have the records %v", keys)
	}
}

// An order that can never be carried out is a dead letter that says why, and nothing is written.
func TestWhatCannotBeDerivedIsADeadLetter(t *testing.T) {
	t.Parallel()
	clean, doc := assembledDesk(t)
	for _, c := range []struct {
		name  string
		order session.Derivation
		spoil func(objects map[string][]byte)
		want  session.Reason
		text  string
	}{
		{"no page", session.Derivation{Revision: 1}, nil, session.ReasonBadRequest, "no page"},
		{"another revision", session.Derivation{Revision: 2, Pages: session.Span(1, 1)}, nil, session.ReasonBadRequest, "r2/manifest.json"},
		{"a page beyond", session.Derivation{Revision: 1, Pages: session.Span(1, 4)}, nil, session.ReasonBadRequest, "page 4"},
		{"missing pages only", session.Derivation{Revision: 1, Pages: session.Span(3, 3)}, nil, session.ReasonBadRequest, "usable"},
		{
			"an altered document", session.Derivation{Revision: 1, Pages: session.Span(1, 1)}, func(objects map[string][]byte) {
				pdf := bytes.Clone(objects[doc.PDF.Key])
				for i := range pdf {
					pdf[i] ^= 1
				}
				objects[doc.PDF.Key] = pdf
			}, session.ReasonLost, doc.PDF.Key,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &pipelinetest.Desk{Objects: maps.Clone(clean.Objects), Events: map[string][]byte{}}
			if c.spoil != nil {
				c.spoil(d.Objects)
			}
			objects := len(d.Objects)
			v := d.DerivingOf(t, "v1")
			err := pipelinetest.Derive(t.Context(), v, 1, c.order)
			dead, ok := errors.AsType[bus.Dead](err)
			if c.want == session.ReasonLost && !ok { // it is tried some times before
				return
			}
			if !ok || dead.Reason != c.want || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want a dead letter with reason %s and %q", err, c.want, c.text)
			}
			if len(d.Objects) != objects || len(d.Events) > 0 {
				t.Error("something was written")
			}
		})
	}
}
