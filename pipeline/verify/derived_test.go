package verify

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// derivedDesk is a fax with a derived document, and the event of that.
func derivedDesk(t *testing.T) (*pipelinetest.Desk, session.DocDerived) {
	t.Helper()
	d, order := pipelinetest.NewDesk(t)
	at := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), order, at); err != nil {
		t.Fatal(err)
	}
	derivation := session.Derivation{Revision: 1, Pages: session.Span(1, 2), Left: session.Span(2, 2)}
	if err := pipelinetest.Derive(t.Context(), d.DerivingOf(t, "v1"), 1, derivation); err != nil {
		t.Fatal(err)
	}
	return d, d.Derived(t)
}

// forge writes a record and documents that somebody made, under the keys of their bytes.
func forge(t *testing.T, d *pipelinetest.Desk, f session.DocDerived, change func(r *archive.Derived, pdf, tiff []byte)) {
	t.Helper()
	r, _, err := archive.LoadDerived(t.Context(), d, f.Record.Key)
	if err != nil {
		t.Fatal(err)
	}
	pdf, tiff := slices.Clone(d.Objects[f.PDF.Key]), slices.Clone(d.Objects[f.TIFF.Key])
	change(&r, pdf, tiff)
	for _, key := range []string{f.Record.Key, f.PDF.Key, f.TIFF.Key} {
		delete(d.Objects, key)
	}
	store := func(kind string, data []byte) session.Object {
		sum := pipelinetest.SHA(data)
		o := session.Object{Key: archive.DerivedKey("fax", 1, sum[:16], kind), Size: int64(len(data)), SHA256: sum}
		d.Objects[o.Key] = data
		return o
	}
	r.PDF, r.TIFF = store("pdf", pdf), store("tiff", tiff)
	data, self, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.Objects[self.Key] = data
}

// A derived document is known, and what somebody changes of it, replaces or takes away is named, also if the hashes are changed with it.
func TestDerivedDocumentsAreChecked(t *testing.T) {
	t.Parallel()
	clean, f := derivedDesk(t)
	for _, c := range []struct {
		name    string
		spoil   func(t *testing.T, d *pipelinetest.Desk)
		want    []FaultKind
		orphans int
	}{
		{"nothing", func(*testing.T, *pipelinetest.Desk) {}, nil, 0},
		{"no document", func(_ *testing.T, d *pipelinetest.Desk) { delete(d.Objects, f.PDF.Key) }, []FaultKind{FaultMissing}, 0},
		{"no record", func(_ *testing.T, d *pipelinetest.Desk) { delete(d.Objects, f.Record.Key) }, nil, 2},
		{"another byte", func(_ *testing.T, d *pipelinetest.Desk) {
			d.Objects[f.PDF.Key] = bytes.Replace(d.Objects[f.PDF.Key], []byte("%%EOF"), []byte("%%EOE"), 1)
		}, []FaultKind{FaultAltered}, 0},
		{"another byte, with its hash", func(t *testing.T, d *pipelinetest.Desk) {
			forge(t, d, f, func(_ *archive.Derived, pdf, _ []byte) { pdf[len(pdf)-2] = 'E' })
		}, []FaultKind{FaultDerived}, 0},
		{"another strip, with its hash, of another program", func(t *testing.T, d *pipelinetest.Desk) {
			forge(t, d, f, func(r *archive.Derived, pdf, _ []byte) {
				pdf[r.Pages[0].PDFOffset+5] ^= 1
				r.Software = "v0"
			})
		}, []FaultKind{FaultStrip}, 0},
		{"other pixels of a turned page, with all hashes, of another program", func(t *testing.T, d *pipelinetest.Desk) {
			forge(t, d, f, func(r *archive.Derived, pdf, tiff []byte) {
				p := &r.Pages[1]
				tiff[p.TIFFOffset+20] ^= 0x10
				pdf[p.PDFOffset+20] ^= 0x10
				p.StripSHA256 = pipelinetest.SHA(tiff[p.TIFFOffset:][:p.StripSize])
				r.Software = "v0"
			})
		}, []FaultKind{FaultPixels}, 0},
		{"another turn", func(t *testing.T, d *pipelinetest.Desk) {
			forge(t, d, f, func(r *archive.Derived, _, _ []byte) { r.Order.Left, r.Order.Right = nil, r.Order.Left })
		}, []FaultKind{FaultDerived}, 0},
		{"a page that is not there", func(t *testing.T, d *pipelinetest.Desk) {
			forge(t, d, f, func(r *archive.Derived, _, _ []byte) { r.Order.Pages = session.Span(1, 3) })
		}, []FaultKind{FaultDerived}, 0},
		{"bytes that are no record", func(_ *testing.T, d *pipelinetest.Desk) {
			data := []byte("{}\n")
			delete(d.Objects, f.Record.Key)
			d.Objects[archive.DerivedKey("fax", 1, pipelinetest.SHA(data)[:16], "json")] = data
		}, []FaultKind{FaultUnreadable}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
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
