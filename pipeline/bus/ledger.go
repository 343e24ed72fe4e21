package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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

// ledgersAtOnce is how many ledgers are on their way to one reader: a KV watch would have up to 32 MB of them in memory.
const ledgersAtOnce = 256

// Ledgers calls f with every existing ledger and then with every change, until ctx ends or Close begins; then it returns nil.
// It calls caught once, after all existing ledgers. f must not block for long.
func (b *Bus) Ledgers(ctx context.Context, f func(session.State), caught func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cons, err := b.js.OrderedConsumer(ctx, "KV_"+BucketSessions, jetstream.OrderedConsumerConfig{FilterSubjects: []string{ledgerSubject("*")}})
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", BucketSessions, err)
	}
	left := cons.CachedInfo().NumPending // existing ledgers that f has not got
	if left == 0 {
		caught()
	}
	var mu sync.Mutex // after a reconnect, the next consumer may call before the last call has returned
	ended := false
	run, err := cons.Consume(func(m jetstream.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if ended || ctx.Err() != nil {
			return
		}
		meta, err := m.Metadata()
		var s session.State
		if err == nil {
			s, err = session.ParseState(m.Data())
		}
		if err != nil {
			cancel(fmt.Errorf("read ledger of %s: %w", strings.TrimPrefix(m.Subject(), ledgerSubject("")), err))
			return
		}
		f(s)
		if left == 0 {
			return
		}
		if left--; meta.NumPending == 0 {
			left = 0
		}
		if left == 0 {
			caught()
		}
	}, jetstream.PullMaxMessages(ledgersAtOnce))
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", BucketSessions, err)
	}
	select {
	case <-ctx.Done():
	case <-b.life.Done():
	case <-run.Closed(): // the connection is closed for good
		cancel(fmt.Errorf("watch bucket %s: the watch ended", BucketSessions))
	}
	mu.Lock()
	ended = true // f is not called any more
	mu.Unlock()
	go run.Stop() // it waits while the servers do not answer
	if b.life.Err() != nil {
		return nil
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
