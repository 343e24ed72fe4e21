package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

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
	return w.tryWhole(ctx, f, 1, d.Time)
}

// tryWhole fetches the whole file, archives it, cuts the wanted pages and says how it went.
func (w *worker) tryWhole(ctx context.Context, f session.WholeOrdered, number int, now time.Time) error {
	o := origin{session: f.Session, from: f.From, to: f.To, source: session.SourceWholeFile}
	var err error
	if o.toToken, err = w.facts.Bind(ctx, f.Session, session.NumberToken(f.To)); err != nil {
		return err
	}
	start := time.Now()
	data, err := w.provider.File(ctx, f.Session)
	if err != nil {
		fl, err := failed(ctx, err)
		if err != nil {
			return err
		}
		return w.failWhole(ctx, f, o, fl, number, now)
	}
	w.observe(Step{Stage: stageWhole, Session: f.Session, Took: time.Since(start)})
	sum := sha256.Sum256(data)
	obj := object(originalKey(f.Session, sum), int64(len(data)), sum)
	if _, err := keep(ctx, w.archive, data, sum, o.sidecar(obj, "")); err != nil {
		return err
	}
	done := session.WholeDone{Session: f.Session, ToToken: o.toToken, N: f.N, Object: &obj, At: now}
	if err := w.cutPages(ctx, f, o, data, &done); err != nil {
		return err
	}
	_, _, err = w.facts.RecordFact(ctx, done)
	return err
}

// cutPages publishes the wanted pages of the file; none named means all that it has.
func (w *worker) cutPages(ctx context.Context, f session.WholeOrdered, o origin, data []byte, done *session.WholeDone) error {
	lost := func(page int, r session.Reason) {
		if done.Lost == nil {
			done.Lost = map[int]session.Reason{}
		}
		done.Lost[page] = r
	}
	wanted := f.Wanted
	file, err := tiff.Parse(data, tiff.Limits{MaxPages: session.MaxPages})
	if err == nil {
		done.Pages = file.NumPages()
	}
	if len(wanted) == 0 {
		wanted = session.Span(1, done.Pages)
	}
	for page := range wanted.All() {
		if page > done.Pages && err == nil {
			lost(page, session.ReasonNotInFile)
			continue
		}
		o.page = page
		m, fl, err := w.decode(ctx, o, data, page-1)
		if err != nil {
			return err
		}
		if fl != nil {
			w.observe(Step{Stage: stageWhole, Session: f.Session, Page: page, Reason: fl.reason})
			lost(page, fl.reason)
			continue
		}
		if err := w.cutPage(ctx, o, m); err != nil {
			return err
		}
	}
	return nil
}

// cutPage archives one page as a file of its own and publishes it.
func (w *worker) cutPage(ctx context.Context, o origin, m image) error {
	var b bytes.Buffer
	t := tiff.NewWriter(&b, tiff.WriterOptions{})
	if _, err := t.AddPage(pageMeta(o.fact(m), 1, 1), m.strip()); err != nil {
		return fmt.Errorf("cut page %d of session %s: %w", o.page, o.session, err)
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("cut page %d of session %s: %w", o.page, o.session, err)
	}
	obj, err := w.keepOriginal(ctx, o, b.Bytes(), kindCut)
	if err != nil {
		return err
	}
	return w.publish(ctx, o, obj, m)
}

// failWhole schedules another attempt, or says that the file cannot be had.
func (w *worker) failWhole(ctx context.Context, f session.WholeOrdered, o origin, fl *failure, number int, now time.Time) error {
	w.observe(Step{Stage: stageWhole, Session: f.Session, Reason: fl.reason})
	since := f.Until.Add(-w.retry.Deadline) // the order's own deadline, in terms of the table's
	due, more := w.retry.next(number, fl, since, now)
	w.log.Warn("whole file not had", "session", f.Session, "attempt", number, "reason", fl.reason, "final", !more, "detail", fl.detail)
	if !more {
		_, _, err := w.facts.RecordFact(ctx, session.WholeDone{
			Session: f.Session, ToToken: o.toToken, N: f.N, Reason: fl.reason, Detail: fl.detail, At: now,
		})
		return err
	}
	body, err := json.Marshal(retryBody{Whole: &f, Attempt: number + 1})
	if err != nil {
		return fmt.Errorf("retry of the whole file of session %s: %w", f.Session, err)
	}
	return w.facts.Schedule(ctx, session.Timer{Kind: session.TimerRetry, Session: f.Session, Due: due}, body)
}
