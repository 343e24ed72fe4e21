package pipeline

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// reasonDiffers marks a page whose two images differ, for metrics and people who watch.
const reasonDiffers session.Reason = "differs"

// compare judges streamed pages by the whole file's, keeps the report and tells the ledger. file is nil where the bytes are
// no TIFF that we can read.
func (w *worker) compare(ctx context.Context, t wholeTry, whole session.Object, file *tiff.File) error {
	facts, err := w.bus.PageFacts(ctx, t.order.Session, t.order.Compare)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	verdicts := map[int]PageVerdict{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * w.decoder.atOnce())
	for page := range t.order.Compare.All() {
		f, ok := facts[page]
		if !ok {
			continue // no longer in the stream
		}
		group.Go(func() error {
			v, err := w.judge(inner, t.origin, f, file)
			mu.Lock()
			defer mu.Unlock()
			verdicts[page] = v
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.publishVerdicts(ctx, t, whole, verdicts)
}

// judge compares one page.
func (w *worker) judge(ctx context.Context, o origin, f session.PageArchived, file *tiff.File) (PageVerdict, error) {
	o.page, o.eventTime, o.body = f.Page, f.EventTime, f.BodySHA256
	v := PageVerdict{
		Page: f.Page, Verdict: verdictUnchecked,
		Streamed: PageImage{Original: &f.Original, RasterSHA256: f.RasterSHA256, BadRows: f.BadRows},
	}
	switch {
	case file == nil:
		v.Reason = session.ReasonDamaged
		return v, nil
	case f.Page > file.NumPages():
		v.Reason = session.ReasonNotInFile
		return v, nil
	}
	m, err := w.decode(o, func() (image, error) { return w.decoder.pageOf(ctx, file, f.Page-1) })
	if fl, failed := errors.AsType[*failure](err); failed {
		v.Reason = fl.reason
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v.File = &PageImage{RasterSHA256: m.sum, BadRows: badRows(m)}
	if m.sum == f.RasterSHA256 {
		v.Verdict = verdictAgreed
		return v, nil
	}
	// Both images are kept: the file's as a page of its own, so that a person can look at the two.
	kept, err := w.keepCut(ctx, o, m)
	if err != nil {
		return v, err
	}
	v.File.Original = &kept
	v.Verdict = verdictDiffers
	if f.BadRows > v.File.BadRows {
		v.Verdict = verdictRepaired
		repair, err := w.withPNG(ctx, o, kept, m)
		if err != nil {
			return v, err
		}
		v.Repair = &repair
		_, _, err = w.bus.RecordFact(ctx, session.PageAmended{PageArchived: repair})
		return v, err
	}
	w.observe(Step{Stage: stageVerify, Session: o.session, Page: f.Page, Reason: reasonDiffers})
	w.log.Error("a streamed page and the same page of the whole file differ: the streamed one is used, both are kept",
		"session", o.session, "page", f.Page, "streamed", f.Original.Key, "file", kept.Key)
	return v, nil
}

// publishVerdicts archives the report and records its sum.
func (w *worker) publishVerdicts(ctx context.Context, t wholeTry, whole session.Object, verdicts map[int]PageVerdict) error {
	fact := session.DocVerified{
		Session: t.order.Session, ToToken: t.origin.toToken, Revision: t.order.Revision, N: t.order.N,
		File: whole, Compared: t.order.Compare, At: t.now,
	}
	report := Report{Session: t.order.Session, Revision: t.order.Revision, File: whole, Pages: []PageVerdict{}}
	for page := range t.order.Compare.All() {
		v, ok := verdicts[page]
		if !ok {
			continue
		}
		report.Pages = append(report.Pages, v)
		switch v.Verdict {
		case verdictAgreed:
			fact.Agreed = fact.Agreed.Add(page)
		case verdictRepaired:
			fact.Repaired = fact.Repaired.Add(page)
		case verdictDiffers:
			fact.Differing = fact.Differing.Add(page)
		}
	}
	var err error
	if fact.Report, err = writeReport(ctx, w.archive, reportVerified, report); err != nil {
		return err
	}
	_, _, err = w.bus.RecordFact(ctx, fact)
	return err
}
