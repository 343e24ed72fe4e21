package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

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

// NextLedger reads the first ledger whose revision is from or a later one. Ledgers come in the order in which they were saved last. ok is
// false if there is no such ledger. Data is that of session.State.Marshal, and Sequence the revision.
func (b *Bus) NextLedger(ctx context.Context, from uint64) (s Stored, ok bool, err error) {
	s, err = b.message(ctx, "KV_"+BucketSessions, map[string]any{"seq": max(from, 1), "next_by_subj": ledgerSubject("*")})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Stored{}, false, nil
	}
	if err != nil {
		return Stored{}, false, fmt.Errorf("read the ledger after revision %d: %w", from, err)
	}
	return s, true, nil
}

// RemoveLedger removes a session's ledger, unless it was saved again after revision: then it stays, and removed is false. The next Load
// gives a new ledger and revision 0, and a Save with an older revision is ErrStale. Watchers of ledgers hear nothing of it, also those of
// older versions: no marker stands for the ledger. The binding of the session's number stays. It may be repeated.
func (b *Bus) RemoveLedger(ctx context.Context, id string, revision uint64) (removed bool, err error) {
	if !session.ValidToken(id) || revision == 0 {
		return false, fmt.Errorf("remove the ledger of %q, revision %d: want a session id and a revision of its ledger", id, revision)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, "KV_"+BucketSessions)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(ledgerSubject(id)), jetstream.WithPurgeSequence(revision+1))
	}
	if err == nil {
		_, err = b.last(ctx, "KV_"+BucketSessions, ledgerSubject(id))
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove the ledger of %s: %w", id, err)
	}
	return false, nil
}

// ledgersAtOnce is how many ledgers are on their way to one reader: a KV watch would have up to 32 MB of them in memory.
const ledgersAtOnce = 256

// quietLedgers is how long no existing ledger comes before Ledgers asks if there are any left: those that it waits for may have been
// removed.
const quietLedgers = 2 * time.Second

// Ledgers calls f with every existing ledger and then with every change, until ctx ends or Close begins; then it returns nil.
// It calls caught once, after all existing ledgers. f must not block for long. It does not tell of ledgers that RemoveLedger removes, and
// logs those that are unreadable.
func (b *Bus) Ledgers(ctx context.Context, f func(session.State), caught func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cons, err := b.js.OrderedConsumer(ctx, "KV_"+BucketSessions, jetstream.OrderedConsumerConfig{FilterSubjects: []string{ledgerSubject("*")}})
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", BucketSessions, err)
	}
	r := &ledgerReader{f: f, caught: caught, log: b.log, left: cons.CachedInfo().NumPending}
	if r.left == 0 {
		caught()
	}
	run, err := cons.Consume(func(m jetstream.Msg) {
		if err := r.take(ctx, m); err != nil {
			cancel(fmt.Errorf("read ledger of %s: %w", strings.TrimPrefix(m.Subject(), ledgerSubject("")), err))
		}
	}, jetstream.PullMaxMessages(ledgersAtOnce))
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", BucketSessions, err)
	}
	go r.lookOften(ctx, cons)
	select {
	case <-ctx.Done():
	case <-b.life.Done():
	case <-run.Closed(): // the connection is closed for good
		cancel(fmt.Errorf("watch bucket %s: the watch ended", BucketSessions))
	}
	r.end()
	go run.Stop() // it waits while the servers do not answer
	if b.life.Err() != nil {
		return nil
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// ledgerReader is one call of Ledgers.
type ledgerReader struct {
	f      func(session.State)
	caught func()
	log    *slog.Logger

	mu    sync.Mutex // after a reconnect, the next consumer may call before the last call has returned
	left  uint64     // guarded by mu: existing ledgers that f has not got
	came  bool       // guarded by mu: a ledger came since the last look
	empty bool       // guarded by mu: none was left at the last look; those on their way come before the next one
	ended bool       // guarded by mu: f is not called any more
}

// take hands a ledger to f.
func (r *ledgerReader) take(ctx context.Context, m jetstream.Msg) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || ctx.Err() != nil {
		return nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	s, err := session.ParseState(m.Data())
	if err != nil { // of one fax, which must not hide all others: Load of it fails
		r.log.Error("a ledger in JetStream was overwritten or deleted by another program: its fax is not listed, and waits for a person",
			"ledger", m.Subject(), "err", err)
	} else {
		r.f(s)
	}
	r.came, r.empty = true, false
	if r.left == 0 {
		return nil
	}
	if r.left--; meta.NumPending == 0 {
		r.left = 0
	}
	if r.left == 0 {
		r.caught()
	}
	return nil
}

// lookOften looks until all existing ledgers are read, or ctx ends.
func (r *ledgerReader) lookOften(ctx context.Context, cons jetstream.Consumer) {
	tick := time.NewTicker(quietLedgers)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !r.look(ctx, cons) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// look ends the wait for existing ledgers that have been removed meanwhile: none came since the last look, and none is left. It reports
// whether there must be another look.
func (r *ledgerReader) look(ctx context.Context, cons jetstream.Consumer) (again bool) {
	r.mu.Lock()
	came, left := r.came, r.left
	r.came = false
	r.mu.Unlock()
	if left == 0 || came {
		return left > 0
	}
	info, err := cons.Info(ctx)
	if err != nil || info.NumPending > 0 {
		return true // the server does not answer at this moment, or delivers them yet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.came || r.left == 0 || r.ended {
		return r.left > 0
	}
	if !r.empty {
		r.empty = true
		return true
	}
	r.left = 0
	r.caught()
	return false
}

func (r *ledgerReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}
