package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// ordered handles an order for the whole file.
func (w *worker) ordered(ctx context.Context, d bus.Delivery) error {
	var f session.WholeOrdered
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("whole-file order: %w", err)}
	}
	return w.tryWhole(ctx, wholeTry{order: f, number: 1, until: d.Time.Add(f.TryFor), now: d.Time})
}

// wholeTry is one try for a whole file.
type wholeTry struct {
	order  session.WholeOrdered
	number int       // from 1
	until  time.Time // the deadline
	now    time.Time // when the message that asks for it was stored
	tried  []session.Attempt
	origin origin
}

// failed adds this try to the story.
func (t *wholeTry) failed(fl *failure) {
	t.tried = session.Tried(t.tried, session.Attempt{Stage: stageWhole, Number: t.number, Reason: fl.reason, Detail: fl.detail, At: t.now})
}

// tryWhole fetches the whole file, archives it, cuts the wanted pages and says how it went.
func (w *worker) tryWhole(ctx context.Context, t wholeTry) error {
	f := t.order
	t.origin = origin{session: f.Session, from: f.From, to: f.To, source: session.SourceWholeFile}
	var err error
	if t.origin.toToken, err = w.bus.Bind(ctx, f.Session, session.NumberToken(f.To)); err != nil {
		return err
	}
	if err := w.gate.pass(ctx); err != nil {
		return err
	}
	start := time.Now()
	data, err := w.provider.File(ctx, f.Session)
	if err != nil {
		err = failed(ctx, err)
		if fl, failed := errors.AsType[*failure](err); failed {
			return w.failWhole(ctx, t, fl)
		}
		return err
	}
	w.observe(Step{Stage: stageWhole, Session: f.Session, Took: time.Since(start)})
	file, parseErr := tiff.Parse(data, tiff.Limits{MaxPages: session.MaxPages})
	if later, err := w.incomplete(ctx, &t, data, file, parseErr); later || err != nil {
		return err
	}
	return w.takeWhole(ctx, t, data, file)
}

// incomplete schedules another try for a file that was cut in transit, unless exactly these bytes came before, and for one
// that does not have all wanted pages yet, as long as there is time. later: it did.
func (w *worker) incomplete(ctx context.Context, t *wholeTry, data []byte, file *tiff.File, parseErr error) (later bool, err error) {
	fl := &failure{stage: stageWhole, reason: session.ReasonNotInFile, detail: "the whole file has fewer pages than are wanted"}
	switch {
	case cut(file, parseErr):
		fl.reason, fl.detail = session.ReasonTruncated, "the whole file refers to bytes past its end"
		sum := sha256.Sum256(data)
		kept := object(rejectedKey(t.order.Session, sum), int64(len(data)), sum)
		again, err := keep(ctx, w.archive, data, sum, t.origin.sidecar(kept, fl.reason))
		if err != nil || again {
			return false, err
		}
	case parseErr != nil || file.NumPages() >= max(t.order.Wanted.Max(), t.order.Compare.Max()):
		return false, nil
	}
	t.failed(fl)
	due, more, err := w.again(ctx, t.number, fl, t.until, t.now)
	if err != nil || !more {
		return false, err
	}
	w.log.Warn("whole file is not whole", "session", t.order.Session, "attempt", t.number, "reason", fl.reason, "detail", fl.detail)
	return true, w.scheduleWhole(ctx, *t, due)
}

// takeWhole archives the file as the provider's own, cuts the wanted pages and ends the order. file is nil where the bytes are no TIFF that we can read.
func (w *worker) takeWhole(ctx context.Context, t wholeTry, data []byte, file *tiff.File) error {
	sum := sha256.Sum256(data)
	obj := object(originalKey(t.order.Session, sum), int64(len(data)), sum)
	if _, err := keep(ctx, w.archive, data, sum, t.origin.sidecar(obj, "")); err != nil {
		return err
	}
	done := session.WholeDone{Session: t.order.Session, ToToken: t.origin.toToken, N: t.order.N, Object: &obj, Attempts: t.tried, At: t.now}
	if file != nil {
		done.Pages = file.NumPages()
	}
	wanted := t.order.Wanted
	if t.order.All {
		wanted = session.Span(1, done.Pages)
	}
	var err error
	if done.Lost, err = w.cutPages(ctx, t.origin, file, wanted); err != nil {
		return err
	}
	if len(t.order.Compare) > 0 {
		if err := w.compare(ctx, t, obj, file); err != nil {
			return err
		}
	}
	_, _, err = w.bus.RecordFact(ctx, done)
	return err
}

