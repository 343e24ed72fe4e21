package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// maxBound is how many bindings are held in memory; others are read again.
const maxBound = 50_000

// Bind returns the subject token of the session's number. The first call with a token that is not empty and not
// UnknownToken binds that token, for all processes and for ever. Before it, every call returns UnknownToken.
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
		return "", fmt.Errorf("bind the number of session %s: the stored value %q is not a token", id, token)
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
