package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// attempt is one attempt to fetch one page.
type attempt struct {
	fact   session.PageAnnounced
	number int       // from 1
	before int       // attempts before a person retried the page; they have facts already
	until  time.Time // the deadline
	now    time.Time // when the message of this attempt was stored
	again  bool      // an original may be archived already: the message may have been handled before, or there were attempts before
	early  bool      // the message itself comes later
}

// announced handles the announcement of a page.
func (w *Worker) announced(ctx context.Context, d bus.Delivery) error {
	var f session.PageAnnounced
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("page fact: %w", err)}
	}
	if d.Tries == 1 && !d.Early {
		w.Observe(ctx, stage.Step{Stage: stage.Announce, Session: f.Session, Page: f.Page})
	}
	a := attempt{fact: f, number: 1, until: d.Time.Add(w.retry.Deadline), now: d.Time, again: d.Again, early: d.Early}
	if !d.Again && !d.Early {
		return w.try(ctx, a)
	}
	return w.tryOnce(ctx, a)
}

// try makes one attempt. After a crash the message is delivered again, and every step finds what the last run left. A message that is
// delivered for the first time has no such run: the archive is not asked, because that costs a request for each page.
func (w *Worker) try(ctx context.Context, a attempt) error {
	o := intake.Origin{
		Session: a.fact.Session, Page: a.fact.Page, From: a.fact.From, To: a.fact.To,
		EventTime: a.fact.EventTime, Source: session.SourceFetch, BodySHA256: a.fact.BodySHA256,
	}
	var err error
	if o.ToToken, err = w.bus.Bind(ctx, o.Session, session.NumberToken(o.To)); err != nil {
		return err
	}
	ctx, free := w.Decoder.Lease(ctx)
	defer free()
	var have *intake.Found
	if a.again {
		if have, err = w.lookup(ctx, o); err != nil {
			return err
		}
	}
	if have == nil {
		if err := w.gate.pass(ctx); err != nil {
			return err
		}
		body := w.Decoder.NewBody()
		defer w.remove(body)
		have, err = w.fetch(ctx, a.number, o, body)
	} else {
		defer w.remove(have.Body)
	}
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		return w.fail(ctx, a, o, f)
	}
	if err != nil {
		return err
	}
	defer have.Image.Release()
	if err := w.Publish(ctx, o, have.Object, have.Image); err != nil {
		return err
	}
	w.published() // an attempt that fails says nothing about what pages wait for
	return nil
}

// remove gives back a file that is not needed any more.
func (w *Worker) remove(b *intake.Body) {
	if err := b.Close(); err != nil {
		w.log.Warn("a temporary file cannot be closed", "err", err)
	}
}

// lookup returns the original that an earlier run archived, nil if there is none. It has its sidecar then.
func (w *Worker) lookup(ctx context.Context, o intake.Origin) (*intake.Found, error) {
	have, err := w.Lookup(ctx, o, archive.KindOriginal)
	if err != nil || have == nil {
		return nil, err
	}
	if err := archive.CreateSidecar(ctx, w.Archive, o.Sidecar(have.Object, "")); err != nil {
		have.Image.Release()
		return nil, errors.Join(err, have.Body.Close())
	}
	return have, nil
}

