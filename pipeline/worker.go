package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// worker gets pages: from their own files, and from the whole file what did not come so.
type worker struct {
	pages
	archived PageFacts
	aliases  Aliases
	provider Provider
	gate     *gate
	path     *pathWatch
	retry    Retry
	log      *slog.Logger
}

// retryBody travels in a retry timer's message.
type retryBody struct {
	Page    *session.PageAnnounced `json:"page,omitempty"`
	Whole   *session.WholeOrdered  `json:"whole,omitempty"`
	Attempt int                    `json:"attempt"`          // the one to make; 1: somebody asked for it again
	Until   time.Time              `json:"until,omitzero"`   // the deadline; zero: as for an announcement
	Before  int                    `json:"before,omitempty"` // attempts that a page had before somebody asked for it again
	Tried   []session.Attempt      `json:"tried,omitempty"`  // for the whole file so far
}

// attempt is one try for one page.
type attempt struct {
	fact   session.PageAnnounced
	number int       // from 1
	before int       // attempts before those; they have their facts
	until  time.Time // the deadline
	now    time.Time // when the message that asks for this attempt was stored
}

// announced handles a page fact.
func (w *worker) announced(ctx context.Context, d bus.Delivery) error {
	var f session.PageAnnounced
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("page fact: %w", err)}
	}
	if d.Tries == 1 {
		w.observe(Step{Stage: stageAnnounce, Session: f.Session, Page: f.Page})
	}
	return w.try(ctx, attempt{fact: f, number: 1, until: d.Time.Add(w.retry.Deadline), now: d.Time})
}

// retryDue handles a retry timer, of a page or of the whole file.
func (w *worker) retryDue(ctx context.Context, d bus.Delivery) error {
	var r retryBody
	err := json.Unmarshal(d.Data, &r)
	if err == nil {
		err = w.extend(&r, d)
	}
	switch {
	case err == nil && r.Page != nil:
		return w.try(ctx, attempt{fact: *r.Page, number: r.Attempt, before: r.Before, until: r.Until, now: d.Time})
	case err == nil && r.Whole != nil:
		return w.tryWhole(ctx, wholeTry{order: *r.Whole, number: r.Attempt, until: r.Until, now: d.Time, tried: r.Tried})
	case err == nil:
		err = fmt.Errorf("neither page nor whole file")
	}
	return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("retry timer: %w", err)}
}

// try makes one attempt. What crashes here is delivered again: every step finds what the last try left.
func (w *worker) try(ctx context.Context, a attempt) error {
	o := origin{
		session: a.fact.Session, page: a.fact.Page, from: a.fact.From, to: a.fact.To,
		eventTime: a.fact.EventTime, source: session.SourceFetch, body: a.fact.BodySHA256,
	}
	var err error
	if o.toToken, err = w.facts.Bind(ctx, o.session, session.NumberToken(o.to)); err != nil {
		return err
	}
	have, err := w.lookup(ctx, o, kindOriginal)
	if err != nil {
		return err
	}
	var f *failure
	if have == nil {
		if err := w.gate.pass(ctx); err != nil {
			return err
		}
		if have, f, err = w.fetch(ctx, o); err != nil {
			return err
		}
	}
	if f != nil {
		return w.fail(ctx, a, o, f)
	}
	return w.publish(ctx, o, have.object, have.image)
}

// fetch gets a page's file, archives and decodes it.
func (w *worker) fetch(ctx context.Context, o origin) (*found, *failure, error) {
	start := time.Now()
	data, err := w.provider.Page(ctx, o.session, o.page)
	if err != nil {
		f, err := failed(ctx, err)
		return w.salvage(ctx, o, f, err)
	}
	w.observe(Step{Stage: stageFetch, Session: o.session, Page: o.page, Took: time.Since(start)})
	w.path.had()
	file, err := tiff.Parse(data, tiff.Limits{})
	if cut(file, err) {
		f := &failure{stage: stageFetch, reason: session.ReasonTruncated, detail: "the TIFF refers to bytes past its end", body: data}
		return w.salvage(ctx, o, f, nil)
	}
	if err == nil && file.NumPages() > 1 {
		// Whose pages these are nobody can tell: an endpoint that ignores the page's number would give every page the first one's image.
		f := &failure{
			stage: stageFetch, reason: session.ReasonManyPages, body: data,
			detail: fmt.Sprintf("the page's file has %d pages; is --faxplus-page-path the path of a single page?", file.NumPages()),
		}
		return w.salvage(ctx, o, f, nil)
	}
	return w.take(ctx, o, data)
}

// cut reports whether a TIFF, as parsed, was cut in transit.
func cut(f *tiff.File, parseErr error) bool {
	return errors.Is(parseErr, tiff.ErrTruncated) || parseErr == nil && errors.Is(f.Check(), tiff.ErrTruncated)
}

// take archives bytes as the page's original and decodes them.
func (w *worker) take(ctx context.Context, o origin, data []byte) (*found, *failure, error) {
	obj, err := w.keepOriginal(ctx, o, data, kindOriginal)
	if err != nil {
		return nil, nil, err
	}
	m, f, err := w.decode(o, func() (image, *failure, error) { return w.decoder.page(ctx, data) })
	if f != nil {
		f.kept = &obj
	}
	return &found{obj, m}, f, err
}

// salvage keeps what failed a check, and takes it as the page when the provider gives exactly the same bytes again: then they are what it has.
func (w *worker) salvage(ctx context.Context, o origin, f *failure, err error) (*found, *failure, error) {
	if err != nil {
		return nil, nil, err
	}
	kept, again, err := w.reject(ctx, o, f)
	if err != nil {
		return nil, nil, err
	}
	if again && f.reason == session.ReasonTruncated {
		return w.take(ctx, o, f.body)
	}
	f.kept = kept
	return nil, f, nil
}

// fail publishes the failed attempt and schedules the next one, if there is one.
func (w *worker) fail(ctx context.Context, a attempt, o origin, f *failure) error {
	due, more, err := w.again(ctx, a.number, f, a.until, a.now)
	if err != nil {
		return err
	}
	if more {
		body, err := json.Marshal(retryBody{Page: &a.fact, Attempt: a.number + 1, Before: a.before, Until: a.until})
		if err != nil {
			return fmt.Errorf("retry of session %s page %d: %w", o.session, o.page, err)
		}
		t := session.Timer{Kind: session.TimerRetry, Session: o.session, Page: o.page, Due: due}
		if err := w.facts.Schedule(ctx, t, body); err != nil {
			return err
		}
	}
	if f.reason == session.ReasonNotYet {
		w.path.notThere(o.session, a.number)
	}
	w.observe(Step{Stage: f.stage, Session: o.session, Page: o.page, Reason: f.reason})
	w.log.Warn("page not had", "session", o.session, "page", o.page, "attempt", a.number, "reason", f.reason, "final", !more, "detail", f.detail)
	_, _, err = w.facts.RecordFact(ctx, session.PageFailed{
		Session: o.session, Page: o.page, ToToken: o.toToken, Attempt: a.before + a.number, Stage: f.stage,
		Reason: f.reason, Detail: f.detail, Final: !more, Kept: f.kept, At: a.now,
	})
	return err
}
