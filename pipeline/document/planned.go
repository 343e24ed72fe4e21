package document

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// planned is the plan of a revision.
type planned struct {
	archive.Plan
	key  string
	data []byte // as archived; nil: it is not archived yet
}

func (p planned) object() session.Object {
	return archive.NewObject(p.key, int64(len(p.data)), sha256.Sum256(p.data))
}

// plan reads the revision's plan. If there is none, it makes one, which is not archived yet.
func (a *Assembler) plan(ctx context.Context, r session.DocReady, ordered time.Time) (p planned, err error) {
	p.key = archive.RevisionKey(r.Session, r.Revision, "plan.json")
	done, data, err := archive.LoadJSON(ctx, a.Archive, p.key, &p.Plan)
	if p.data = data; err != nil || done {
		return p, err
	}
	facts, err := a.pageFacts(ctx, r)
	if err != nil {
		return p, err
	}
	if err := a.repair(ctx, r, facts); err != nil {
		return p, err
	}
	p.Plan, err = archive.NewPlan(r, facts, ordered)
	return p, err
}

// build makes the documents of a plan, and archives the plan in the meantime if that is necessary: the documents are in private files
// until then. If another plan of this revision was first, it makes the documents of that one. It returns the plan that counts.
func (a *Assembler) build(ctx context.Context, p planned) (*Documents, planned, error) {
	builder := a.Builder
	builder.begin = archive.BatcherOf(a.Archive).Begin
	if p.data != nil {
		d, err := builder.Build(ctx, p.Plan, p.object())
		return d, p, err
	}
	first, ours := p, []byte(nil)
	all, inner := errgroup.WithContext(ctx)
	all.Go(func() (err error) {
		if ours, err = archive.IndentJSON(p.Plan); err != nil {
			return fmt.Errorf("write %s: %w", p.key, err)
		}
		first.data, err = archive.CommitJSON(inner, a.Archive, p.key, ours, &first.Plan)
		return err
	})
	d, err := builder.Build(inner, p.Plan, session.Object{})
	failed := all.Wait()
	if err == nil && failed == nil && bytes.Equal(first.data, ours) {
		d.Manifest.Plan = first.object()
		return d, first, nil
	}
	if err == nil {
		failed = errors.Join(failed, d.Remove())
	}
	switch {
	case failed != nil:
		return nil, first, failed
	case bytes.Equal(first.data, ours):
		return nil, first, err
	}
	return a.build(ctx, first)
}

// pageFacts returns the facts of the ordered pages. Facts that are not in FAX_PAGES any more come from the plan of the previous revision.
func (a *Assembler) pageFacts(ctx context.Context, r session.DocReady) (map[int]session.PageArchived, error) {
	facts, err := a.Facts.PageFacts(ctx, r.Session, r.Pages)
	if err != nil || len(facts) == r.Pages.Len() || r.Previous == 0 {
		return facts, err
	}
	var previous archive.Plan
	if _, _, err := archive.LoadJSON(ctx, a.Archive, archive.RevisionKey(r.Session, r.Previous, "plan.json"), &previous); err != nil {
		return nil, err
	}
	for _, f := range previous.Pages {
		if _, ok := facts[f.Page]; !ok && r.Pages.Has(f.Page) {
			facts[f.Page] = f
		}
	}
	return facts, nil
}

// repair replaces facts of an order by the repairs in its reports, and then by what people chose: a fact that was restored from the archive
// may have either image.
func (a *Assembler) repair(ctx context.Context, r session.DocReady, facts map[int]session.PageArchived) error {
	for _, repairs := range r.Repairs {
		report, err := archive.ReadReport(ctx, a.Archive, repairs.Report)
		if err != nil {
			return err
		}
		for _, v := range report.Pages {
			if image := v.Image(); image != nil && repairs.Pages.Has(v.Page) && r.Pages.Has(v.Page) {
				facts[v.Page] = *image
			}
		}
	}
	for _, c := range r.Choices {
		report, err := archive.ReadReport(ctx, a.Archive, c.Report)
		if err != nil {
			return err
		}
		for _, v := range report.Pages {
			if image := v.Chosen(c.Image); image != nil && v.Page == c.Page && r.Pages.Has(c.Page) {
				facts[c.Page] = *image
			}
		}
	}
	return nil
}
