package letters

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/session"
)

// pageLetter makes the letter of a missing page with all its attempts; final reports whether its own fetch is over.
func (w *Worker) pageLetter(ctx context.Context, s session.State, page int) (d session.DeadLetter, final bool, err error) {
	announced := session.PageAnnounced{Session: s.Session, Page: page, From: s.From, To: s.To}
	d = session.DeadLetter{Stage: session.StagePage, Session: s.Session, Page: page, Original: announced.Subject(), Received: s.Opened}
	_, _, d.Reason = s.PageStatus(page)
	event, ok, err := w.Bus.Event(ctx, d.Original)
	if err != nil {
		return d, false, err
	}
	if ok {
		d.Body, d.Received = event.Data, event.Time.UTC()
	} else if d.Body, err = json.Marshal(announced); err != nil {
		return d, false, err
	}
	failures, err := w.Bus.PageFailures(ctx, s.Session, page)
	if err != nil {
		return d, false, err
	}
	for _, f := range failures {
		a := session.Attempt{Stage: f.Stage, Number: f.Attempt, Reason: f.Reason, Detail: f.Detail, At: f.At}
		d.Attempts = session.Tried(d.Attempts, a)
		d.Detail, final = f.Detail, f.Final
	}
	if d.Reason == "" {
		d.Reason = session.ReasonNotYet
	}
	d.Detail = fmt.Sprintf("page %d is missing from the document: %s", page, d.Detail)
	return d, final || s.Lost.Has(page), nil
}

// wholeLetter makes the letter of a whole file that does not have the missing pages, with all attempts to fetch it.
func (w *Worker) wholeLetter(ctx context.Context, s session.State, missing session.Ranges) (d session.DeadLetter, err error) {
	order := session.WholeOrdered{Session: s.Session, N: s.WholeN, From: s.From, To: s.To, Wanted: missing}
	d = session.DeadLetter{
		Stage: session.StageWhole, Session: s.Session, Original: order.Subject(), Received: s.Opened, Reason: session.ReasonNotInFile,
	}
	event, ok, err := w.Bus.Event(ctx, d.Original)
	if err != nil {
		return d, err
	}
	if ok {
		d.Body, d.Received = event.Data, event.Time.UTC()
	} else if d.Body, err = json.Marshal(order); err != nil {
		return d, err
	}
	switch {
	case s.Uncounted():
		d.Detail = "the fetch of the whole file failed, and the number of pages of the fax is unknown"
	case missing.Len() == 1:
		d.Detail = fmt.Sprintf("page %d is missing, and the whole file did not have it: look at the fax", missing.Max())
	default:
		d.Detail = fmt.Sprintf("%d pages are missing, and the whole file did not have them: look at the fax", missing.Len())
	}
	done, ok, err := w.Bus.WholeFailed(ctx, s.Session, s.WholeN)
	if err == nil && ok {
		d.Reason, d.Attempts = done.Reason, done.Attempts
		d.Detail += ": " + done.Detail
	}
	return d, err
}

// OfChoice makes the letter of a page whose streamed image and whose image in the whole file differ. It is the same letter each time.
func OfChoice(s session.State, page int) (session.DeadLetter, error) {
	named := session.PageAnnounced{Session: s.Session, Page: page, From: s.From, To: s.To}
	body, err := json.Marshal(named)
	if err != nil {
		return session.DeadLetter{}, err
	}
	what := "other pixels"
	switch s.Difference(page) {
	case "inverted":
		what = "black and white exchanged"
	case "blank_against_ink":
		what = "one of them is blank"
	}
	return session.DeadLetter{
		Stage: session.StageChoice, Session: s.Session, Page: page, Reason: session.ReasonDiffers, Original: named.Subject(), Body: body,
		Received: s.Opened,
		Detail: fmt.Sprintf("page %d: the streamed image and that of the whole file differ (%s): look at both, then choose one: "+
			"faxstream choose %s --page %d --image streamed|file --reason TEXT", page, what, s.Session, page),
	}, nil
}
