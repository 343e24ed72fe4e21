package document_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// differing has a fax in revision 1 and a report that found another image of page 1 in the whole file. It returns orders of the
// next revision with a choice, and the event of the image of the file.
func differing(t *testing.T) (d *pipelinetest.Desk, choose func(revision int, image string) session.DocReady, want session.PageAmended) {
	t.Helper()
	d, first := pipelinetest.NewDesk(t)
	assembleOn(t, d, first)
	kept, other := d.Pages[1], imageOf(t, d, "letter-fine-g4.tiff")
	report, err := archive.WriteReport(t.Context(), d, archive.ReportVerified, archive.Report{
		Session: "fax", Revision: 1, File: session.Object{Key: "faxes/fax/whole.tiff"}, Pages: []archive.PageVerdict{{
			Page: 1, Verdict: archive.VerdictDiffers, Streamed: archive.PageImage{Original: &kept.Original}, Kept: &kept, Alternative: &other,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, func(revision int, image string) session.DocReady {
		r := first
		r.Revision, r.Previous = revision, revision-1
		r.Choices = []session.Choice{{Page: 1, Image: image, By: "ada", Why: "I looked", Report: report}}
		if image == session.ImageFile {
			r.Repairs = []session.Repairs{{Report: report, Pages: session.Span(1, 1), Chosen: true}}
		}
		return r
	}, session.PageAmended{PageArchived: other}
}

// imageOf archives a file as an image of page 1.
func imageOf(t *testing.T, d *pipelinetest.Desk, name string) session.PageArchived {
	t.Helper()
	p := intake.Pages{Facts: d, Archive: d, Decoder: intake.NewDecoder(1), Observe: func(context.Context, stage.Step) {}}
	o := intake.Origin{Session: "fax", Page: 1, ToToken: "15550100", Source: session.SourceWholeFile}
	data := pipelinetest.Testdata(t, name)
	cut, err := pipelinetest.ArchiveOriginal(t.Context(), &p, o, data, archive.KindCut)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Decoder.Page(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.ArchivePNG(t.Context(), o, cut, m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func assembleOn(t *testing.T, d *pipelinetest.Desk, r session.DocReady) {
	t.Helper()
	if err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), r, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func subjects(d *pipelinetest.Desk) []string { return slices.Sorted(maps.Keys(d.Events)) }

// Whoever reads pages hears of the image of the whole file when a person chooses it, and of nothing when a person keeps the streamed one
// or when another revision has the same choice.
func TestAChosenImageIsAnAmendedPage(t *testing.T) {
	t.Parallel()
	d, choose, want := differing(t)
	assembleOn(t, d, choose(2, session.ImageStreamed))
	if _, told := d.Events[want.Subject()]; told || len(d.Events) != 2 {
		t.Errorf("the streamed image was chosen, and the events are %q", subjects(d))
	}
	assembleOn(t, d, choose(3, session.ImageFile))
	var got session.PageAmended
	if err := json.Unmarshal(d.Events[want.Subject()], &got); err != nil || got.PNG != want.PNG || got.Page != 1 || len(d.Events) != 4 {
		t.Fatalf("the image of the file was chosen, and the events are %q (%v)", subjects(d), err)
	}
	delete(d.Events, want.Subject()) // as after 30 days
	assembleOn(t, d, choose(4, session.ImageFile))
	if _, told := d.Events[want.Subject()]; told {
		t.Error("an image that was chosen before is told again")
	}
	for _, wrong := range d.Wrong {
		t.Error(wrong)
	}
}

// The event of a chosen image is there whichever write of its revision failed.
func TestAChosenImageIsToldAfterEveryCrash(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		d, choose, want := differing(t)
		var writes atomic.Int64 // some run in parallel
		d.Before = func(string) (persist, fail bool) {
			return at%2 == 0, writes.Add(1) == int64(at+1)/2
		}
		err := pipelinetest.Assemble(t.Context(), d.AssemblerOf(t, "v1"), choose(2, session.ImageFile), time.Now())
		if n := writes.Load(); err == nil && n < int64(at+1)/2 {
			if at < 8 {
				t.Fatalf("a revision has only %d writes", n)
			}
			return
		}
		if !errors.Is(err, pipelinetest.ErrDesk) {
			t.Fatalf("write %d: %v", (at+1)/2, err)
		}
		d.Before = nil
		assembleOn(t, d, choose(2, session.ImageFile))
		if _, told := d.Events[want.Subject()]; !told || len(d.Events) != 3 {
			t.Errorf("write %d failed, persists %t: the events are %q", (at+1)/2, at%2 == 0, subjects(d))
		}
	}
}
