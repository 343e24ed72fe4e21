package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// wholeTry is one attempt to fetch a whole file.
type wholeTry struct {
	order  session.WholeOrdered
	number int       // from 1
	until  time.Time // the deadline
	now    time.Time // when the message of this attempt was stored
	tried  []session.Attempt
	origin intake.Origin
}

// failed adds this attempt to those that failed.
func (t *wholeTry) failed(fl *intake.Failure) {
	t.tried = session.Tried(t.tried, session.Attempt{Stage: stage.Whole, Number: t.number, Reason: fl.Reason, Detail: fl.Detail, At: t.now})
}

// tryWhole fetches the whole file, archives it, cuts the wanted pages and records the result.
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
	body := w.Decoder.NewBody()
	defer w.remove(body)
	if err := w.provider.File(ctx, f.Session, body); err != nil {
		err = failed(ctx, body, err)
		if fl, failed := errors.AsType[*intake.Failure](err); failed {
			return w.failWhole(ctx, t, fl)
		}
		return err
	}
	w.Observe(ctx, stage.Step{Stage: stage.Whole, Session: f.Session, Took: time.Since(start), Attempt: t.number})
	file, parseErr := body.TIFF(tiff.Limits{MaxPages: session.MaxPages})
	if later, err := w.incomplete(ctx, &t, body, file, parseErr); later || err != nil {
		return err
	}
	return w.takeWhole(ctx, t, body, file)
}

// incomplete schedules another attempt, if there is time, for a file that arrived incomplete, unless exactly these bytes came before, and
// for a file that does not have all wanted pages yet. later: it scheduled one.
func (w *Worker) incomplete(ctx context.Context, t *wholeTry, b *intake.Body, file *tiff.File, parseErr error) (later bool, err error) {
	truncated, err := cut(file, parseErr)
	if err != nil {
		return false, err
	}
	fl := &intake.Failure{Stage: stage.Whole, Reason: session.ReasonNotInFile, Detail: "the whole file has fewer pages than are wanted"}
	switch {
	case truncated:
		fl.Reason, fl.Detail = session.ReasonTruncated, "the whole file refers to bytes past its end"
		_, again, err := w.ArchiveWhole(ctx, t.origin, b, fl.Reason)
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
	w.log.Warn("the whole file of a fax has too few pages: it is fetched again",
		"session", t.order.Session, "attempt", t.number, "reason", fl.Reason, "detail", fl.Detail)
	return true, w.scheduleWhole(ctx, *t, due)
}

// reasonBeyond marks a fax whose whole file has more pages than the close counts, for metrics and for the dashboard.
const reasonBeyond session.Reason = session.RecoveredBeyond

// takeWhole archives the whole file, cuts the wanted pages and ends the order. file is nil if the bytes are not a readable TIFF.
func (w *Worker) takeWhole(ctx context.Context, t wholeTry, b *intake.Body, file *tiff.File) error {
	obj, _, err := w.ArchiveWhole(ctx, t.origin, b, "")
	if err != nil {
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
	if t.order.Counted > 0 && done.Pages > t.order.Counted {
		done.Beyond = session.Span(t.order.Counted+1, done.Pages)
		wanted = wanted.Union(done.Beyond.Minus(t.order.Compare))
		w.Observe(ctx, stage.Step{Stage: stage.Whole, Session: t.order.Session, Reason: reasonBeyond})
		w.log.Error("the whole file has more pages than the provider counts: they are taken into the document; look at the fax",
			"session", t.order.Session, "counted", t.order.Counted, "file", done.Pages)
	}
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

// failWhole schedules another attempt, or records that the fetch of the file failed for good.
func (w *Worker) failWhole(ctx context.Context, t wholeTry, fl *intake.Failure) error {
	w.Observe(ctx, stage.Step{Stage: stage.Whole, Session: t.order.Session, Reason: fl.Reason, Attempt: t.number})
	t.failed(fl)
	due, more, err := w.again(ctx, t.number, fl, t.until, t.now)
	if err != nil {
		return err
	}
	w.log.Warn("the whole file of a fax was not fetched: it is tried again, and if it is final, pages that only it has are dead letters",
		"session", t.order.Session, "attempt", t.number, "reason", fl.Reason, "final", !more, "detail", fl.Detail)
	if more {
		return w.scheduleWhole(ctx, t, due)
	}
	_, _, err = w.bus.RecordFact(ctx, session.WholeDone{
		Session: t.order.Session, ToToken: t.origin.ToToken, N: t.order.N,
		Reason: fl.Reason, Detail: fl.Detail, Attempts: t.tried, At: t.now,
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
