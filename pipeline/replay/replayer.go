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
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what replays need of JetStream.
type Bus interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was. It may be repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Load gives a new ledger, revision 0, for a session that has none.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
}

// Replayer makes documents again from what is archived.
type Replayer struct {
	Bus     Bus
	Archive archive.Store
	Pages   intake.Pages
	Log     *slog.Logger
}

// order tells the ledger to make a new revision.
func (r *Replayer) order(ctx context.Context, f session.Again) error {
	_, _, err := r.Bus.RecordFact(ctx, f)
	return err
}

// Replay makes a document again from what is archived; nothing is fetched.
//
// Decoding: every original of the newest revision goes through the present decoder. Pages that come out otherwise are amended, and a
// report like those of the comparison with the whole file tells the next revision to use them. Without one there is no new revision.
func (r *Replayer) Replay(ctx context.Context, a session.Action, asked string) error {
	f := session.Again{Session: a.Session, Asked: asked, Assemble: true}
	if a.Stage == session.ReplayAssemble {
		return r.order(ctx, f)
	}
	s, _, err := r.Bus.Load(ctx, a.Session)
	if err != nil {
		return err
	}
	revision := s.Revision()
	if s.Opened.IsZero() { // only the archive knows it; the order below brings its ledger back
		old, _, err := recovery.Catalog{Archive: r.Archive}.Fax(ctx, a.Session)
		if err != nil {
			return deadIfGone(err)
		}
		revision = old.Revision()
	}
	var plan archive.Plan
	ok, _, err := archive.LoadJSON(ctx, r.Archive, archive.RevisionKey(a.Session, revision, "plan.json"), &plan)
	if err != nil {
		return err
	}
	if !ok {
		return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("session %s has no plan of revision %d in the archive", a.Session, revision)}
	}
	verdicts, err := r.decodePlan(ctx, plan)
	if err != nil {
		return err
	}
	r.Log.Info("originals decoded again", "session", a.Session, "pages", len(plan.Pages), "differ", len(verdicts))
	if len(verdicts) == 0 {
		return nil
	}
	if f.Repairs, err = r.report(ctx, plan, verdicts, asked); err != nil {
		return err
	}
	return r.order(ctx, f)
}

// deadIfGone: no later delivery finds in the archive what is not there, or makes it readable.
func deadIfGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// decodePlan decodes the originals of a plan and gives those pages that come out otherwise, by page.
func (r *Replayer) decodePlan(ctx context.Context, plan archive.Plan) (map[int]archive.PageVerdict, error) {
	var mu sync.Mutex
	verdicts := map[int]archive.PageVerdict{}
	group, inner := errgroup.WithContext(ctx)
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

// decodeAgain gives the page as it comes out of the decoder now; nil where that is what the document has. A page whose original is
// gone, or that does not decode any more, stays as it is: the assembler will say so.
func (r *Replayer) decodeAgain(ctx context.Context, old session.PageArchived) (*session.PageArchived, error) {
	data, err := archive.ReadObject(ctx, r.Archive, old.Original)
	if err != nil && archive.Lost(err) {
		r.Log.Error("an archived original is gone or altered", "key", old.Original.Key, "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := intake.Origin{
		Session: old.Session, Page: old.Page, From: old.From, To: old.To, ToToken: old.ToToken,
		EventTime: old.EventTime, Source: old.Source, BodySHA256: old.BodySHA256,
	}
	m, err := r.Pages.Decode(o, func() (intake.Image, error) { return r.Pages.Decoder.Page(ctx, data) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		r.Log.Error("an archived original does not decode any more", "key", old.Original.Key, "detail", f.Detail)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.SHA256 == old.RasterSHA256 {
		return nil, nil
	}
	now, err := r.Pages.ArchivePNG(ctx, o, old.Original, m)
	return &now, err
}

// report archives what came out otherwise, for the assembler. Its key is made of its content: a repeat writes the same.
func (r *Replayer) report(ctx context.Context, plan archive.Plan, verdicts map[int]archive.PageVerdict, asked string) (*session.Repairs, error) {
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
