package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

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

// Forgetter removes all messages of a session from JetStream.
type Forgetter interface {
	// Forget may be repeated.
	Forget(ctx context.Context, id string) error
}

// Custodian carries out holds, releases and purges. An order is stored in FAX_AUDIT first. From there the custodian takes one order after
// the other. It writes the order into the fax's log in the archive, and the log decides what counts. It records a fact, which updates the
// ledger. Last, it holds, releases or deletes the objects, as the log says. After a crash the next delivery does the steps that are left.
type Custodian struct {
	Rules     Rules
	Guard     *Guard
	Facts     Facts
	Forgetter Forgetter
	Traces    func(ctx context.Context, id string) (file string, indexed time.Time, err error) // recovery.Traces on the archive
	Log       *slog.Logger
}

// ordered writes an order into the log. If the archive is too damaged for it, the order becomes a dead letter: later orders do not wait
// until the archive is repaired.
func (c *Custodian) ordered(ctx context.Context, d bus.Delivery) error {
	return unlessBroken(c.order(ctx, d))
}

// changed carries out the log after an order was written into it.
func (c *Custodian) changed(ctx context.Context, d bus.Delivery) error {
	return unlessBroken(c.carryOut(ctx, d))
}

// unlessBroken makes a dead letter of an error that says that the archive is damaged.
func unlessBroken(err error) error {
	if _, dead := errors.AsType[bus.Dead](err); !dead && Damaged(err) {
		return bus.Dead{Reason: session.ReasonLost, Err: err}
	}
	return err
}

// order writes an order into the log of the fax, and into the logs of the sessions that were folded into it: their pages belong to the
// same fax.
func (c *Custodian) order(ctx context.Context, d bus.Delivery) error {
	var a session.Action
	if err := json.Unmarshal(d.Data, &a); err != nil || !session.ValidToken(a.Session) || !slices.Contains(keepLog().Kinds, a.Kind) {
		if err == nil {
			err = errors.New("the session or the kind of order is invalid")
		}
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("order %q about session %q: %w", a.Kind, a.Session, err)}
	}
	ids, err := archive.FoldedInto(ctx, c.Rules.Archive, a.Session)
	if err != nil {
		return err
	}
	// The session that the order names comes last: when its log has the order, the logs of all sessions of the fax have it.
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

// enter writes an order into the log of one session and records the fact that has it carried out. named: the order names this session.
func (c *Custodian) enter(ctx context.Context, e session.KeepEntry, named bool) error {
	last, err := appendLog(ctx, c.Rules.Archive, e)
	if err != nil {
		return err
	}
	switch {
	case e.Kind == session.ActionPurged && last.Kind == session.ActionHeld:
		return bus.Dead{Reason: session.ReasonKept, Err: fmt.Errorf("purge ordered by %s: %w: %s", e.By, session.ErrKept, last)}
	case e.Kind != session.ActionPurged && last.Kind == session.ActionPurged && !named:
		return nil // this part of the fax was purged separately
	case e.Kind != session.ActionPurged && last.Kind == session.ActionPurged:
		err := fmt.Errorf("a purged fax cannot be %s: %w", e.Kind, archive.PurgedError{Entry: last})
		return bus.Dead{Reason: session.ReasonPurged, Err: err}
	}
	c.Guard.forget(e.Session)
	_, _, err = c.Facts.RecordFact(ctx, factOf(e))
	return err
}

// factOf returns the fact about an entry. Its name has the time of the order: sequences start again if FAX_AUDIT was lost, and an order
// that is retried from a dead letter has no sequence.
func factOf(e session.KeepEntry) session.Kept {
	return session.Kept{Session: e.Session, Kind: e.Kind, Asked: e.Asked + "-" + strconv.FormatInt(e.At.UnixNano(), 10), At: e.At}
}

// FollowPurge purges session s if the session that it was folded into is purged: both are the same fax. It does not purge s if s is under
// legal hold.
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

// prepare checks if a fax may be purged, and adds to the entry what must be known after the purge. If a hold comes at the same time, the
// log decides: the entry that is written first counts.
func (c *Custodian) prepare(ctx context.Context, e *session.KeepEntry) error {
	log, err := c.Rules.Log(ctx, e.Session)
	if err != nil {
		return err
	}
	for _, o := range log {
		if o.Same(*e) || o.Kind == session.ActionPurged {
			return nil // it was allowed before, and part of it is done
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

// carryOut has the store do what the log says, whichever order the fact is about: now, and again when every process knows about the order.
func (c *Custodian) carryOut(ctx context.Context, d bus.Delivery) error {
	var f session.Kept
	if err := json.Unmarshal(d.Data, &f); err != nil || !session.ValidToken(f.Session) {
		if err == nil {
			err = errors.New("the session is invalid")
		}
		return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("fact about session %q: %w", f.Session, err)}
	}
	log, err := c.Rules.Log(ctx, f.Session)
	if err != nil {
		return err
	}
	if len(log) == 0 {
		return bus.Dead{Reason: session.ReasonLost, Err: fmt.Errorf(
			"session %s was %s, but its log is missing in the archive: restore %s%s/ from a copy of the archive",
			f.Session, f.Kind, LogPrefix, f.Session)}
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
	c.Log.Info("order carried out on the archive", "session", f.Session, "action", last.Kind, "by", last.By)
	if again := settled - time.Since(d.Time); again > 0 {
		return bus.Later{After: again}
	}
	return nil
}

func (c *Custodian) hold(ctx context.Context, id string, on bool) error {
	err := c.Rules.Remover.Hold(ctx, archive.FaxPrefix(id), on)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // then only the log holds the fax
	}
	return err
}

func (c *Custodian) purge(ctx context.Context, e session.KeepEntry) error {
	names := []string{archive.FaxPrefix(e.Session), deskPrefix(e.Session)}
	if !e.Indexed.IsZero() {
		names = append(names, archive.IndexKey(e.Indexed, e.Session))
	}
	var kept error // what the store keeps does not keep the rest
	for _, name := range names {
		switch err := c.Rules.Remover.Delete(ctx, name); {
		case errors.Is(err, session.ErrKept):
			kept = err
		case err != nil:
			return fmt.Errorf("purge session %s: %w", e.Session, err)
		}
	}
	if err := c.Forgetter.Forget(ctx, e.Session); err != nil || kept == nil {
		return err
	}
	return bus.Dead{Reason: session.ReasonKept, Err: fmt.Errorf(
		"session %s is only partly purged: %w; order the purge again when the store allows it", e.Session, kept)}
}

// Consumptions are the custodian's durables. It writes orders one after the other, and carries them out in parallel.
func (c *Custodian) Consumptions() []bus.Consumption {
	return []bus.Consumption{
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamAudit, Durable: "keep",
				Filter: []string{session.TypeAuditKeep + ".>"}, Ordered: true,
			},
			Handle: c.ordered,
		},
		{
			Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "kept", Filter: []string{session.TypeKept + ".>"}, Workers: 2},
			Handle:   c.changed,
		},
	}
}
