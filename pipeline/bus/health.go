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

// health knows which streams refuse what is published, and whether the embedded server must be restarted.
type health struct {
	life   context.Context // once it ends, failures are those of the stop
	failed chan error      // takes the first reason to restart the embedded server

	mu      sync.Mutex
	refused map[string]error // by stream: how its last publish failed; guarded by mu
	broken  error            // guarded by mu: what failed was told
}

func newHealth(life context.Context) *health {
	return &health{life: life, failed: make(chan error, 1), refused: map[string]error{}}
}

// published notes the outcome of a publish to a stream. A conflict says nothing of the store.
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

// refusing lists the streams whose last publish failed.
func (h *health) refusing() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.refused))
}

// reason is how the last publish to a stream failed; nil when it did not.
func (h *health) reason(stream string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused[stream]
}

// restart notes that the embedded server can never write again.
func (h *health) restart(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil || h.life.Err() != nil {
		return
	}
	h.broken = fmt.Errorf("the embedded NATS server cannot write any more and must be restarted: %w", err)
	h.failed <- h.broken // has room: only the first one comes here
}

func (h *health) mustRestart() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.broken
}

// told watches what the embedded server says for that after which a store takes nothing until the server is started again.
//
// nats-server has no event for a store's write error. Its health report has a stream's error, but only once a publish
// to that stream has met it, and none of consumers. Its log has them all, at once. Version 2.15.2 writes "Critical write
// error" in server/filestore.go, stream.go, raft.go and jetstream_cluster.go, the next one in the health report of monitor.go, and the
// last two in jetstream.go and stream.go before it shuts JetStream down. TestAFullDiskIsToldAtOnce fails when that changes.
func (h *health) told(text string) {
	lower := strings.ToLower(text)
	for _, fatal := range []string{"critical write error", "' write error", "will be disabled", "disabling jetstream"} {
		if strings.Contains(lower, fatal) {
			h.restart(errors.New(text))
			return
		}
	}
}

// Failed receives one error at most: the embedded server cannot write any more, which it never gets over by itself.
// The bus must be closed and opened anew; until then every publish fails. An external server is not watched.
func (b *Bus) Failed() <-chan error { return b.health.failed }

// Ready says why JetStream cannot be relied on now; nil when it can. After a publish to a stream failed it tries that
// stream, so that it turns green without waiting for the next webhook, which may not come while it is red.
func (b *Bus) Ready(ctx context.Context) error {
	if b.nc.Status() != nats.CONNECTED {
		return fmt.Errorf("NATS is %s", b.nc.Status())
	}
	if err := b.server.healthy(); err != nil {
		b.health.told(err.Error())
		return err
	}
	if err := b.health.mustRestart(); err != nil {
		return err
	}
	for _, stream := range b.health.refusing() {
		if b.try(ctx, stream) == nil {
			continue
		}
		if err := b.health.reason(stream); err != nil { // else another publish has succeeded meanwhile
			return fmt.Errorf("the last publish failed: %w", err)
		}
	}
	if _, err := b.js.Stream(ctx, StreamIn); err != nil {
		return fmt.Errorf("stream %s: %w", StreamIn, err)
	}
	return nil
}

// trial ends the subject of a message that is stored only to see whether that works. No consumer takes it, and in a
// bucket of ledgers it is none.
const trial = ".bus.trial"

const (
	trialSize    = 4 << 10 // bytes; more than most messages have, so that a stream where only small ones find room stays red
	trialTimeout = time.Second
)

// try publishes a message that means nothing to a stream, and deletes it again.
func (b *Bus) try(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
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
	if cfg.DenyDelete {
		return nil // a bucket, which keeps only the last one
	}
	if err := stream.DeleteMsg(ctx, ack.Sequence); err != nil {
		b.log.Warn("a message of the readiness check is left over", "stream", name, "sequence", ack.Sequence, "err", err)
	}
	return nil
}
