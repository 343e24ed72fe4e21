package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// ask reads the provider's record of a fax that had no webhook for a long time. If the record says that the fax is over, that counts like
// the webhook of the close.
func (w *Worker) ask(ctx context.Context, d bus.Delivery) error {
	var f session.RecordAsked
	if err := json.Unmarshal(d.Data, &f); err != nil {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("question for a record: %w", err)}
	}
	if err := w.gate.pass(ctx); err != nil {
		return err
	}
	answer := session.RecordSaid{Session: f.Session, N: f.N, At: d.Time, Says: session.RecordUnknown}
	closed, open, err := w.provider.Outcome(ctx, f.Session)
	if err != nil {
		err = failed(ctx, nil, err)
		fl, failed := errors.AsType[*intake.Failure](err)
		if !failed {
			return err
		}
		if fl.Reason == session.ReasonUnavailable || fl.Reason == session.ReasonUnauthorized && !w.gate.usable(ctx, false) {
			return fmt.Errorf("record of session %s: %s", f.Session, fl.Detail)
		}
		w.log.Warn("the provider's record of a fax that nobody has closed cannot be read: the fax ends without it",
			"session", f.Session, "reason", fl.Reason, "detail", fl.Detail)
	}
	switch {
	case open:
		answer.Says = session.RecordOpen
	case closed != nil:
		answer.Says = session.RecordClosed
		if closed.Session != f.Session { // so that the provider's list does not show it as an unknown fax
			if _, err := w.bus.Claim(ctx, session.AliasListed, closed.Session, f.Session); err != nil {
				return err
			}
		}
		closed.Session = f.Session
		w.log.Info("the provider says that a silent fax is over", "session", f.Session, "status", closed.Status, "pages", closed.Pages)
		if _, _, err := w.bus.RecordFact(ctx, *closed); err != nil {
			return err
		}
	}
	_, _, err = w.bus.RecordFact(ctx, answer)
	return err
}
