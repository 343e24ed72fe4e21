package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Bus is what the workers need of JetStream. Every method may be repeated: the second time changes nothing.
type Bus interface {
	Facts
	Names
}

// Facts records facts and retries, and reads the facts of pages.
type Facts interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule lets body arrive on the timer's due subject at its due time.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// PageFacts gives the page.archived facts of a session by page; one that cannot be read yet is absent.
	PageFacts(ctx context.Context, id string, Pages session.Ranges) (map[int]session.PageArchived, error)
}

// Names keeps whose fax each of the provider's names and each number means.
type Names interface {
	// Bind gives the session's number token, and binds it to token if nobody has yet.
	Bind(ctx context.Context, id, token string) (string, error)
	// Claim makes a session the owner of one of the provider's names for a fax and returns the owner: it, or one that came first.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}

// Config is what the workers need. All fields are required unless they say otherwise.
type Config struct {
	Bus      Bus
	Pages    intake.Pages
	Provider Provider
	Retry    Retry
	Stopped  func(error) // told why fetching stopped, and nil when it goes on; nil: nobody listens
	Doubted  func(error) // told that the path of single pages may be wrong, and nil when a page comes; nil: nobody listens
	Log      *slog.Logger
}

// New returns a worker whose gate is open.
func New(c Config) *Worker {
	return &Worker{
		Pages: c.Pages, bus: c.Bus, provider: c.Provider, retry: c.Retry, log: c.Log,
		gate: newGate(c.Provider.Probe, min(probeEvery, c.Retry.longest()), c.Stopped, c.Log), path: newPathWatch(c.Doubted),
	}
}

// Consumptions are the worker's durables. fetches is how many page files are fetched at once, and as many again that are retried.
func (w *Worker) Consumptions(fetches int) []bus.Consumption {
	return []bus.Consumption{
		{Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "page", Filter: []string{session.TypePageAnnounced + ".>"}, Workers: fetches}, Handle: w.announced},
		{Consumer: bus.Consumer{Stream: bus.StreamTimers, Durable: "retry", Filter: bus.TimerSubjects(session.TimerRetry), Workers: fetches}, Handle: w.retryDue},
		{Consumer: bus.Consumer{Stream: bus.StreamTimers, Durable: "retry-whole", Filter: bus.TimerSubjects(session.TimerWhole), Workers: 2}, Handle: w.retryDue},
		{Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "whole", Filter: []string{session.TypeWholeOrdered + ".>"}, Workers: 2}, Handle: w.ordered},
		{Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "ask", Filter: []string{session.TypeRecordAsked + ".>"}, Workers: 1}, Handle: w.ask},
	}
}

// Worker gets pages: from their own files, and from the whole file what did not come so.
type Worker struct {
	intake.Pages
	bus      Bus
	provider Provider
	gate     *gate
	path     *pathWatch
	retry    Retry
	log      *slog.Logger
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
func (w *Worker) announced(ctx context.Context, d bus.Delivery) error {
	var f session.PageAnnounced
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("page fact: %w", err)}
	}
	if d.Tries == 1 {
		w.Observe(stage.Step{Stage: stage.Announce, Session: f.Session, Page: f.Page})
	}
	return w.try(ctx, attempt{fact: f, number: 1, until: d.Time.Add(w.retry.Deadline), now: d.Time})
}

// retryDue handles a retry timer, of a page or of the whole file.
func (w *Worker) retryDue(ctx context.Context, d bus.Delivery) error {
	var r session.Retry
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
func (w *Worker) try(ctx context.Context, a attempt) error {
	o := intake.Origin{
		Session: a.fact.Session, Page: a.fact.Page, From: a.fact.From, To: a.fact.To,
		EventTime: a.fact.EventTime, Source: session.SourceFetch, BodySHA256: a.fact.BodySHA256,
	}
	var err error
	if o.ToToken, err = w.bus.Bind(ctx, o.Session, session.NumberToken(o.To)); err != nil {
		return err
	}
	have, err := w.Lookup(ctx, o, archive.KindOriginal)
	if err != nil {
		return err
	}
	if have == nil {
		if err := w.gate.pass(ctx); err != nil {
			return err
		}
		have, err = w.fetch(ctx, o)
	}
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		return w.fail(ctx, a, o, f)
	}
	if err != nil {
		return err
	}
	return w.Publish(ctx, o, have.Object, have.Image)
}

