package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Facts records facts.
type Facts interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was. It may be repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// Forgetter removes what JetStream holds of a session.
type Forgetter interface {
	Forget(ctx context.Context, id string) error
}

// Custodian carries out holds, releases and purges. An order is stored in FAX_AUDIT first; from there, one order after another, it gets into
// the fax's log in the archive, which decides; then its fact tells the ledger, and lets the objects be held, released or deleted as the log
// says. A crash between any two of these does the rest at the next delivery.
type Custodian struct {
	Rules     Rules
	Guard     *Guard
	Facts     Facts
	Forgetter Forgetter
	Traces    func(ctx context.Context, id string) (file string, indexed time.Time, err error) // as recovery.Traces
	Log       *slog.Logger
}

// ordered enters an order. One that the archive is too damaged for is buried: those behind it do not wait for a repair.
func (c *Custodian) ordered(ctx context.Context, d bus.Delivery) error {
	return unlessBroken(c.order(ctx, d))
}

// changed carries out what an order has entered.
func (c *Custodian) changed(ctx context.Context, d bus.Delivery) error {
	return unlessBroken(c.carryOut(ctx, d))
}

func unlessBroken(err error) error {
	if _, dead := errors.AsType[bus.Dead](err); !dead && Damaged(err) {
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// order writes an order into the fax's log, and into those of the sessions that were folded into it: their pages are the same fax.
func (c *Custodian) order(ctx context.Context, d bus.Delivery) error {
	var a session.Action
	if err := json.Unmarshal(d.Data, &a); err != nil || !session.ValidToken(a.Session) || !isKind(a.Kind) {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("order %q about session %q: %w", a.Kind, a.Session, err)}
	}
	ids, err := archive.FoldedInto(ctx, c.Rules.Archive, a.Session)
	if err != nil {
		return err
	}
	// The session that was named comes last: when its log has the order, those of all its fax's sessions have it.
	var entries []session.KeepEntry
	for _, id := range append(ids, a.Session) {
		entries = append(entries, session.KeepEntry{
			Session: id, Kind: a.Kind, By: a.By, Why: a.Why, At: d.Time.UTC(), Asked: "a" + strconv.FormatUint(d.Sequence, 10),
		})
	}
	if a.Kind == session.ActionPurged {
		for i := range entries {
			if err := c.prepare(ctx, &entries[i]); err != nil {
				return err
			}
		}
	}
	for _, e := range entries {
		if err := c.enter(ctx, e, e.Session == a.Session); err != nil {
			return err
		}
	}
	return nil
}

// enter writes an order into the log of one session, and lets it be carried out. named: the order names this session.
func (c *Custodian) enter(ctx context.Context, e session.KeepEntry, named bool) error {
	last, err := appendLog(ctx, c.Rules.Archive, e)
	if err != nil {
		return err
	}
	switch {
	case e.Kind == session.ActionPurged && last.Kind == session.ActionHeld:
		return bus.Dead{Reason: session.ReasonKept, Err: fmt.Errorf("purge ordered by %s: %w: %s", e.By, session.ErrKept, last)}
	case e.Kind != session.ActionPurged && last.Kind == session.ActionPurged && !named:
		return nil // it was purged by itself
	case e.Kind != session.ActionPurged && last.Kind == session.ActionPurged:
		return bus.Dead{Reason: session.ReasonPurged, Err: fmt.Errorf("it cannot be %s: %w", e.Kind, archive.PurgedError{Entry: last})}
	}
	c.Guard.forget(e.Session)
	_, _, err = c.Facts.RecordFact(ctx, factOf(e))
	return err
}

// factOf tells of an entry. Its name has the order's time: sequences begin anew when FAX_AUDIT was lost, and an order that died and is
// made again has none.
func factOf(e session.KeepEntry) session.Kept {
	return session.Kept{Session: e.Session, Kind: e.Kind, Asked: e.Asked + "-" + strconv.FormatInt(e.At.UnixNano(), 10), At: e.At}
}

// FollowPurge purges a session that turned out to be a fax that was purged under another one, unless it is held itself.
func FollowPurge(ctx context.Context, a archive.Store, facts Facts, s session.State) error {
	e, err := LastEntry(ctx, a, s.FoldedInto)
	if err != nil || e.Kind != session.ActionPurged {
		return err
	}
	e.Session, e.File, e.Indexed = s.Session, "", time.Time{}
	last, err := appendLog(ctx, a, e)
	if err != nil || last.Kind != session.ActionPurged {
		return err
	}
	_, _, err = facts.RecordFact(ctx, factOf(e))
	return err
}

// prepare looks whether a fax may be purged, and notes what must be known afterwards. The log decides between this purge and a hold that
// comes at the same time: whichever is written first.
func (c *Custodian) prepare(ctx context.Context, e *session.KeepEntry) error {
	log, err := c.Rules.Log(ctx, e.Session)
	if err != nil {
		return err
	}
	for _, o := range log {
		if o.Same(*e) || o.Kind == session.ActionPurged {
			return nil // it was allowed, and part of it is done
		}
	}
	if err := c.Rules.Purgeable(ctx, e.Session, e.At); errors.Is(err, session.ErrKept) {
		return bus.Dead{Reason: session.ReasonKept, Err: fmt.Errorf("purge ordered by %s: %w", e.By, err)}
	} else if err != nil {
		return err
	}
	e.File, e.Indexed, err = c.Traces(ctx, e.Session)
	return err
}

// carryOut lets the store do what the log says, whichever order brought us here: now, and once more when every process knows of it.
func (c *Custodian) carryOut(ctx context.Context, d bus.Delivery) error {
	var f session.Kept
	if err := json.Unmarshal(d.Data, &f); err != nil || !session.ValidToken(f.Session) {
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("fact about session %q: %w", f.Session, err)}
	}
	log, err := c.Rules.Log(ctx, f.Session)
	if err != nil {
		return err
	}
	if len(log) == 0 {
		return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf("session %s was %s, and the archive's log of that is gone", f.Session, f.Kind)}
	}
	last := log[len(log)-1]
	c.Guard.forget(f.Session)
	if last.Kind == session.ActionPurged {
		err = c.purge(ctx, last)
	} else {
		err = c.hold(ctx, f.Session, last.Kind == session.ActionHeld)
	}
	if err != nil {
		return err
	}
	c.Log.Info("kept as ordered", "session", f.Session, "action", last.Kind, "by", last.By)
	if again := settled - time.Since(d.Time); again > 0 {
		return bus.Later{After: again}
	}
	return nil
}

