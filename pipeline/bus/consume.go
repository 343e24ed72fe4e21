package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Delivery is one message on its way to a handler.
type Delivery struct {
	Subject  string
	Data     []byte
	Sequence uint64    // in its stream
	Time     time.Time // when JetStream stored it
	Tries    int       // deliveries so far, this one included
}

// Dead is the error of a message that no further delivery can help. It is buried with its reason, then terminated.
type Dead struct {
	Reason session.Reason
	Err    error
}

func (d Dead) Error() string { return d.Err.Error() }
func (d Dead) Unwrap() error { return d.Err }

// Later is the error of a message whose time has not come: it is delivered again then, and nobody is warned.
type Later struct{ After time.Duration }

func (l Later) Error() string { return fmt.Sprintf("to be looked at again in %s", l.After) }

// Consumer describes a durable pull consumer.
type Consumer struct {
	Stream  string
	Durable string
	Filter  []string // subjects
	Workers int      // handlers at once; 0 is 1
	Ordered bool     // one message after another, over all processes: the next one waits until the last one is settled
}

const (
	ackWait       = 15 * time.Second // also how long the messages of a killed process wait
	maxAckPending = 4096
	fetchWait     = time.Second // also how long Close waits for idle pulls: a pull that is cut short may lose a message on its way until ackWait
)

// outageDelays grow with the deliveries of one message while a store refuses. Outages are not failed attempts: there is no last one.
var outageDelays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second}

// outageReminder: of the further deliveries of a message in an outage every so many is a warning in the log, the others are not.
const outageReminder = 40

func (b *Bus) consumer(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	pending := maxAckPending
	if c.Ordered {
		pending = 1
	}
	cons, err := b.js.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
		Durable:        c.Durable,
		FilterSubjects: c.Filter,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  pending,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		Metadata:       map[string]string{ours: c.Durable},
	})
	if err != nil {
		return nil, fmt.Errorf("create or update consumer %s of %s: %w", c.Durable, c.Stream, err)
	}
	return cons, nil
}

// Consume runs handle for every message of a durable consumer, c.Workers at once, until Close. A nil error acknowledges the message;
// Dead buries it; any other error is an outage and delivers it again later. The context of a handler that runs when Close
// begins goes on for stopGrace, then it is cancelled.
func (b *Bus) Consume(ctx context.Context, c Consumer, handle func(context.Context, Delivery) error) error {
	return b.pull(ctx, c, 1, func(work context.Context, d []Delivery) []error {
		return []error{handle(work, d[0])}
	})
}

// ConsumeBatches is Consume for a handler that takes up to most messages at once and returns one error for each.
func (b *Bus) ConsumeBatches(ctx context.Context, c Consumer, most int, handle func(context.Context, []Delivery) []error) error {
	return b.pull(ctx, c, most, handle)
}

// stopGrace is how long a handler may go on after Close began.
const stopGrace = 5 * time.Second

func (b *Bus) pull(ctx context.Context, c Consumer, most int, handle func(context.Context, []Delivery) []error) error {
	cons, err := b.consumer(ctx, c)
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(b.life, func() { time.AfterFunc(stopGrace, cancel) })
	var workers sync.WaitGroup
	for range max(c.Workers, 1) {
		workers.Go(func() {
			for b.life.Err() == nil {
				if msgs := b.fetch(cons, c, most); len(msgs) > 0 {
					b.run(work, c, msgs, handle)
				}
			}
		})
	}
	b.running.Go(func() {
		workers.Wait()
		stop()
		cancel()
	})
	return nil
}

var errStopping = errors.New("this process is stopping")

// fetch waits for a first message and takes what else is there, up to most.
func (b *Bus) fetch(cons jetstream.Consumer, c Consumer, most int) []jetstream.Msg {
	if !b.nc.IsConnected() { // each pull that cannot be sent would leave a subscription behind in nats.go
		b.pause()
		return nil
	}
	ctx := pullContext{b.connection(), time.Now().Add(fetchWait)}
	first, err := cons.Fetch(1, jetstream.FetchContext(ctx))
	msgs := drain(first, err)
	if len(msgs) > 0 && most > 1 {
		msgs = append(msgs, drain(cons.FetchNoWait(most-1))...)
	}
	if err == nil && len(msgs) == 0 {
		err = first.Error()
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, jetstream.ErrNoMessages) {
		b.log.Warn("cannot fetch messages; trying again", "consumer", c.Durable, "err", err)
		b.pause()
	}
	return msgs
}

// pullContext is the connection's, with an end that only the server is told: it ends the pull then, and says so, and nats.go waits
// for its word a second longer. Who ends a pull by his own clock loses the message that is on its way to him, until ackWait.
type pullContext struct {
	context.Context
	until time.Time
}

func (p pullContext) Deadline() (time.Time, bool) { return p.until, true }

