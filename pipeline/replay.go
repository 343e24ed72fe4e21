package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// verdictDecoded: the archived original gives other pixels than the document has; the new ones are used.
const verdictDecoded = "decoded"

// replay makes a document again from what is archived; nothing is fetched.
//
// Decoding: every original of the newest revision goes through the present decoder. Pages that come out otherwise are amended, and a
// report like those of the comparison with the whole file tells the next revision to use them. Without one there is no new revision.
func (l *letters) replay(ctx context.Context, a session.Action, asked string) error {
	f := session.Again{Session: a.Session, Asked: asked, Assemble: true}
	if a.Stage == session.ReplayAssemble {
		return l.order(ctx, f)
	}
	s, _, err := l.bus.Load(ctx, a.Session)
	if err != nil {
		return err
	}
	revision := s.Revision()
	if s.Opened.IsZero() { // only the archive knows it; the order below brings its ledger back
		old, _, err := Catalog{l.pages.archive}.Fax(ctx, a.Session)
		if err != nil {
			return deadIfGone(err)
		}
		revision = old.Revision()
	}
	var plan Plan
	ok, _, err := load(ctx, l.pages.archive, revisionKey(a.Session, revision, "plan.json"), &plan)
	if err != nil {
		return err
	}
	if !ok {
		return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("session %s has no plan of revision %d in the archive", a.Session, revision)}
	}
	verdicts, err := l.decodePlan(ctx, plan)
	if err != nil {
		return err
	}
	l.log.Info("originals decoded again", "session", a.Session, "pages", len(plan.Pages), "differ", len(verdicts))
	if len(verdicts) == 0 {
		return nil
	}
	if f.Repairs, err = l.report(ctx, plan, verdicts, asked); err != nil {
		return err
	}
	return l.order(ctx, f)
}

// deadIfGone: no later delivery finds in the archive what is not there, or makes it readable.
func deadIfGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// decodePlan decodes the originals of a plan and gives those pages that come out otherwise, by page.
func (l *letters) decodePlan(ctx context.Context, plan Plan) (map[int]PageVerdict, error) {
	var mu sync.Mutex
	verdicts := map[int]PageVerdict{}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(2 * cap(l.pages.decoder.slots))
	for _, old := range plan.Pages {
		group.Go(func() error {
			now, err := l.decodeAgain(inner, old)
			if err != nil || now == nil {
				return err
			}
			if _, _, err := l.facts.RecordFact(inner, session.PageAmended{PageArchived: *now}); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			verdicts[old.Page] = PageVerdict{
				Page: old.Page, Verdict: verdictDecoded, Repair: now,
				Streamed: PageImage{Original: &old.Original, RasterSHA256: old.RasterSHA256, BadRows: old.BadRows},
			}
			return nil
		})
	}
	return verdicts, group.Wait()
}

// decodeAgain gives the page as it comes out of the decoder now; nil where that is what the document has. A page whose original is
// gone, or that does not decode any more, stays as it is: the assembler will say so.
func (l *letters) decodeAgain(ctx context.Context, old session.PageArchived) (*session.PageArchived, error) {
	data, err := readObject(ctx, l.pages.archive, old.Original)
	if err != nil && lost(err) {
		l.log.Error("an archived original is gone or altered", "key", old.Original.Key, "err", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := origin{
		session: old.Session, page: old.Page, from: old.From, to: old.To, toToken: old.ToToken,
		eventTime: old.EventTime, source: old.Source, body: old.BodySHA256,
	}
	m, f, err := l.pages.decode(o, func() (image, *failure, error) { return l.pages.decoder.page(ctx, data) })
	if err != nil {
		return nil, err
	}
	if f != nil {
		l.log.Error("an archived original does not decode any more", "key", old.Original.Key, "detail", f.detail)
		return nil, nil
	}
	if m.sum == old.RasterSHA256 {
		return nil, nil
	}
	now, err := l.pages.withPNG(ctx, o, old.Original, m)
	return &now, err
}

// report archives what came out otherwise, for the assembler. Its key is made of its content: a repeat writes the same.
func (l *letters) report(ctx context.Context, plan Plan, verdicts map[int]PageVerdict, asked string) (*session.Repairs, error) {
	r := Report{Session: plan.Session, Revision: plan.Revision, Pages: []PageVerdict{}}
	repairs := &session.Repairs{Decoded: true}
	for _, f := range plan.Pages {
		if v, ok := verdicts[f.Page]; ok {
			r.Pages = append(r.Pages, v)
			repairs.Pages = repairs.Pages.Add(f.Page)
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report on session %s: %w", plan.Session, err)
	}
	data = append(data, '\n')
	sum := sha256.Sum256(data)
	repairs.Report = object(revisionKey(plan.Session, plan.Revision, "decoded."+hash16(sum)+".json"), int64(len(data)), sum)
	_, err = createSum(ctx, l.pages.archive, repairs.Report.Key, data, sum)
	return repairs, err
}
