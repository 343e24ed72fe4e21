package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// ErrSwapped: somebody else changed the ledger since it was loaded. Load it again and fold anew.
var ErrSwapped = errors.New("the ledger was changed meanwhile")

// Load reads a session's ledger and its revision from the bucket's leader, since a replica may be behind. A session that has none
// gets a new one, revision 0.
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

// Save swaps a session's ledger if its revision is still the one that Load gave, and returns the new revision.
// ErrSwapped when it is not. After any other error the ledger may have been swapped all the same.
func (b *Bus) Save(ctx context.Context, s session.State, revision uint64) (uint64, error) {
	data, err := s.Marshal()
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(ledgerSubject(s.Session))
	m.Data = data
	next, err := b.groups["KV_"+BucketSessions].publish(ctx, m, revision)
	if errors.Is(err, errConflict) {
		return 0, fmt.Errorf("save ledger of %s: %w", s.Session, ErrSwapped)
	}
	if err != nil {
		return 0, fmt.Errorf("save ledger of %s: %w", s.Session, err)
	}
	return next, nil
}

// maxBound is how many bindings are remembered; a forgotten one is read again.
const maxBound = 50_000

// Bind returns the subject token of the session's number. The first process to bring a token that is not
// UnknownToken binds it for all and for ever; before that everybody gets UnknownToken.
func (b *Bus) Bind(ctx context.Context, id, token string) (string, error) {
	b.mu.Lock()
	bound := b.bound[id]
	b.mu.Unlock()
	if bound != "" {
		return bound, nil
	}
	key := id + ".to"
	e, err := b.sessions.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if token == "" || token == session.UnknownToken {
			return session.UnknownToken, nil
		}
		m := nats.NewMsg("$KV." + BucketSessions + "." + key)
		m.Data = []byte(token)
		if _, err = b.groups["KV_"+BucketSessions].publish(ctx, m, 0); err == nil {
			b.remember(id, token)
			return token, nil
		}
		if errors.Is(err, errConflict) {
			e, err = b.sessions.Get(ctx, key)
		}
	}
	if err != nil {
		return "", fmt.Errorf("bind the number of session %s: %w", id, err)
	}
	token = string(e.Value())
	if !session.ValidToken(token) {
		return "", fmt.Errorf("bind the number of session %s: %q is no token", id, token)
	}
	b.remember(id, token)
	return token, nil
}

func (b *Bus) remember(id, token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bound) >= maxBound {
		clear(b.bound)
	}
	b.bound[id] = token
}

// Ledgers calls f with every ledger that there is and then with every change, until ctx ends or Close begins. caught is called once,
// when all that was there has been seen. f must not block for long.
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
			case !ok && ctx.Err() != nil: // it ends the watch too, and may be seen here first
				return nil
			case !ok:
				return fmt.Errorf("watch bucket %s: the watch ended", BucketSessions)
			case e == nil:
				caught()
			case session.ValidToken(e.Key()): // others are bindings
				s, err := session.ParseState(e.Value())
				if err != nil {
					return fmt.Errorf("ledger of %s: %w", e.Key(), err)
				}
				f(s)
			}
		}
	}
}
