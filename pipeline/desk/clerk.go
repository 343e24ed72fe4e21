package desk

import (
	"context"
	"errors"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Facts records facts.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// Clerk writes what people say about faxes into the logs, one order after the other, and has the ledger follow.
type Clerk struct {
	Archive archive.Store // refuses objects of purged faxes
	Facts   Facts
}

// ordered writes an order into the log of its fax and records what the log says now. If the log is damaged, the order becomes a dead
// letter: orders about other faxes do not wait until it is repaired.
func (c *Clerk) ordered(ctx context.Context, d bus.Delivery) error {
	a, err := bus.ParseOrder(d, func(a session.Action) error {
		if a.Work == nil {
			return errors.New("it changes nothing")
		}
		return a.Work.Check()
	})
	if err != nil {
		return err
	}
	w, err := c.enter(ctx, session.DeskEntry{
		Session: a.Session, By: a.By, At: d.Time.UTC(), Asked: "a" + strconv.FormatUint(d.Sequence, 10), WorkChange: *a.Work,
	})
	switch {
	case errors.Is(err, archive.ErrPurged):
		return bus.Dead{Reason: session.ReasonPurged, Err: err}
	case errors.Is(err, ErrFull):
		return bus.Dead{Reason: session.ReasonBadRequest, Err: err}
	case Damaged(err):
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	case err != nil:
		return err
	}
	_, _, err = c.Facts.RecordFact(ctx, session.Desk{Session: a.Session, Work: w})
	return err
}

// enter adds an entry whose note is in the archive: an entry without its note would damage the log.
func (c *Clerk) enter(ctx context.Context, e session.DeskEntry) (session.Work, error) {
	if e.Note != nil {
		if _, err := readNote(ctx, c.Archive, e.Session, *e.Note); err != nil {
			return session.Work{}, err
		}
	}
	return add(ctx, c.Archive, e)
}

// Consumptions are the clerk's durables.
func (c *Clerk) Consumptions() []bus.Consumption {
	return []bus.Consumption{{
		Consumer: bus.Consumer{
			Stream: bus.StreamAudit, Durable: "desk", Filter: []string{session.TypeAuditDesk + ".>"}, Ordered: true,
		},
		Handle: c.ordered,
	}}
}
