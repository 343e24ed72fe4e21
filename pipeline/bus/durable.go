package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is a durable consumer of this process. Other programs may delete, pause or edit what is on the server.
type durable struct {
	want Consumer
	busy atomic.Int32 // handlers that run
	lane lane

	queue chan jetstream.Msg // messages that wait for a worker; it has room for all that this process may have
	freed chan struct{}      // has a value after messages were dropped

	mu     sync.Mutex
	held   map[jetstream.Msg]struct{} // those that wait for a worker, and those of workers; guarded by mu
	cons   jetstream.Consumer         // as it was last found or made; guarded by mu
	look   look                       // the last one; guarded by mu
	warned time.Time                  // when a failed fetch was last logged as a warning; guarded by mu

	mending sync.Mutex // one worker asks the server; the others wait and then use its result
}

func newDurable(c Consumer, cons jetstream.Consumer) *durable {
	return &durable{
		want: c, cons: cons, look: look{at: time.Now(), info: cons.CachedInfo()}.after(look{}, nil, false),
		queue: make(chan jetstream.Msg, c.limit()), freed: make(chan struct{}, 1), held: map[jetstream.Msg]struct{}{},
	}
}

// ahead is how many messages wait in this process for a worker, so that a pull gets several at once. They are few, because other
// processes could handle them: a batch, or one for four workers. So two workers that make documents for minutes have none.
func (c Consumer) ahead() int {
	if c.most > 1 {
		return c.most
	}
	return c.Workers / 4
}

// limit is how many messages this process has at most.
func (c Consumer) limit() int {
	if c.Ordered {
		return 1
	}
	return max(c.Workers, 1)*max(c.most, 1) + c.ahead()
}

// room waits until a pull is worth while, and returns for how many messages. 0: life has ended.
func (d *durable) room(life context.Context) int {
	for life.Err() == nil {
		d.mu.Lock()
		n := d.want.limit() - len(d.held)
		d.mu.Unlock()
		if n >= max(d.want.ahead(), 1) {
			return n
		}
		select {
		case <-d.freed:
		case <-life.Done():
		}
	}
	return 0
}

// holds reports whether this process has messages: only then others may wait.
func (d *durable) holds() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held) > 0
}

// take puts a message that was pulled into the queue.
func (d *durable) take(m jetstream.Msg) {
	d.mu.Lock()
	d.held[m] = struct{}{}
	d.mu.Unlock()
	d.queue <- m
}

// gather is how long a batch that is not full waits for more messages after its first: each batch costs a sync.
const gather = 5 * time.Millisecond

// more returns a message with others that wait, as many as one handler gets.
func (d *durable) more(first jetstream.Msg) []jetstream.Msg {
	msgs := []jetstream.Msg{first}
	if d.want.most <= 1 {
		return msgs
	}
	over := time.NewTimer(gather)
	defer over.Stop()
	for len(msgs) < d.want.most {
		select {
		case m, ok := <-d.queue:
			if !ok {
				return msgs
			}
			msgs = append(msgs, m)
		case <-over.C:
			return msgs
		}
	}
	return msgs
}

// drop forgets messages that are about to be settled.
func (d *durable) drop(msgs []jetstream.Msg) {
	d.mu.Lock()
	for _, m := range msgs {
		delete(d.held, m)
	}
	d.mu.Unlock()
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

// beat reports to the server that messages are in progress, until ctx ends.
func (d *durable) beat(ctx context.Context) {
	t := time.NewTicker(ackWait / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		d.mu.Lock() // a report after a nak would end the delay of the nak
		for m := range d.held {
			_ = m.InProgress() // fails while there is no connection; the next tick may be in time
		}
		d.mu.Unlock()
	}
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
// consumer gets the same name with a number. A cluster is asked again as long as it is about a stream: it may leave a request without an
// answer that meets the one of another process.
func (b *Bus) durable(ctx context.Context, c Consumer) (cons jetstream.Consumer, err error) {
	patience, ask := setupTimeout, func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	if b.copies > 1 {
		patience, ask = clusterPatience, untilAnswered
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = ask(ctx, func(ctx context.Context) error {
		cons, err = b.findOrMake(ctx, c)
		return err
	})
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
	maps.Copy(cfg.Metadata, b.revision())
	cons, err := b.update(ctx, c.Stream, cfg)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return cons, err
	}
	if at.Floor > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, at.Floor+1
	}
	cons, err = b.make(ctx, c, cfg)
	if err == nil && at.Name != "" {
		b.log.Warn("a consumer in NATS was deleted, and is made again where it was: look who deletes it",
			"work", cons.CachedInfo().Name, "stream", c.Stream, "from_sequence", max(cfg.OptStartSeq, 1))
	}
	return cons, err
}

// update sets the configuration of a consumer that is there. What cannot be changed stays, and so does a pause, which a person ordered, and
// all of one that a newer version of faxstream has set up.
func (b *Bus) update(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	cons, err := b.js.Consumer(ctx, stream, cfg.Durable)
	if err != nil {
		return nil, err
	}
	old := cons.CachedInfo().Config
	if b.isNewer(old.Metadata) {
		return cons, nil
	}
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
