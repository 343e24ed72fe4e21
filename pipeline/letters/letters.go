package letters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Bus is what dead letters need of JetStream.
type Bus interface {
	Ledger
	Story
	Box
}

// Ledger reads ledgers and writes what changes them.
type Ledger interface {
	// Load gives a new ledger, revision 0, for a session that has none.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was. It may be repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule lets body arrive on the timer's due subject at its due time. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
}

// Story tells what has happened to a page or whole file.
type Story interface {
	// Event gives the message that stands on a subject.
	Event(ctx context.Context, subject string) (s bus.Stored, ok bool, err error)
	// PageFailures gives the failed attempts of a page, in their order.
	PageFailures(ctx context.Context, id string, page int) ([]session.PageFailed, error)
	// WholeFailed gives how the n-th order for the whole file has failed, if it has.
	WholeFailed(ctx context.Context, id string, n int) (f session.WholeDone, ok bool, err error)
}

// Box keeps the dead letters and the actions about them.
type Box interface {
	// Letters gives at most limit letters; more: there are others.
	Letters(ctx context.Context, f bus.LetterFilter, limit int) (all []bus.Letter, more bool, err error)
	// Bury stores a letter.
	Bury(ctx context.Context, d session.DeadLetter) error
	// Dropped reports whether a person has dropped such a letter.
	Dropped(ctx context.Context, d session.DeadLetter) (bool, error)
	// RemoveLetter removes one; it may be repeated.
	RemoveLetter(ctx context.Context, id uint64) error
	// Act stores an action in FAX_AUDIT, from where it is done.
	Act(ctx context.Context, a session.Action) (sequence uint64, err error)
}

// Letters sees to it that no page ends unseen, and does what people order about dead letters and replays.
//
// A letter of a page or whole file stands for something that is missing from a document for good: its way is over and the
// document was ordered without it. So the ledger decides and not the worker: a page whose own fetch is over may still be cut from the
// whole file within a minute, and is no problem of anybody's then. The letter is buried when both are true, whichever comes last, and
// resolved when a document is ordered that has the page.
//
// An action is stored in FAX_AUDIT first and done from there: the letter is removed, then what was ordered is done. A crash between any
// two of these does the rest at the next delivery, and a failure that follows from a retry finds no old letter that would hide it.
type Worker struct {
	Bus      Bus
	Replay   func(ctx context.Context, a session.Action, asked string) error // as replay.Replayer does
	Handlers map[string]func(context.Context, bus.Delivery) error            // by durable
	Ingest   func(ctx context.Context, body []byte) error
	Log      *slog.Logger
}

// Consumptions are the durables that the letters need.
func (w *Worker) Consumptions() []bus.Consumption {
	return []bus.Consumption{
		{Consumer: bus.Consumer{Stream: bus.StreamPages, Durable: "letters-pages", Filter: []string{session.TypePageFailed + ".>"}, Workers: 4}, Handle: w.pageFailed},
		{Consumer: bus.Consumer{Stream: bus.StreamDocs, Durable: "letters-docs", Filter: []string{session.TypeDocReady + ".>", session.TypeWholeFailed + ".>", session.TypeWholeCut + ".>"}, Workers: 4}, Handle: w.docEvent},
		{Consumer: bus.Consumer{Stream: bus.StreamAudit, Durable: "actions", Filter: []string{session.TypeAuditLetter + ".>", session.TypeAuditReplay + ".>"}, Workers: 4}, Handle: w.act},
	}
}

// pageFailed looks at a page whose own fetch is over.
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

// docEvent looks at a session for which a document was ordered, or an order for the whole file has ended.
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

// over is what has just ended without success, maybe before the ledger knows: a page's own fetch, or an order for the whole
// file. A letter of it is buried even if a person has dropped its like before.
type over struct{ page, whole int }

// settle makes the live letters of a session what its ledger says: one for each page that is missing for good, and one for the
// whole file where it was asked for what is missing.
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
			return nil // doc.ready brings us here again
		}
		wrote, err := w.buryMissing(ctx, s, missing, live, ended)
		if err != nil || !wrote {
			return err
		}
		// What has arrived meanwhile may have been looked at before our letter was there: look again.
	}
}

// live gives the letters of a session's pages and whole file.
func (w *Worker) live(ctx context.Context, id string) ([]bus.Letter, error) {
	all, _, err := w.Bus.Letters(ctx, bus.LetterFilter{Session: id}, 2*session.MaxPages)
	return slices.DeleteFunc(all, func(x bus.Letter) bool { return x.Stage != session.StagePage && x.Stage != session.StageWhole }), err
}

// resolve removes the letters of what has come after all.
func (w *Worker) resolve(ctx context.Context, s session.State, missing session.Ranges, live []bus.Letter) error {
	for _, x := range live {
		if x.Page > 0 && missing.Has(x.Page) || x.Page == 0 && (len(missing) > 0 || s.Uncounted()) {
			continue
		}
		what := "the page is in the archive"
		if x.Page == 0 {
			what = "nothing is missing any more"
		}
		if x.Stage == session.StagePage && x.Page == 0 {
			continue // a message of the durable `page` that died
		}
		_, err := w.Bus.Act(ctx, session.Action{Kind: session.ActionResolved, By: "faxstream", Why: what, LetterID: x.ID, Letter: &x.DeadLetter})
		if err == nil {
			err = w.Bus.RemoveLetter(ctx, x.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// buryMissing writes the letters that are not there; wrote reports whether there was one.
func (w *Worker) buryMissing(ctx context.Context, s session.State, missing session.Ranges, live []bus.Letter, ended over) (wrote bool, err error) {
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

// bury stores a letter, unless it is one that a person has dropped and nothing new has happened.
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

// pageLetter tells the story of a missing page; final reports whether its own fetch is over.
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
		d.Attempts = session.Tried(d.Attempts, session.Attempt{Stage: f.Stage, Number: f.Attempt, Reason: f.Reason, Detail: f.Detail, At: f.At})
		d.Detail, final = f.Detail, f.Final
	}
	if d.Reason == "" {
		d.Reason = session.ReasonNotYet
	}
	d.Detail = fmt.Sprintf("page %d is missing from the document: %s", page, d.Detail)
	return d, final || s.Lost.Has(page), nil
}

// wholeLetter tells the story of a whole file that did not give what is missing.
func (w *Worker) wholeLetter(ctx context.Context, s session.State, missing session.Ranges) (d session.DeadLetter, err error) {
	order := session.WholeOrdered{Session: s.Session, N: s.WholeN, From: s.From, To: s.To, Wanted: missing}
	d = session.DeadLetter{Stage: session.StageWhole, Session: s.Session, Original: order.Subject(), Received: s.Opened, Reason: session.ReasonNotInFile}
	event, ok, err := w.Bus.Event(ctx, d.Original)
	if err != nil {
		return d, err
	}
	if ok {
		d.Body, d.Received = event.Data, event.Time.UTC()
	} else if d.Body, err = json.Marshal(order); err != nil {
		return d, err
	}
	d.Detail = fmt.Sprintf("%d pages are missing, and the whole file did not give them: look at the fax", missing.Len())
	if s.Uncounted() {
		d.Detail = "the whole file could not be had, and nobody says how many pages the fax has"
	}
	done, ok, err := w.Bus.WholeFailed(ctx, s.Session, s.WholeN)
	if err == nil && ok {
		d.Reason, d.Attempts = done.Reason, done.Attempts
		d.Detail += ": " + done.Detail
	}
	return d, err
}

// errNotRetryable: this letter cannot be made again.
var errNotRetryable = errors.New("nothing is known of how to make this again: look at it, then drop it with a reason")
