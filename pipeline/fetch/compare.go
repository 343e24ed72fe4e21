package fetch

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// compare compares streamed pages with the pages of the whole file, archives the report and records the result. file is nil if the bytes
// are not a readable TIFF.
func (w *Worker) compare(ctx context.Context, t wholeTry, whole session.Object, file *tiff.File) error {
	ctx = intake.WithClass(ctx, intake.Spare)
	facts, err := w.bus.PageFacts(ctx, t.order.Session, t.order.Compare)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	verdicts := map[int]archive.PageVerdict{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * w.Decoder.AtOnce())
	for page := range t.order.Compare.All() {
		f, ok := facts[page]
		if !ok {
			continue // it is not in the stream any more
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

// judge compares one page with the same page of the file.
func (w *Worker) judge(ctx context.Context, o intake.Origin, f session.PageArchived, file *tiff.File) (archive.PageVerdict, error) {
	o.Page, o.EventTime, o.BodySHA256 = f.Page, f.EventTime, f.BodySHA256
	v := unchecked(f)
	switch {
	case file == nil:
		v.Reason = session.ReasonDamaged
		return v, nil
	case f.Page > file.NumPages():
		v.Reason = session.ReasonNotInFile
		return v, nil
	}
	same, err := w.same(ctx, f, file)
	if err != nil {
		return v, err
	}
	if same {
		v.File = &archive.PageImage{RasterSHA256: f.RasterSHA256, BadRows: f.BadRows}
		v.Verdict = archive.VerdictAgreed
		return v, nil
	}
	return w.judgeDecoded(ctx, o, f, file, v)
}

// unchecked is the verdict on a page before it is compared.
func unchecked(f session.PageArchived) archive.PageVerdict {
	return archive.PageVerdict{
		Page: f.Page, Verdict: archive.VerdictUnchecked,
		Streamed: archive.PageImage{Original: &f.Original, RasterSHA256: f.RasterSHA256, BadRows: f.BadRows},
	}
}

// judgeDecoded is judge for a page that is stored in another way in the file: it compares the pixels.
func (w *Worker) judgeDecoded(ctx context.Context, o intake.Origin, f session.PageArchived, file *tiff.File, v archive.PageVerdict) (
	archive.PageVerdict, error,
) {
	ctx, free := w.Decoder.Lease(ctx)
	defer free()
	if err := w.Decoder.Reserve(ctx, 2*intake.MemoryOf(f)); err != nil { // for both images, in case they differ
		return v, err
	}
	m, err := w.Decode(ctx, o, func() (intake.Image, error) { return w.Decoder.PageOf(ctx, file, f.Page-1) })
	if fl, failed := errors.AsType[*intake.Failure](err); failed {
		v.Reason = fl.Reason
		return v, nil
	}
	if err != nil {
		return v, err
	}
	defer m.Release()
	v.File = &archive.PageImage{RasterSHA256: m.SHA256, BadRows: m.CountBadRows()}
	if m.SHA256 == f.RasterSHA256 {
		v.Verdict = archive.VerdictAgreed
		return v, nil
	}
	// Both images are archived, so that a person can look at both: the page of the file as a file of its own.
	strip, err := m.Strip()
	if err != nil {
		return v, err
	}
	cut, err := w.archiveCut(ctx, o, m, strip)
	if err != nil {
		return v, err
	}
	v.File.Original = &cut
	v.Verdict = archive.VerdictDiffers
	if f.BadRows > v.File.BadRows {
		v.Verdict = archive.VerdictRepaired
		repair, err := w.ArchivePNG(ctx, o, cut, m)
		if err != nil {
			return v, err
		}
		v.Repair = &repair
		_, _, err = w.bus.RecordFact(ctx, session.PageAmended{PageArchived: repair})
		return v, err
	}
	return v, w.dispute(ctx, o, f, m, &v)
}

// dispute names the difference of two images of a page, and makes that of the file ready for a person to choose it.
func (w *Worker) dispute(ctx context.Context, o intake.Origin, f session.PageArchived, m intake.Image, v *archive.PageVerdict) error {
	body, err := w.Decoder.Read(ctx, w.Archive, f.Original)
	if err != nil && !archive.Lost(err) {
		return err
	}
	defer w.remove(body)
	v.Difference = string(raster.Other)
	if err == nil {
		streamed, err := w.Decode(ctx, o, func() (intake.Image, error) { return w.Decoder.PageIn(ctx, body) })
		if _, failed := errors.AsType[*intake.Failure](err); err != nil && !failed {
			return err
		}
		if err == nil {
			defer streamed.Release()
			v.Difference = string(raster.Compare(streamed.Raster, m.Raster))
		}
	}
	if v.Difference == string(raster.Same) { // gray or colour pages with the same black and white
		v.Difference = string(raster.Other)
	}
	alternative, err := w.ArchivePNG(ctx, o, *v.File.Original, m)
	if err != nil {
		return err
	}
	v.Alternative, v.Kept = &alternative, &f
	w.Observe(ctx, stage.Step{Stage: stage.Verify, Session: o.Session, Page: f.Page, Reason: session.ReasonDiffers})
	w.log.Error("a streamed page and the same page of the whole file differ: look at both and choose one with `faxstream choose`",
		"session", o.Session, "page", f.Page, "difference", v.Difference, "streamed", f.Original.Key, "file", v.File.Original.Key)
	return nil
}

// publishVerdicts archives the report and records its summary.
func (w *Worker) publishVerdicts(ctx context.Context, t wholeTry, whole session.Object, verdicts map[int]archive.PageVerdict) error {
	fact := session.DocVerified{
		Session: t.order.Session, ToToken: t.origin.ToToken, Revision: t.order.Revision, N: t.order.N,
		File: whole, Compared: t.order.Compare, At: t.now,
	}
	report := archive.Report{Session: t.order.Session, Revision: t.order.Revision, File: whole, Pages: []archive.PageVerdict{}}
	for page := range t.order.Compare.All() {
		v, ok := verdicts[page]
		if !ok {
			continue
		}
		report.Pages = append(report.Pages, v)
		switch v.Verdict {
		case archive.VerdictAgreed:
			fact.Agreed = fact.Agreed.Add(page)
		case archive.VerdictRepaired:
			fact.Repaired = fact.Repaired.Add(page)
		case archive.VerdictDiffers:
			fact.Differing = fact.Differing.Add(page)
			if fact.Differences == nil {
				fact.Differences = map[string]session.Ranges{}
			}
			fact.Differences[v.Difference] = fact.Differences[v.Difference].Add(page)
		}
	}
	var err error
	if fact.Report, err = archive.WriteReport(ctx, w.Archive, archive.ReportVerified, report); err != nil {
		return err
	}
	_, _, err = w.bus.RecordFact(ctx, fact)
	return err
}