func (c *Custodian) hold(ctx context.Context, id string, on bool) error {
	err := c.Rules.Remover.Hold(ctx, archive.FaxPrefix(id), on)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // the log is what holds then
	}
	return err
}

func (c *Custodian) purge(ctx context.Context, e session.KeepEntry) error {
	names := []string{archive.FaxPrefix(e.Session)}
	if !e.Indexed.IsZero() {
		names = append(names, archive.IndexKey(e.Indexed, e.Session))
	}
	for _, name := range names {
		if err := c.Rules.Remover.Delete(ctx, name); errors.Is(err, session.ErrKept) {
			return bus.Dead{Reason: session.ReasonKept, Err: fmt.Errorf(
				"session %s is purged in part: %w; ask for the purge again when the store lets it go", e.Session, err)}
		} else if err != nil {
			return fmt.Errorf("purge session %s: %w", e.Session, err)
		}
	}
	return c.Forgetter.Forget(ctx, e.Session)
}

// Consumptions are the custodian's durables: orders one after another, what they let be done side by side.
func (c *Custodian) Consumptions() []bus.Consumption {
	return []bus.Consumption{
		{Consumer: bus.Consumer{Stream: bus.StreamAudit, Durable: "keep", Filter: []string{session.TypeAuditKeep + ".>"}, Ordered: true}, Handle: c.ordered},
		{Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "kept", Filter: []string{session.TypeKept + ".>"}, Workers: 2}, Handle: c.changed},
	}
}
