package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is a durable consumer of this process. Other programs may delete, pause or edit what is on the server.
type durable struct {
	want Consumer
	busy atomic.Int32 // handlers that run

	mu     sync.Mutex
	cons   jetstream.Consumer // as it was last found or made; guarded by mu
	look   look               // the last one; guarded by mu
	warned time.Time          // when a failed fetch was last logged as a warning; guarded by mu

	mending sync.Mutex // one worker asks the server; the others wait and then use its result
}

func newDurable(c Consumer, cons jetstream.Consumer) *durable {
	return &durable{want: c, cons: cons, look: look{at: time.Now(), info: cons.CachedInfo()}.after(look{}, nil, false)}
}

func (d *durable) consumer() jetstream.Consumer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cons
}

// warnEvery limits the warnings of one durable: each of its workers fails twice a second while its consumer cannot be used.
const warnEvery = time.Minute

// level is the level for the next log line about a failed fetch.
func (d *durable) level() slog.Level {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.warned) < warnEvery {
		return slog.LevelDebug
	}
	d.warned = time.Now()
	return slog.LevelWarn
}

// mend looks at a consumer whose messages cannot be fetched, and makes it again if it is gone.
func (b *Bus) mend(d *durable) {
	if !d.mending.TryLock() {
		return
	}
	defer d.mending.Unlock()
	b.lookAt(b.life, d)
}

// errLostConsumer is the server's code for a consumer that it cannot make. It has it also for a name whose old files it cannot read,
// such as after a change of the encryption key.
const errLostConsumer jetstream.ErrorCode = 10012

// maxNames is how many names a durable can have, one after another.
const maxNames = 9

// durable finds a durable consumer and updates it, or makes it. A new one begins after the last message that the lost one had
// settled, as far as that is known, else at the first message: handlers allow repeats. If the server refuses the name, the
// consumer gets the same name with a number.
func (b *Bus) durable(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	cons, err := b.findOrMake(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("create or update consumer %s of %s: %w", c.Durable, c.Stream, err)
	}
	return cons, nil
}

func (b *Bus) findOrMake(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	at, err := b.position(ctx, c)
	if err != nil {
		return nil, err
	}
	cfg := c.config()
	cfg.Durable = cmp.Or(at.Name, c.Durable)
	cons, err := b.update(ctx, c.Stream, cfg)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return cons, err
	}
	if at.Floor > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, at.Floor+1
	}
	cons, err = b.make(ctx, c, cfg)
	if err == nil && at.Name != "" {
		b.log.Warn("a durable consumer was lost and is made again", "consumer", cons.CachedInfo().Name, "stream", c.Stream,
			"from_sequence", max(cfg.OptStartSeq, 1))
	}
	return cons, err
}

// update sets the configuration of a consumer that is there. What cannot be changed stays, and so does a pause, which a person ordered.
func (b *Bus) update(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	cons, err := b.js.Consumer(ctx, stream, cfg.Durable)
	if err != nil {
		return nil, err
	}
	old := cons.CachedInfo().Config
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.PauseUntil = old.DeliverPolicy, old.OptStartSeq, old.PauseUntil
	return b.js.UpdateConsumer(ctx, stream, cfg)
}

// make makes a consumer that is not there, under another name if the server refuses its name.
func (b *Bus) make(ctx context.Context, c Consumer, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	cons, refused := b.js.CreateConsumer(ctx, c.Stream, cfg)
	if refused == nil {
		return cons, nil
	}
	if cons, err := b.update(ctx, c.Stream, cfg); err == nil { // another process made it at the same moment
		return cons, nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](refused); !ok || api.ErrorCode != errLostConsumer {
		return nil, refused
	}
	for n := 2; n <= maxNames; n++ {
		cfg.Durable = fmt.Sprintf("%s-%d", c.Durable, n)
		if cons, err := b.js.CreateConsumer(ctx, c.Stream, cfg); err == nil {
			return cons, b.saveName(ctx, c, cfg.Durable)
		}
	}
	return nil, refused
}

func (c Consumer) config() jetstream.ConsumerConfig {
	pending := maxAckPending
	if c.Ordered {
		pending = 1
	}
	return jetstream.ConsumerConfig{
		FilterSubjects: c.Filter,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  pending,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		Metadata:       map[string]string{ours: c.Durable},
	}
}