// pause keeps a loop that cannot go on from spinning.
func (b *Bus) pause() {
	select {
	case <-time.After(reconnectWait):
	case <-b.life.Done():
	}
}

func drain(batch jetstream.MessageBatch, err error) []jetstream.Msg {
	if err != nil {
		return nil
	}
	var msgs []jetstream.Msg
	for m := range batch.Messages() {
		msgs = append(msgs, m)
	}
	return msgs
}

// run handles messages while telling the server that they are in progress, then settles each by its error.
func (b *Bus) run(ctx context.Context, c Consumer, msgs []jetstream.Msg, handle func(context.Context, []Delivery) []error) {
	ctx, cancel := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { keepAlive(ctx, msgs) })
	deliveries := make([]Delivery, 0, len(msgs))
	for _, m := range msgs {
		d := Delivery{Subject: m.Subject(), Data: m.Data()}
		if meta, err := m.Metadata(); err == nil { // it fails only for what no stream delivered
			d.Sequence, d.Time, d.Tries = meta.Sequence.Stream, meta.Timestamp.UTC(), int(meta.NumDelivered)
		}
		deliveries = append(deliveries, d)
	}
	var errs []error
	if b.life.Err() == nil {
		errs = handle(ctx, deliveries)
	} else {
		errs = slices.Repeat([]error{errStopping}, len(msgs)) // it came while we stopped: the next process may have it at once
	}
	cancel()
	beat.Wait()
	for i, m := range msgs {
		b.settle(c, m, deliveries[i], errs[i])
	}
}

func keepAlive(ctx context.Context, msgs []jetstream.Msg) {
	t := time.NewTicker(ackWait / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, m := range msgs {
				_ = m.InProgress() // fails while the connection is gone; the next one may tell the server in time
			}
		}
	}
}

// settle is the one table from a handler's error to a JetStream reply:
//
//	nil           Ack
//	Dead          TermWithReason once FAX_DLQ has it, else as an outage
//	Later         NakWithDelay
//	anything else NakWithDelay, growing with the deliveries
//
// A reply that gets lost lets the server deliver again, which every handler stands.
func (b *Bus) settle(c Consumer, m jetstream.Msg, d Delivery, err error) {
	var dead Dead
	if errors.As(err, &dead) {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		buried := b.Bury(ctx, session.DeadLetter{
			Stage: c.Durable, Session: session.SessionOf(d.Subject), Reason: dead.Reason, Detail: dead.Error(),
			Original: d.Subject, Body: d.Data, Received: d.Time,
		})
		if buried == nil {
			b.log.Error("message buried in FAX_DLQ", "consumer", c.Durable, "subject", maskSubject(d.Subject), "reason", dead.Reason, "err", maskSubject(err.Error()))
			b.reply(c, d, m.TermWithReason(buriedReason+string(dead.Reason)))
			b.settled(c, m, inProgress)
			return
		}
		err = errors.Join(err, buried)
	}
	if err == nil {
		b.reply(c, d, m.Ack())
		b.settled(c, m, inProgress)
		return
	}
	delay := outageDelays[min(max(d.Tries, 1), len(outageDelays))-1]
	if later, ok := errors.AsType[Later](err); ok {
		delay = later.After
	} else if b.life.Err() != nil {
		delay = time.Millisecond // the next process should not wait for our stop; a nak without delay is not stored
	} else {
		level := slog.LevelDebug // in a long outage thousands of messages come again and again
		if d.Tries <= len(outageDelays) || d.Tries%outageReminder == 0 {
			level = slog.LevelWarn
		}
		b.log.Log(context.Background(), level, "message will be delivered again",
			"consumer", c.Durable, "subject", maskSubject(d.Subject), "tries", d.Tries, "delay", delay, "err", maskSubject(err.Error()))
	}
	b.reply(c, d, m.NakWithDelay(delay))
	b.settled(c, m, fmt.Appendf(nil, "-NAK {\"delay\": %d}", delay))
}

// inProgress changes nothing for a message that is acknowledged.
var inProgress = []byte("+WPI")

// settlement is the last reply of a durable: where it went, and what may be sent there again without changing anything.
type settlement struct {
	subject string
	body    []byte
}

func (b *Bus) settled(c Consumer, m jetstream.Msg, again []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replied[c.Durable] = settlement{m.Reply(), again}
}

// syncReplies returns once the embedded server has taken in every reply of every durable. It takes them from a queue that its
// shutdown throws away: what was handled would be delivered again.
func (b *Bus) syncReplies(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for durable, s := range b.replied {
		if _, err := b.nc.RequestWithContext(ctx, s.subject, s.body); err != nil && !errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("consumer %s: %w", durable, err)
		}
	}
	return nil
}

func (b *Bus) reply(c Consumer, d Delivery, err error) {
	if err != nil && b.life.Err() == nil {
		b.log.Warn("acknowledgement not sent; the message will be delivered again", "consumer", c.Durable, "subject", maskSubject(d.Subject), "err", err)
	}
}