// cutPages publishes the wanted pages of the file, several at once, and gives the reasons of those that it could not.
func (w *worker) cutPages(ctx context.Context, o origin, file *tiff.File, wanted session.Ranges) (session.PageReasons, error) {
	var mu sync.Mutex
	lost := session.PageReasons{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * w.decoder.atOnce()) // one decodes while another archives
	for page := range wanted.All() {
		o := o
		o.page = page
		group.Go(func() error {
			reason, err := w.cutPage(ctx, o, file)
			if reason != "" {
				w.observe(Step{Stage: stageWhole, Session: o.session, Page: page, Reason: reason})
				mu.Lock()
				defer mu.Unlock()
				lost[page] = reason
			}
			return err
		})
	}
	return lost, group.Wait()
}

// cutPage archives one page as a file of its own and publishes it; reason says why it cannot be had.
func (w *worker) cutPage(ctx context.Context, o origin, file *tiff.File) (reason session.Reason, err error) {
	switch {
	case file == nil:
		return session.ReasonDamaged, nil
	case o.page > file.NumPages():
		return session.ReasonNotInFile, nil
	}
	m, err := w.decode(o, func() (image, error) { return w.decoder.pageOf(ctx, file, o.page-1) })
	if f, failed := errors.AsType[*failure](err); failed {
		return f.reason, nil
	}
	if err != nil {
		return "", err
	}
	obj, err := w.keepCut(ctx, o, m)
	if err != nil {
		return "", err
	}
	return "", w.publish(ctx, o, obj, m)
}

// keepCut archives a page of the whole file as a file of its own.
func (w *worker) keepCut(ctx context.Context, o origin, m image) (session.Object, error) {
	data, err := pageFile(o.fact(m), m)
	if err != nil {
		return session.Object{}, fmt.Errorf("cut page %d of session %s: %w", o.page, o.session, err)
	}
	return w.keepOriginal(ctx, o, data, kindCut)
}

// pageFile is a page as a TIFF of its own.
func pageFile(f session.PageArchived, m image) ([]byte, error) {
	strip, err := m.Strip()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tiff.NewWriter(&b)
	if _, err := t.AddPage(pageMeta(f, 1, 1), strip); err != nil {
		return nil, err
	}
	err = t.Close()
	return b.Bytes(), err
}

// failWhole schedules another try, or says that the file cannot be had.
func (w *worker) failWhole(ctx context.Context, t wholeTry, fl *failure) error {
	w.observe(Step{Stage: stageWhole, Session: t.order.Session, Reason: fl.reason})
	t.failed(fl)
	due, more, err := w.again(ctx, t.number, fl, t.until, t.now)
	if err != nil {
		return err
	}
	w.log.Warn("whole file not had", "session", t.order.Session, "attempt", t.number, "reason", fl.reason, "final", !more, "detail", fl.detail)
	if more {
		return w.scheduleWhole(ctx, t, due)
	}
	_, _, err = w.bus.RecordFact(ctx, session.WholeDone{
		Session: t.order.Session, ToToken: t.origin.toToken, N: t.order.N, Reason: fl.reason, Detail: fl.detail, Attempts: t.tried, At: t.now,
	})
	return err
}

func (w *worker) scheduleWhole(ctx context.Context, t wholeTry, due time.Time) error {
	body, err := json.Marshal(session.Retry{Whole: &t.order, Attempt: t.number + 1, Until: t.until, Tried: t.tried})
	if err != nil {
		return fmt.Errorf("retry of the whole file of session %s: %w", t.order.Session, err)
	}
	return w.bus.Schedule(ctx, session.Timer{Kind: session.TimerWhole, Session: t.order.Session, Due: due}, body)
}
