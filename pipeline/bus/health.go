package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// health knows which streams refuse publishes, and whether the embedded server must be restarted.
type health struct {
	life   context.Context // after its end, failures are part of the stop and do not count
	failed chan error      // gets the first reason to restart the embedded server

	mu      sync.Mutex
	refused map[string]error // stream: the error of its last publish; guarded by mu
	broken  error            // the reason that was sent to failed; guarded by mu
}

func newHealth(life context.Context) *health {
	return &health{life: life, failed: make(chan error, 1), refused: map[string]error{}}
}

// published records the result of a publish to a stream. A conflict says nothing about the store.
func (h *health) published(stream string, err error) {
	if errors.Is(err, errConflict) || h.life.Err() != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.refused, stream)
		return
	}
	h.refused[stream] = err
}

// refusing returns the streams whose last publish failed.
func (h *health) refusing() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.refused))
}

// reason returns the error of the last publish to a stream; nil if it succeeded.
func (h *health) reason(stream string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[stream]
}

// restart records that the embedded server can never write again.
func (h *health) restart(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil || h.life.Err() != nil {
		return
	}
	h.broken = fmt.Errorf("the embedded NATS server cannot write any more; restart the process: %w", err)
	h.failed <- h.broken // never blocks: only the first error comes here
}

func (h *health) mustRestart() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.broken
}

// told searches the embedded server's log and health report for errors after which a store accepts nothing until the
// server is restarted.
//
// nats-server has no event for a write error of a store. Its health report has the error of a stream, but only after a
// publish to that stream failed, and no error of a consumer. Its log has all of them at once. Version 2.15.2 writes
// "Critical write error" in server/filestore.go, stream.go, raft.go and jetstream_cluster.go, the next text in the health
// report of monitor.go, and the last two in jetstream.go and stream.go before it shuts JetStream down.
// TestAFullDiskIsToldAtOnce fails if that changes.
func (h *health) told(text string) {
	lower := strings.ToLower(text)
	for _, fatal := range []string{"critical write error", "' write error", "will be disabled", "disabling jetstream"} {
		if strings.Contains(lower, fatal) {
			h.restart(errors.New(text))
			return
		}
	}
}

// Failed returns a channel that gets at most one error: the embedded server cannot write any more, and this does not go
// away. Close the bus and open it again; until then every publish fails. An external server is not watched.
func (b *Bus) Failed() <-chan error { return b.health.failed }

// Ready returns nil if JetStream works, else an error that says why not. If the last publish to a stream failed, Ready
// publishes a test message there: so it succeeds again without a webhook, which may not come while it fails.
func (b *Bus) Ready(ctx context.Context) error {
	if err := b.stores(ctx, b.health.refusing()); err != nil {
		return err
	}
	return b.watched.trouble()
}

// Takes is Ready for what comes from outside: it returns nil if facts of the provider can be stored, whatever else does not work.
func (b *Bus) Takes(ctx context.Context) error {
	return b.stores(ctx, slices.DeleteFunc(b.health.refusing(), func(stream string) bool { return stream != StreamIn }))
}

// stores returns nil if messages can be stored. refusing are the streams that matter and whose last publish failed.
func (b *Bus) stores(ctx context.Context, refusing []string) error {
	if b.nc.Status() != nats.CONNECTED {
		return fmt.Errorf("the connection to NATS is %s: look at the NATS servers", strings.ToLower(b.nc.Status().String()))
	}
	if err := b.server.healthy(); err != nil {
		b.health.told(err.Error())
		return err
	}
	if err := b.health.mustRestart(); err != nil {
		return err
	}
	for _, stream := range refusing {
		if b.try(ctx, stream) == nil {
			continue
		}
		if err := b.health.reason(stream); err != nil { // nil: another publish has succeeded since
			return fmt.Errorf("NATS does not store what is to go into %s: %w", stream, err)
		}
	}
	if _, err := b.js.Stream(ctx, StreamIn); err != nil {
		return fmt.Errorf("stream %s: %w", StreamIn, err)
	}
	return nil
}

// trial ends the subject of a test message of the readiness check. No consumer receives it, and in a bucket of ledgers it
// is not a ledger.
const trial = ".bus.trial"

// IsTrial reports whether a subject is that of a test message.
func IsTrial(subject string) bool { return strings.HasSuffix(subject, trial) }

const (
	trialSize    = 4 << 10     // bytes; larger than most messages: a stream that has space only for small ones must not count as ready
	trialTimeout = time.Second // unless who asks has a deadline
)

// try publishes a test message to a stream, and deletes it again.
func (b *Bus) try(ctx context.Context, name string) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, trialTimeout)
		defer cancel()
	}
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	cfg := stream.CachedInfo().Config
	m := nats.NewMsg(strings.TrimSuffix(cfg.Subjects[0], ".>") + trial)
	m.Data = make([]byte, trialSize)
	ack, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(name))
	if err != nil {
		return err
	}
	b.health.published(name, nil)
	if cfg.DenyDelete || b.cfg.Join {
		return nil // a bucket, which has only the last message of a subject; or a process that has no right to delete what was stored
	}
	if err := stream.DeleteMsg(ctx, ack.Sequence); err != nil {
		b.log.Warn("deleting a test message of the readiness check failed", "stream", name, "sequence", ack.Sequence, "err", err)
	}
	return nil
}
