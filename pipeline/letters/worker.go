package letters

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Worker writes a dead letter for every page that is missing for good, and carries out what people order about dead letters and replays.
//
// A letter of a page or whole file says that something is missing from a document for good: all attempts are over, and the document was
// ordered without it. So the ledger decides, not the page worker: a page whose own fetch is over may still be cut from the whole file
// within a minute, and then nobody needs to act. The letter is written when both are true, whichever comes last. It is resolved when a
// document is ordered that has the page.
//
// An action is stored in FAX_AUDIT first and carried out from there: first the letter is removed, then the order is carried out. After a
// crash the next delivery does the rest. If a retry fails, the old letter is gone already and cannot hide the new one.
type Worker struct {
	Bus      Bus
	Replay   func(ctx context.Context, a session.Action, asked string) error // replay.Replayer.Replay
	Handlers map[string]func(context.Context, bus.Delivery) error            // by durable: what retries a letter of that stage
	Ingest   func(ctx context.Context, body []byte) error                    // takes in a refused webhook again; nil: no retries of these
	Log      *slog.Logger
}

// Consumptions are the worker's durables.
func (w *Worker) Consumptions() []bus.Consumption {
	return []bus.Consumption{
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamPages, Durable: "letters-pages",
				Filter:  []string{session.TypePageFailed + ".>"},
				Workers: 4,
			},
			Handle: w.pageFailed,
		},
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamDocs, Durable: "letters-docs",
				Filter: []string{
					session.TypeDocReady + ".>", session.TypeWholeFailed + ".>", session.TypeWholeCut + ".>", session.TypeDocVerified + ".>",
				},
				Workers: 4,
			},
			Handle: w.docEvent,
		},
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamAudit, Durable: "actions",
				Filter:  []string{session.TypeAuditLetter + ".>", session.TypeAuditReplay + ".>", session.TypeAuditChoice + ".>"},
				Workers: 4,
			},
			Handle: w.act,
		},
	}
}

// pageFailed handles a failed attempt: after the last one the page may need a letter.
func (w *Worker) pageFailed(ctx context.Context, d bus.Delivery) error {
	var f session.PageFailed
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("failed attempt: %w", err)}
	}
	if !f.Final {
		return nil
	}
	return w.settle(ctx, f.Session, over{page: f.Page})
}

// docEvent handles the order of a document, the end of an order for the whole file, and a comparison with it: then letters may be needed
// or resolved.
func (w *Worker) docEvent(ctx context.Context, d bus.Delivery) error {
	fact, err := session.ParseFact(bus.EventType(d.Subject), d.Data)
	if err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	}
	switch f := fact.(type) {
	case session.WholeDone:
		return w.settle(ctx, f.Session, over{whole: f.N})
	case session.DocVerified:
		return w.settle(ctx, f.Session, over{verdict: &f})
	}
	return w.settle(ctx, fact.SessionID(), over{})
}

// over says what has just failed for good, maybe before the ledger knows about it: a page's own fetch, or an order for the whole file. Its
// letter is written even if a person dropped an equal letter before.
type over struct {
	page  int // from 1; 0: no page
	whole int // the n of the order, from 1; 0: no order

	verdict *session.DocVerified // a comparison, maybe before the ledger knows about it; nil: none
}

// settle makes the letters of a session agree with its ledger: one for each page that is missing for good, one for the whole file if the
// whole file was fetched for missing pages, and one for each page of which a person must choose an image.
func (w *Worker) settle(ctx context.Context, id string, ended over) error {
	for {
		s, _, err := w.Bus.Load(ctx, id)
		if err != nil {
			return err
		}
		live, err := w.live(ctx, id)
		if err != nil {
			return err
		}
		if ended.verdict != nil {
			if s, err = session.Next(session.Policy{}, s, session.Event{At: ended.verdict.At, Fact: *ended.verdict}); err != nil {
				return err
			}
		}
		missing := s.Missing()
		if err := w.resolve(ctx, s, missing, live); err != nil {
			return err
		}
		if err := w.buryDisputed(ctx, s, live); err != nil {
			return err
		}
		if s.Ordered == 0 {
			return nil // doc.ready calls settle again
		}
		wrote, err := w.buryMissing(ctx, s, missing, live, ended)
		if err != nil || !wrote {
			return err
		}
		// A page may have arrived, and been handled, just before its letter was written: look again.
	}
}

