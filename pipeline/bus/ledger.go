package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// ErrStale means that the ledger in hand may not be the newest: load it again and fold the events again. Nothing was saved.
var ErrStale = errors.New("the ledger may have changed since it was loaded")

// Load reads a session's ledger and its revision from the bucket's leader, since a replica may be behind. If there is no ledger,
// it returns a new one and revision 0.
func (b *Bus) Load(ctx context.Context, id string) (session.State, uint64, error) {
	e, err := b.last(ctx, "KV_"+BucketSessions, ledgerSubject(id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return session.State{Session: id}, 0, nil
	}
	if err != nil {
		return session.State{}, 0, fmt.Errorf("load ledger of %s: %w", id, err)
	}
	s, err := session.ParseState(e.Data)
	if err != nil {
		return session.State{}, 0, fmt.Errorf("load ledger of %s: %w", id, err)
	}
	return s, e.Sequence, nil
}

func ledgerSubject(id string) string { return "$KV." + BucketSessions + "." + id }

// Save replaces a session's ledger if its revision is still the one that Load returned, and returns the new revision; else
// the error matches ErrStale. After any other error the ledger may be replaced or not.
func (b *Bus) Save(ctx context.Context, s session.State, revision uint64) (uint64, error) {
	data, err := s.Marshal()
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(ledgerSubject(s.Session))
	m.Data = data
	next, err := b.groups["KV_"+BucketSessions].publish(ctx, m, revision)
	if errors.Is(err, errConflict) {
		return 0, fmt.Errorf("save ledger of %s: %w", s.Session, ErrStale)
	}
	if err != nil {
		return 0, fmt.Errorf("save ledger of %s: %w", s.Session, err)
	}
	return next, nil
}

// Ledgers calls f with every existing ledger and then with every change, until ctx ends or Close begins; then it returns nil.
// It calls caught once, after all existing ledgers. f must not block for long.
func (b *Bus) Ledgers(ctx context.Context, f func(session.State), caught func()) error {
	w, err := b.sessions.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", BucketSessions, err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.life.Done():
			return nil
		case e, ok := <-w.Updates():
			switch {
			case !ok && ctx.Err() != nil: // the end of ctx also ends the watch
				return nil
			case !ok:
				return fmt.Errorf("watch bucket %s: the watch ended", BucketSessions)
			case e == nil:
				caught()
			case session.ValidToken(e.Key()): // other keys are bindings
				s, err := session.ParseState(e.Value())
				if err != nil {
					return fmt.Errorf("read ledger of %s: %w", e.Key(), err)
				}
				f(s)
			}
		}
	}
}
