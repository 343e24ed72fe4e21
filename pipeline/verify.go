package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Report is what comparing the streamed pages of a revision with the whole file found, page by page.
type Report struct {
	Session  string         `json:"session"`
	Revision int            `json:"revision"`
	File     session.Object `json:"file"`  // the whole file
	Pages    []PageVerdict  `json:"pages"` // ascending
}

// What is said of one page.
const (
	verdictAgreed    = "agreed"    // the same pixels
	verdictRepaired  = "repaired"  // the streamed page has bad rows and the file's has fewer: that one is used
	verdictDiffers   = "differs"   // other pixels: the streamed page is used
	verdictUnchecked = "unchecked" // the file has no such page, or none that can be read
)

// PageVerdict compares one page.
type PageVerdict struct {
	Page     int                   `json:"page"`
	Verdict  string                `json:"verdict"`
	Reason   session.Reason        `json:"reason,omitempty"` // of an unchecked page
	Streamed PageImage             `json:"streamed"`
	File     *PageImage            `json:"file,omitempty"`
	Repair   *session.PageArchived `json:"repair,omitempty"` // of a repaired page: what is used
}

// PageImage names one image of a page.
type PageImage struct {
	Original     *session.Object `json:"original,omitempty"` // the archived page; of a page of the whole file only where it differs
	RasterSHA256 string          `json:"raster_sha256"`
	BadRows      int             `json:"bad_rows"`
}

// reasonDiffers marks a page whose two images differ, for metrics and people who watch.
const reasonDiffers session.Reason = "differs"

// compare judges streamed pages by the whole file's, keeps the report and tells the ledger. file is nil where the bytes are
// no TIFF that we can read.
func (w *worker) compare(ctx context.Context, t wholeTry, whole session.Object, file *tiff.File) error {
	facts, err := w.archived.PageFacts(ctx, t.order.Session, t.order.Compare)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	verdicts := map[int]PageVerdict{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * cap(w.decoder.slots))
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
	m, fl, err := w.decode(o, func() (image, *failure, error) { return w.decoder.pageOf(ctx, file, f.Page-1) })
	if err != nil || fl != nil {
		if fl != nil {
			v.Reason = fl.reason
		}
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
		_, _, err = w.facts.RecordFact(ctx, session.PageAmended{PageArchived: repair})
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
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("report on session %s: %w", t.order.Session, err)
	}
	data = append(data, '\n')
	sum := sha256.Sum256(data)
	fact.Report = object(revisionKey(t.order.Session, t.order.Revision, "verified."+hash16(sum)+".json"), int64(len(data)), sum)
	if _, err := createSum(ctx, w.archive, fact.Report.Key, data, sum); err != nil {
		return err
	}
	_, _, err = w.facts.RecordFact(ctx, fact)
	return err
}

// repair puts the whole file's images into the facts of an order where its reports say so.
func (a *assembler) repair(ctx context.Context, r session.DocReady, facts map[int]session.PageArchived) error {
	for _, repairs := range r.Repairs {
		data, err := readObject(ctx, a.archive, repairs.Report)
		if err != nil {
			return err
		}
		var report Report
		if err := json.Unmarshal(data, &report); err != nil {
			return fmt.Errorf("read %s: %w", repairs.Report.Key, err)
		}
		for _, v := range report.Pages {
			if v.Repair != nil && repairs.Pages.Has(v.Page) && r.Pages.Has(v.Page) {
				facts[v.Page] = *v.Repair
			}
		}
	}
	return nil
}
