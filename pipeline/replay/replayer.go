package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what replays need of JetStream.
type Bus interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Load returns the ledger of a session, also of one that only the archive has. If there is none, the ledger is new and its revision 0.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
}

// Replayer makes documents again from archived objects.
type Replayer struct {
	Bus     Bus
	Archive archive.Store
	Pages   intake.Pages
	Log     *slog.Logger
}

// order has the ledger make a new revision.
func (r *Replayer) order(ctx context.Context, f session.Again) error {
	_, _, err := r.Bus.RecordFact(ctx, f)
	return err
}

// Replay makes the document of a session again from archived objects. asked names the action in FAX_AUDIT.
//
// With session.ReplayAssemble the ledger makes a new revision in any case. Otherwise Replay decodes all originals of the newest revision
// with the present decoder. If pages have other pixels now, it amends them, archives a report and orders a new revision that uses them. If
// all pixels are the same, it orders nothing. An error is a bus.Dead if the archive has no such document; after other errors it may be
// repeated.
func (r *Replayer) Replay(ctx context.Context, a session.Action, asked string) error {
	f := session.Again{Session: a.Session, Asked: asked, Assemble: true}
	if a.Stage == session.ReplayAssemble {
		return r.order(ctx, f)
	}
	s, _, err := r.Bus.Load(ctx, a.Session) // if only the archive has the fax, the order below restores its ledger
	if err != nil {
		return deadIfGone(err)
	}
	revision := s.Revision()
	var plan archive.Plan
	ok, _, err := archive.LoadJSON(ctx, r.Archive, archive.RevisionKey(a.Session, revision, "plan.json"), &plan)
	if err != nil {
		return err
	}
	if !ok {
		err := fmt.Errorf("replay: the archive has no plan of session %s revision %d", a.Session, revision)
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	verdicts, err := r.decodePlan(ctx, plan)
	if err != nil {
		return err
	}
	r.Log.Info("originals decoded again", "session", a.Session, "pages", len(plan.Pages), "differ", len(verdicts))
	if len(verdicts) == 0 {
		return nil
	}
	if f.Repairs, err = r.report(ctx, plan, verdicts); err != nil {
		return err
	}
	return r.order(ctx, f)
}

// deadIfGone makes a dead letter of an error that a later delivery would meet again: the document is missing or unreadable.
func deadIfGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// decodePlan decodes the originals of a plan and returns the pages that have other pixels now, by page number.
func (r *Replayer) decodePlan(ctx context.Context, plan archive.Plan) (map[int]archive.PageVerdict, error) {
	var mu sync.Mutex
	verdicts := map[int]archive.PageVerdict{}
	group, inner := errgroup.WithContext(intake.WithClass(ctx, intake.Spare))
	group.SetLimit(2 * r.Pages.Decoder.AtOnce())
	for _, old := range plan.Pages {
		group.Go(func() error {
			now, err := r.decodeAgain(inner, old)
			if err != nil || now == nil {
				return err
			}
			if _, _, err := r.Bus.RecordFact(inner, session.PageAmended{PageArchived: *now}); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			verdicts[old.Page] = archive.PageVerdict{
				Page: old.Page, Verdict: archive.VerdictDecoded, Repair: now,
				Streamed: archive.PageImage{Original: &old.Original, RasterSHA256: old.RasterSHA256, BadRows: old.BadRows},
			}
			return nil
		})
	}
	return verdicts, group.Wait()
}

// decodeAgain returns the page as it is decoded now, nil if the pixels are the same. A page whose original is missing, altered or cannot
// be decoded any more stays as it is: the assembler reports it.
func (r *Replayer) decodeAgain(ctx context.Context, old session.PageArchived) (*session.PageArchived, error) {
	ctx, free := r.Pages.Decoder.Lease(ctx)
	defer free()
	b, err := r.Pages.Decoder.Read(ctx, r.Archive, old.Original)
	defer r.remove(b)
	if err != nil && archive.Lost(err) {
		r.Log.Error("an archived original is missing or altered: verify the fax", "session", old.Session, "page", old.Page, "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := intake.Origin{
		Session: old.Session, Page: old.Page, From: old.From, To: old.To, ToToken: old.ToToken,
		EventTime: old.EventTime, Source: old.Source, BodySHA256: old.BodySHA256,
	}
	m, err := r.Pages.Decode(ctx, o, func() (intake.Image, error) { return r.Pages.Decoder.PageIn(ctx, b) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		r.Log.Error("an archived original cannot be decoded any more", "key", old.Original.Key, "detail", f.Detail)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer m.Release()
	if m.SHA256 == old.RasterSHA256 {
		return nil, nil
	}
	now, err := r.Pages.ArchivePNG(ctx, o, old.Original, m)
	return &now, err
}

// remove gives back a file that is not needed any more.
func (r *Replayer) remove(b *intake.Body) {
	if err := b.Close(); err != nil {
		r.Log.Warn("a temporary file cannot be closed", "err", err)
	}
}

// report archives the pages that have other pixels now, for the assembler. Its key has the hash of its content: a repeat writes the same.
func (r *Replayer) report(ctx context.Context, plan archive.Plan, verdicts map[int]archive.PageVerdict) (*session.Repairs, error) {
	report := archive.Report{Session: plan.Session, Revision: plan.Revision, Pages: []archive.PageVerdict{}}
	repairs := &session.Repairs{Decoded: true}
	for _, f := range plan.Pages {
		if v, ok := verdicts[f.Page]; ok {
			report.Pages = append(report.Pages, v)
			repairs.Pages = repairs.Pages.Add(f.Page)
		}
	}
	var err error
	repairs.Report, err = archive.WriteReport(ctx, r.Archive, archive.ReportDecoded, report)
	return repairs, err
}
