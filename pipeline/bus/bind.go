package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Claim makes a session the owner of one of the provider's names for a fax. It returns the owner: this session, or the
// session that claimed the name first. The owner never changes. kind is one of session.Alias…; value is the provider's
// text, any text that is not empty. After an error the claim may be stored or not; the same call may be made again.
func (b *Bus) Claim(ctx context.Context, kind, value, id string) (owner string, err error) {
	if !session.ValidToken(id) {
		return "", fmt.Errorf("claim a %s: %q is not a session id", kind, id)
	}
	if owner, err = b.Owner(ctx, kind, value); owner != "" || err != nil {
		return owner, err
	}
	err = b.untilThere(ctx, func() (there bool, err error) {
		m := nats.NewMsg(aliasSubject(kind, value))
		m.Data = []byte(id)
		owner = id
		if _, err = b.groups["KV_"+BucketAliases].publish(ctx, m, 0); errors.Is(err, errConflict) {
			owner, err = b.Owner(ctx, kind, value)
		}
		return owner != "", err
	})
	if err != nil {
		return "", fmt.Errorf("claim a %s for session %s: %w", kind, id, err)
	}
	return owner, nil
}

// Owner returns the session that has claimed a name; empty: no session has.
func (b *Bus) Owner(ctx context.Context, kind, value string) (string, error) {
	if !session.ValidToken(kind) || value == "" {
		return "", fmt.Errorf("read the owner of a %q: the kind is not a token, or the value is empty", kind)
	}
	e, err := b.last(ctx, "KV_"+BucketAliases, aliasSubject(kind, value))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the owner of a %s: %w", kind, err)
	}
	if owner := string(e.Data); session.ValidToken(owner) {
		return owner, nil
	}
	return "", fmt.Errorf("read the owner of a %s: the stored value %q is not a session id", kind, e.Data)
}

// aliasSubject returns the subject with the owner of a name. The name itself is hashed: it may be any text of any length.
func aliasSubject(kind, value string) string {
	sum := sha256.Sum256([]byte(value))
	return "$KV." + BucketAliases + "." + kind + "." + hex.EncodeToString(sum[:16])
}

// noteSubject returns the subject of a small document that processes share. No kind of alias is called "note".
func noteSubject(key string) string { return "$KV." + BucketAliases + ".note." + key }

// Note reads a small document that processes share, and its revision; nil and 0 if nobody has written it.
func (b *Bus) Note(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	e, err := b.last(ctx, "KV_"+BucketAliases, noteSubject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read note %s: %w", key, err)
	}
	return e.Data, e.Sequence, nil
}

// PutNote writes a note if its revision is still the one that Note returned; else ok is false. After an error the note
// may be written or not. key must be a token (session.ValidToken).
func (b *Bus) PutNote(ctx context.Context, key string, data []byte, revision uint64) (next uint64, ok bool, err error) {
	if !session.ValidToken(key) {
		return 0, false, fmt.Errorf("write note %q: the key is not a token", key)
	}
	m := nats.NewMsg(noteSubject(key))
	m.Data = data
	next, err = b.groups["KV_"+BucketAliases].publish(ctx, m, revision)
	if errors.Is(err, errConflict) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("write note %s: %w", key, err)
	}
	return next, true, nil
}

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
	// The first pages of a fax often come together. One asks and binds; the others would only be refused.
	v, err, _ := b.binding.Do(id+" "+token, func() (any, error) { return b.bind(ctx, id, token) })
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

func (b *Bus) bind(ctx context.Context, id, token string) (bound string, err error) {
	err = b.untilThere(ctx, func() (there bool, err error) {
		bound, err = b.tryBind(ctx, id, token)
		return bound != "", err
	})
	if err != nil {
		return "", fmt.Errorf("bind the number of session %s: %w", id, err)
	}
	if bound != session.UnknownToken {
		b.remember(id, bound)
	}
	return bound, nil
}

// tryBind gives the token that is bound; empty: another process binds one at this moment.
func (b *Bus) tryBind(ctx context.Context, id, token string) (string, error) {
	e, err := b.sessions.Get(ctx, id+".to")
	switch {
	case err == nil && session.ValidToken(string(e.Value())):
		return string(e.Value()), nil
	case err == nil:
		return "", fmt.Errorf("the stored value %q is not a token", e.Value())
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return "", err
	case token == "" || token == session.UnknownToken:
		return session.UnknownToken, nil
	}
	m := nats.NewMsg(bindingSubject(id))
	m.Data = []byte(token)
	_, err = b.groups["KV_"+BucketSessions].publish(ctx, m, 0)
	switch {
	case errors.Is(err, errConflict):
		return "", nil
	case err != nil:
		return "", err
	}
	return token, nil
}

// bindingSubject returns the subject with the token of a session's number.
func bindingSubject(id string) string { return ledgerSubject(id) + ".to" }

func (b *Bus) remember(id, token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bound) >= maxBound {
		clear(b.bound)
	}
	b.bound[id] = token
}
