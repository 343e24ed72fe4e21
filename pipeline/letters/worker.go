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
				Filter:  []string{session.TypeDocReady + ".>", session.TypeWholeFailed + ".>", session.TypeWholeCut + ".>"},
				Workers: 4,
			},
			Handle: w.docEvent,
		},
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamAudit, Durable: "actions",
				Filter:  []string{session.TypeAuditLetter + ".>", session.TypeAuditReplay + ".>"},
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

// docEvent handles the order of a document and the end of an order for the whole file: then letters may be needed or resolved.
func (w *Worker) docEvent(ctx context.Context, d bus.Delivery) error {
	fact, err := session.ParseFact(bus.EventType(d.Subject), d.Data)
	if err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	}
	if f, ok := fact.(session.WholeDone); ok {
		return w.settle(ctx, f.Session, over{whole: f.N})
	}
	return w.settle(ctx, fact.SessionID(), over{})
}

// over says what has just failed for good, maybe before the ledger knows about it: a page's own fetch, or an order for the whole file. Its
// letter is written even if a person dropped an equal letter before.
type over struct {
	page  int // from 1; 0: no page
	whole int // the n of the order, from 1; 0: no order
}

// settle makes the letters of a session agree with its ledger: one for each page that is missing for good, and one for the whole file if
// the whole file was fetched for missing pages.
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
		missing := s.Missing()
		if err := w.resolve(ctx, s, missing, live); err != nil {
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

// live returns the letters of a session's pages and whole file.
func (w *Worker) live(ctx context.Context, id string) ([]bus.Letter, error) {
	all, _, err := w.Bus.Letters(ctx, bus.LetterFilter{Session: id}, 2*session.MaxPages)
	return slices.DeleteFunc(all, func(x bus.Letter) bool { return x.Stage != session.StagePage && x.Stage != session.StageWhole }), err
}

// resolve removes the letters of what has arrived after all.
func (w *Worker) resolve(ctx context.Context, s session.State, missing session.Ranges, live []bus.Letter) error {
	for _, x := range live {
		if x.Page > 0 && missing.Has(x.Page) || x.Page == 0 && (len(missing) > 0 || s.Uncounted()) {
			continue
		}
		why := "the page is in the archive now"
		if x.Page == 0 {
			why = "no page is missing any more"
		}
		if x.Stage == session.StagePage && x.Page == 0 {
			continue // a message of the durable `page` that could not be read
		}
		resolved := session.Action{Kind: session.ActionResolved, By: "faxstream", Why: why, LetterID: x.ID, Letter: &x.DeadLetter}
		_, err := w.Bus.Act(ctx, resolved)
		if err == nil {
			err = w.Bus.RemoveLetter(ctx, x.ID)
		}
		if err != nil {
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
		if slices.ContainsFunc(live, func(x bus.Letter) bool { return x.Page == page }) {
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