// fetch makes an attempt: it fetches the file of a page into body, archives and decodes it. An error that is an *intake.Failure counts as
// one.
func (w *Worker) fetch(ctx context.Context, attempt int, o intake.Origin, body *intake.Body) (*intake.Found, error) {
	start := time.Now()
	if err := w.provider.Page(ctx, o.Session, o.Page, body); err != nil {
		return w.salvage(ctx, o, failed(ctx, body, err))
	}
	w.Observe(ctx, stage.Step{Stage: stage.Fetch, Session: o.Session, Page: o.Page, Took: time.Since(start), Attempt: attempt})
	w.path.arrived()
	file, err := body.TIFF(tiff.Limits{})
	switch incomplete, err := cut(file, err); {
	case err != nil:
		return nil, err
	case incomplete:
		return w.salvage(ctx, o, &intake.Failure{
			Stage: stage.Fetch, Reason: session.ReasonTruncated, Detail: "the TIFF refers to bytes past its end", Body: body,
		})
	}
	if err == nil && file.NumPages() > 1 {
		// It is unknown which pages these are. An endpoint that ignores the page number would give every page the image of the first one.
		return w.salvage(ctx, o, &intake.Failure{
			Stage: stage.Fetch, Reason: session.ReasonManyPages, Body: body,
			Detail: fmt.Sprintf(
				"the file of the page has %d pages: check that --faxplus-page-path is the path of a single page", file.NumPages()),
		})
	}
	return w.take(ctx, o, body)
}

// cut reports whether a TIFF arrived incomplete; f and parseErr are from Body.TIFF. The error is one of our own disk.
func cut(f *tiff.File, parseErr error) (bool, error) {
	err := parseErr
	if err == nil {
		err = f.Check()
	}
	if errors.Is(err, tiff.ErrRead) {
		return false, err
	}
	return errors.Is(err, tiff.ErrTruncated), nil
}

// take archives bytes as the original of the page and decodes them.
func (w *Worker) take(ctx context.Context, o intake.Origin, body *intake.Body) (*intake.Found, error) {
	obj, _, err := w.ArchiveBody(ctx, o, body, archive.KindOriginal)
	if err != nil {
		return nil, err
	}
	m, err := w.Decode(ctx, o, func() (intake.Image, error) { return w.Decoder.PageIn(ctx, body) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		f.Archived = &obj
	}
	return &intake.Found{Object: obj, Image: m}, err
}

// salvage archives bytes that failed a check. If exactly the same truncated bytes come twice, the provider has nothing else: then they are
// used as the page.
func (w *Worker) salvage(ctx context.Context, o intake.Origin, cause error) (*intake.Found, error) {
	f, failed := errors.AsType[*intake.Failure](cause)
	if !failed {
		return nil, cause
	}
	rejected, again, err := w.ArchiveRejected(ctx, o, f)
	if err != nil {
		return nil, err
	}
	if again && f.Reason == session.ReasonTruncated {
		return w.take(ctx, o, f.Body)
	}
	f.Archived = rejected
	return nil, f
}

// fail schedules the next attempt, if there is one, and records that this one failed.
func (w *Worker) fail(ctx context.Context, a attempt, o intake.Origin, f *intake.Failure) error {
	due, more, err := w.again(ctx, a.number, f, a.until, a.now)
	if err != nil {
		return err
	}
	if more {
		body, err := json.Marshal(session.Retry{Page: &a.fact, Attempt: a.number + 1, Before: a.before, Until: a.until})
		if err != nil {
			return fmt.Errorf("retry of session %s page %d: %w", o.Session, o.Page, err)
		}
		t := session.Timer{Kind: session.TimerRetry, Session: o.Session, Page: o.Page, Due: due}
		if err := w.bus.Schedule(ctx, t, body); err != nil {
			return err
		}
	}
	if f.Reason == session.ReasonNotYet {
		w.path.notThere(o.Session, a.number)
	}
	w.Observe(ctx, stage.Step{Stage: f.Stage, Session: o.Session, Page: o.Page, Reason: f.Reason, Attempt: a.number})
	w.log.Warn("a page was not fetched: it is tried again, and if it is final, the page is taken from the whole file",
		"session", o.Session, "page", o.Page, "attempt", a.number, "reason", f.Reason, "final", !more, "detail", f.Detail)
	_, _, err = w.bus.RecordFact(ctx, session.PageFailed{
		Session: o.Session, Page: o.Page, ToToken: o.ToToken, Attempt: a.before + a.number, Stage: f.Stage,
		Reason: f.Reason, Detail: f.Detail, Final: !more, Kept: f.Archived, At: a.now,
	})
	return err
}
