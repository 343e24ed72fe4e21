package fetch

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

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// ordered handles an order for the whole file.
func (w *Worker) ordered(ctx context.Context, d bus.Delivery) error {
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
	origin intake.Origin
}

// failed adds this try to the story.
func (t *wholeTry) failed(fl *intake.Failure) {
	t.tried = session.Tried(t.tried, session.Attempt{Stage: stage.Whole, Number: t.number, Reason: fl.Reason, Detail: fl.Detail, At: t.now})
}

// tryWhole fetches the whole file, archives it, cuts the wanted pages and says how it went.
func (w *Worker) tryWhole(ctx context.Context, t wholeTry) error {
	f := t.order
	t.origin = intake.Origin{Session: f.Session, From: f.From, To: f.To, Source: session.SourceWholeFile}
	var err error
	if t.origin.ToToken, err = w.bus.Bind(ctx, f.Session, session.NumberToken(f.To)); err != nil {
		return err
	}
	if err := w.gate.pass(ctx); err != nil {
		return err
	}
	start := time.Now()
	data, err := w.provider.File(ctx, f.Session)
	if err != nil {
		err = failed(ctx, err)
		if fl, failed := errors.AsType[*intake.Failure](err); failed {
			return w.failWhole(ctx, t, fl)
		}
		return err
	}
	w.Observe(stage.Step{Stage: stage.Whole, Session: f.Session, Took: time.Since(start)})
	file, parseErr := tiff.Parse(data, tiff.Limits{MaxPages: session.MaxPages})
	if later, err := w.incomplete(ctx, &t, data, file, parseErr); later || err != nil {
		return err
	}
	return w.takeWhole(ctx, t, data, file)
}

// incomplete schedules another try for a file that was cut in transit, unless exactly these bytes came before, and for one
// that does not have all wanted pages yet, as long as there is time. later: it did.
func (w *Worker) incomplete(ctx context.Context, t *wholeTry, data []byte, file *tiff.File, parseErr error) (later bool, err error) {
	fl := &intake.Failure{Stage: stage.Whole, Reason: session.ReasonNotInFile, Detail: "the whole file has fewer pages than are wanted"}
	switch {
	case cut(file, parseErr):
		fl.Reason, fl.Detail = session.ReasonTruncated, "the whole file refers to bytes past its end"
		sum := sha256.Sum256(data)
		kept := archive.NewObject(archive.RejectedWholeFileKey(t.order.Session, sum), int64(len(data)), sum)
		again, err := archive.CreateFile(ctx, w.Archive, data, sum, t.origin.Sidecar(kept, fl.Reason))
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
	w.log.Warn("whole file is not whole", "session", t.order.Session, "attempt", t.number, "reason", fl.Reason, "detail", fl.Detail)
	return true, w.scheduleWhole(ctx, *t, due)
}

// takeWhole archives the file as the provider's own, cuts the wanted pages and ends the order. file is nil where the bytes are no TIFF that we can read.
func (w *Worker) takeWhole(ctx context.Context, t wholeTry, data []byte, file *tiff.File) error {
	sum := sha256.Sum256(data)
	obj := archive.NewObject(archive.WholeFileKey(t.order.Session, sum), int64(len(data)), sum)
	if _, err := archive.CreateFile(ctx, w.Archive, data, sum, t.origin.Sidecar(obj, "")); err != nil {
		return err
	}
	done := session.WholeDone{Session: t.order.Session, ToToken: t.origin.ToToken, N: t.order.N, Object: &obj, Attempts: t.tried, At: t.now}
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
func (w *Worker) cutPages(ctx context.Context, o intake.Origin, file *tiff.File, wanted session.Ranges) (session.PageReasons, error) {
	var mu sync.Mutex
	lost := session.PageReasons{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * w.Decoder.AtOnce()) // one decodes while another archives
	for page := range wanted.All() {
		o := o
		o.Page = page
		group.Go(func() error {
			reason, err := w.cutPage(ctx, o, file)
			if reason != "" {
				w.Observe(stage.Step{Stage: stage.Whole, Session: o.Session, Page: page, Reason: reason})
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
func (w *Worker) cutPage(ctx context.Context, o intake.Origin, file *tiff.File) (reason session.Reason, err error) {
	switch {
	case file == nil:
		return session.ReasonDamaged, nil
	case o.Page > file.NumPages():
		return session.ReasonNotInFile, nil
	}
	m, err := w.Decode(o, func() (intake.Image, error) { return w.Decoder.PageOf(ctx, file, o.Page-1) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		return f.Reason, nil
	}
	if err != nil {
		return "", err
	}
	obj, err := w.archiveCut(ctx, o, m)
	if err != nil {
		return "", err
	}
	return "", w.Publish(ctx, o, obj, m)
}

// archiveCut archives a page of the whole file as a file of its own.
func (w *Worker) archiveCut(ctx context.Context, o intake.Origin, m intake.Image) (session.Object, error) {
	data, err := pageFile(o.Fact(m), m)
	if err != nil {
		return session.Object{}, fmt.Errorf("cut page %d of session %s: %w", o.Page, o.Session, err)
	}
	return w.ArchiveOriginal(ctx, o, data, archive.KindCut)
}

// pageFile is a page as a TIFF of its own.
func pageFile(f session.PageArchived, m intake.Image) ([]byte, error) {
	strip, err := m.Strip()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tiff.NewWriter(&b)
	if _, err := t.AddPage(intake.PageMeta(f, 1, 1), strip); err != nil {
		return nil, err
	}
	err = t.Close()
	return b.Bytes(), err
}

// failWhole schedules another try, or says that the file cannot be had.
func (w *Worker) failWhole(ctx context.Context, t wholeTry, fl *intake.Failure) error {
	w.Observe(stage.Step{Stage: stage.Whole, Session: t.order.Session, Reason: fl.Reason})
	t.failed(fl)
	due, more, err := w.again(ctx, t.number, fl, t.until, t.now)
	if err != nil {
		return err
	}
	w.log.Warn("whole file not had", "session", t.order.Session, "attempt", t.number, "reason", fl.Reason, "final", !more, "detail", fl.Detail)
	if more {
		return w.scheduleWhole(ctx, t, due)
	}
	_, _, err = w.bus.RecordFact(ctx, session.WholeDone{
		Session: t.order.Session, ToToken: t.origin.ToToken, N: t.order.N, Reason: fl.Reason, Detail: fl.Detail, Attempts: t.tried, At: t.now,
	})
	return err
}

func (w *Worker) scheduleWhole(ctx context.Context, t wholeTry, due time.Time) error {
	body, err := json.Marshal(session.Retry{Whole: &t.order, Attempt: t.number + 1, Until: t.until, Tried: t.tried})
	if err != nil {
		return fmt.Errorf("retry of the whole file of session %s: %w", t.order.Session, err)
	}
	return w.bus.Schedule(ctx, session.Timer{Kind: session.TimerWhole, Session: t.order.Session, Due: due}, body)
}