// fetch gets a page's file, archives and decodes it. An error that is a *failure counts as an attempt.
func (w *Worker) fetch(ctx context.Context, o intake.Origin) (*intake.Found, error) {
	start := time.Now()
	data, err := w.provider.Page(ctx, o.Session, o.Page)
	if err != nil {
		return w.salvage(ctx, o, failed(ctx, err))
	}
	w.Observe(stage.Step{Stage: stage.Fetch, Session: o.Session, Page: o.Page, Took: time.Since(start)})
	w.path.had()
	file, err := tiff.Parse(data, tiff.Limits{})
	if cut(file, err) {
		return w.salvage(ctx, o, &intake.Failure{Stage: stage.Fetch, Reason: session.ReasonTruncated, Detail: "the TIFF refers to bytes past its end", Body: data})
	}
	if err == nil && file.NumPages() > 1 {
		// Whose pages these are nobody can tell: an endpoint that ignores the page's number would give every page the first one's image.
		return w.salvage(ctx, o, &intake.Failure{
			Stage: stage.Fetch, Reason: session.ReasonManyPages, Body: data,
			Detail: fmt.Sprintf("the page's file has %d pages; is --faxplus-page-path the path of a single page?", file.NumPages()),
		})
	}
	return w.take(ctx, o, data)
}

// cut reports whether a TIFF, as parsed, was cut in transit.
func cut(f *tiff.File, parseErr error) bool {
	return errors.Is(parseErr, tiff.ErrTruncated) || parseErr == nil && errors.Is(f.Check(), tiff.ErrTruncated)
}

// take archives bytes as the page's original and decodes them.
func (w *Worker) take(ctx context.Context, o intake.Origin, data []byte) (*intake.Found, error) {
	obj, err := w.ArchiveOriginal(ctx, o, data, archive.KindOriginal)
	if err != nil {
		return nil, err
	}
	m, err := w.Decode(o, func() (intake.Image, error) { return w.Decoder.Page(ctx, data) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		f.Archived = &obj
	}
	return &intake.Found{Object: obj, Image: m}, err
}

// salvage keeps what failed a check, and takes it as the page when the provider gives exactly the same bytes again: then they are what it has.
func (w *Worker) salvage(ctx context.Context, o intake.Origin, cause error) (*intake.Found, error) {
	f, failed := errors.AsType[*intake.Failure](cause)
	if !failed {
		return nil, cause
	}
	kept, again, err := w.ArchiveRejected(ctx, o, f)
	if err != nil {
		return nil, err
	}
	if again && f.Reason == session.ReasonTruncated {
		return w.take(ctx, o, f.Body)
	}
	f.Archived = kept
	return nil, f
}

// fail publishes the failed attempt and schedules the next one, if there is one.
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
	w.Observe(stage.Step{Stage: f.Stage, Session: o.Session, Page: o.Page, Reason: f.Reason})
	w.log.Warn("page not had", "session", o.Session, "page", o.Page, "attempt", a.number, "reason", f.Reason, "final", !more, "detail", f.Detail)
	_, _, err = w.bus.RecordFact(ctx, session.PageFailed{
		Session: o.Session, Page: o.Page, ToToken: o.ToToken, Attempt: a.before + a.number, Stage: f.Stage,
		Reason: f.Reason, Detail: f.Detail, Final: !more, Kept: f.Archived, At: a.now,
	})
	return err
}