// live returns the letters of a session that settle writes.
func (w *Worker) live(ctx context.Context, id string) ([]bus.Letter, error) {
	all, _, err := w.Bus.Letters(ctx, bus.LetterFilter{Session: id}, 2*session.MaxPages)
	ours := []string{session.StagePage, session.StageWhole, session.StageChoice}
	return slices.DeleteFunc(all, func(x bus.Letter) bool { return !slices.Contains(ours, x.Stage) }), err
}

// resolve removes the letters of what has arrived after all.
func (w *Worker) resolve(ctx context.Context, s session.State, missing session.Ranges, live []bus.Letter) error {
	for _, x := range live {
		why := resolved(s, missing, x)
		if why == "" {
			continue
		}
		action := session.Action{Kind: session.ActionResolved, By: "faxstream", Why: why, LetterID: x.ID, Letter: &x.DeadLetter}
		_, err := w.Bus.Act(ctx, action)
		if err == nil {
			err = w.Bus.RemoveLetter(ctx, x.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolved says why a letter is not needed any more; empty: it is.
func resolved(s session.State, missing session.Ranges, x bus.Letter) string {
	switch {
	case x.Stage == session.StageChoice && (s.Disputed().Has(x.Page) || s.Judging(x.Page)):
	case x.Stage == session.StageChoice:
		return "an image of the page is chosen, or the images do not differ any more"
	case x.Stage == session.StagePage && x.Page == 0: // a message of the durable `page` that could not be read
	case x.Page > 0 && !missing.Has(x.Page):
		return "the page is in the archive now"
	case x.Page == 0 && len(missing) == 0 && !s.Uncounted():
		return "no page is missing any more"
	}
	return ""
}

// buryDisputed writes the letters of pages of which a person must choose an image.
func (w *Worker) buryDisputed(ctx context.Context, s session.State, live []bus.Letter) error {
	for page := range s.Disputed().All() {
		if slices.ContainsFunc(live, func(x bus.Letter) bool { return x.Stage == session.StageChoice && x.Page == page }) {
			continue
		}
		letter, err := OfChoice(s, page)
		if err != nil {
			return err
		}
		if _, err := w.bury(ctx, letter, false); err != nil {
			return err
		}
	}
	return nil
}

// buryMissing writes the letters that do not exist yet; wrote: there was at least one.
func (w *Worker) buryMissing(
	ctx context.Context, s session.State, missing session.Ranges, live []bus.Letter, ended over,
) (wrote bool, err error) {
	for page := range missing.Intersect(s.Announced).All() {
		if slices.ContainsFunc(live, func(x bus.Letter) bool { return x.Stage == session.StagePage && x.Page == page }) {
			continue
		}
		letter, final, err := w.pageLetter(ctx, s, page)
		if err != nil {
			return wrote, err
		}
		if !final && page != ended.page {
			continue // its own fetch goes on
		}
		buried, err := w.bury(ctx, letter, page == ended.page)
		if err != nil {
			return wrote, err
		}
		wrote = wrote || buried
	}
	asked := s.WholeN > 0 && (!s.WholeOpen || ended.whole >= s.WholeN)
	if len(missing.Minus(s.Lost)) == 0 && !s.Uncounted() || !asked ||
		slices.ContainsFunc(live, func(x bus.Letter) bool { return x.Stage == session.StageWhole }) {
		return wrote, nil
	}
	letter, err := w.wholeLetter(ctx, s, missing)
	if err != nil {
		return wrote, err
	}
	buried, err := w.bury(ctx, letter, ended.whole >= s.WholeN)
	return wrote || buried, err
}

// bury writes a letter. Without news it does not write one that a person has dropped before.
func (w *Worker) bury(ctx context.Context, d session.DeadLetter, news bool) (bool, error) {
	if !news {
		dropped, err := w.Bus.Dropped(ctx, d)
		if err != nil || dropped {
			return false, err
		}
	}
	if err := w.Bus.Bury(ctx, d); err != nil {
		return false, err
	}
	w.Log.Error("dead letter", "stage", d.Stage, "session", d.Session, "page", d.Page, "reason", d.Reason, "detail", d.Detail)
	return true, nil
}
