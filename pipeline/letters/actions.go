package letters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// act carries out an action. It may run again: all names and times come from the stored action.
func (w *Worker) act(ctx context.Context, d bus.Delivery) error {
	var a session.Action
	if err := json.Unmarshal(d.Data, &a); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("action: %w", err)}
	}
	// The name has the time too: sequences start again if FAX_AUDIT was lost, and an order under a name of before would be a repeat.
	asked := "a" + strconv.FormatUint(d.Sequence, 10) + "-" + strconv.FormatInt(d.Time.UnixNano(), 10)
	if a.Kind == session.ActionReplayed && !session.ValidToken(a.Session) {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("replay: session %q is not a token", a.Session)}
	}
	if a.Kind == session.ActionReplayed {
		if a.Stage == session.ReplayFetch {
			return w.fetchAgain(ctx, a.Session, asked, d.Time)
		}
		return w.Replay(ctx, a, asked)
	}
	if a.Kind == session.ActionChosen {
		return w.order(ctx, chosen(a, asked, d.Time.UTC()))
	}
	if a.Letter == nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("action %s: its dead letter is missing in it", a.Kind)}
	}
	if err := w.Bus.RemoveLetter(ctx, a.LetterID); err != nil {
		return err
	}
	if a.Kind != session.ActionRetried {
		return nil
	}
	err := w.again(ctx, *a.Letter, asked, d.Time)
	if dead, ok := errors.AsType[bus.Dead](err); ok {
		letter := *a.Letter
		letter.Reason, letter.Detail = dead.Reason, dead.Error()
		return w.Bus.Bury(ctx, letter)
	}
	return err
}

// chosen is the order to the ledger for the choice of an image, of one page or of several.
func chosen(a session.Action, asked string, at time.Time) session.Again {
	of := func(page int) session.Choice {
		return session.Choice{Page: page, Image: a.Image, By: a.By, Why: a.Why, At: at}
	}
	first := of(a.Page)
	f := session.Again{Session: a.Session, Asked: asked, Choice: &first}
	for page := range a.Pages.Remove(a.Page).All() {
		f.Choices = append(f.Choices, of(page))
	}
	return f
}

// again retries what a letter is about. If that fails, it returns a bus.Dead, which becomes a new letter.
func (w *Worker) again(ctx context.Context, d session.DeadLetter, asked string, now time.Time) error {
	switch {
	case d.Stage == session.StageIngest && w.Ingest != nil:
		return w.Ingest(ctx, d.Body)
	case d.Stage == session.StageRecord:
		fact, err := session.ParseFact(bus.EventType(d.Original), d.Body)
		if err != nil {
			return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
		}
		_, _, err = w.Bus.RecordFact(ctx, fact)
		return err
	case d.Stage == session.StagePage:
		return w.pageAgain(ctx, d, asked, now)
	case d.Stage == session.StageWhole:
		return w.order(ctx, session.Again{Session: d.Session, Asked: asked, Whole: true})
	case d.Stage == session.StageChoice:
		return bus.Dead{
			Reason: d.Reason, Err: errors.New("a retry changes nothing here: choose an image with `faxstream choose`, or drop the letter"),
		}
	case d.Stage == stage.Assemble:
		return w.order(ctx, session.Again{Session: d.Session, Asked: asked, Assemble: true})
	}
	handle, ok := w.Handlers[d.Stage]
	if !ok {
		return bus.Dead{Reason: d.Reason, Err: fmt.Errorf("%w: stage %s", errNotRetryable, d.Stage)}
	}
	return handle(ctx, bus.Delivery{Subject: d.Original, Data: d.Body, Time: now, Tries: 1, Again: true})
}

// order records an order of a person for the ledger.
func (w *Worker) order(ctx context.Context, f session.Again) error {
	if !session.ValidToken(f.Session) {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("session %q is not a token", f.Session)}
	}
	_, _, err := w.Bus.RecordFact(ctx, f)
	return err
}

// fetchAgain retries every missing page of a session as pageAgain does, whatever became of its dead letter.
func (w *Worker) fetchAgain(ctx context.Context, id, asked string, now time.Time) error {
	s, _, err := w.Bus.Load(ctx, id)
	if err != nil {
		return err
	}
	for page := range s.Missing().Intersect(s.Announced).All() {
		letter, _, err := w.pageLetter(ctx, s, page)
		if err == nil {
			_, err = w.retryPage(ctx, letter, now)
		}
		if err != nil {
			return err
		}
	}
	return w.order(ctx, session.Again{Session: id, Asked: asked, Whole: true})
}

// pageAgain retries a page in both ways: its own file, from attempt 1 with a new deadline, and the whole file.
func (w *Worker) pageAgain(ctx context.Context, d session.DeadLetter, asked string, now time.Time) error {
	f, err := w.retryPage(ctx, d, now)
	if err != nil {
		return err
	}
	return w.order(ctx, session.Again{Session: f.Session, Asked: asked, Pages: session.Span(f.Page, f.Page)})
}

// retryPage has the own file of the page of a letter fetched again.
func (w *Worker) retryPage(ctx context.Context, d session.DeadLetter, now time.Time) (f session.PageAnnounced, err error) {
	if err := json.Unmarshal(d.Body, &f); err != nil || !session.ValidToken(f.Session) || f.Page < 1 || f.Page > session.MaxPages {
		if err == nil {
			err = errors.New("the session or the page number is invalid")
		}
		err = fmt.Errorf("announcement of page %d of session %q: %w", f.Page, f.Session, err)
		return f, bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	}
	r := session.Retry{Page: &f, Attempt: 1}
	for _, a := range d.Attempts {
		r.Before = max(r.Before, a.Number)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return f, fmt.Errorf("retry of session %s page %d: %w", f.Session, f.Page, err)
	}
	t := session.Timer{Kind: session.TimerRetry, Session: f.Session, Page: f.Page, Due: now.UTC().Truncate(time.Millisecond)}
	return f, w.Bus.Schedule(ctx, t, body)
}

// errNotRetryable: nothing can retry what this letter is about.
var errNotRetryable = errors.New("this cannot be retried: look at it, then drop it with a reason")
