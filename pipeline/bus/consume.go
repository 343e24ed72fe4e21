package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// Delivery is one message for a handler.
type Delivery struct {
	Subject  string
	Data     []byte
	Sequence uint64    // in its stream
	Time     time.Time // when JetStream stored it
	Tries    int       // number of deliveries, this one included
	Again    bool      // it may have been handled before: Tries is above 1, a copy was Early, or its consumer was made again
	Early    bool      // a copy that overtakes a backlog: the message itself comes later, and only that one is settled
	Behind   bool      // part of a backlog, which new messages overtake

	header nats.Header
	span   *trace.Span // of its handling; nil: it is not traced
}

// Traced returns ctx for the work on one message of a batch.
func (d Delivery) Traced(ctx context.Context) context.Context { return d.span.In(ctx) }

// Dead is the handler's error for a message that another delivery cannot help. The message is buried with its reason, then
// terminated.
type Dead struct {
	Reason session.Reason
	Err    error
}

func (d Dead) Error() string { return d.Err.Error() }
func (d Dead) Unwrap() error { return d.Err }

// ParseOrder reads the order of a person about a session, a message of FAX_AUDIT, and checks it. If it can never be carried out, the error
// is a Dead.
func ParseOrder(d Delivery, check func(session.Action) error) (session.Action, error) {
	var a session.Action
	err := json.Unmarshal(d.Data, &a)
	switch {
	case err != nil:
	case !session.ValidToken(a.Session):
		err = errors.New("the session is invalid")
	default:
		err = check(a)
	}
	if err != nil {
		err = Dead{session.ReasonBadRequest, fmt.Errorf("order %q about session %q: %w", a.Kind, a.Session, err)}
	}
	return a, err
}

// Later is the handler's error for a message that it must see again later: it is delivered again After this time, without
// a warning in the log.
type Later struct{ After time.Duration }

func (l Later) Error() string { return fmt.Sprintf("to be delivered again in %s", l.After) }

// Consumer describes a durable pull consumer.
type Consumer struct {
	Stream  string
	Durable string
	Filter  []string // subjects
	Workers int      // handlers at the same time, in this process; 0: 1
	Ordered bool     // one message after another, over all processes: the next one waits until the last one is settled
	Part    string   // whose work its messages are, for Backlogs; empty: nobody asks

	// Overtake, if it is set, lets new messages overtake a backlog (see lane): they are handled early, beside it, by as many workers more. The
	// handler gets such a message twice, maybe at the same time. A worker calls Overtake before it chooses a message, so that the newest
	// goes first when there is room for one; release is called when that is handled. The error: ctx ended.
	Overtake func(ctx context.Context) (release func(), err error)

	most int // messages that one handler gets at once; 0: 1
}

const (
	ackWait       = 15 * time.Second // also how long the messages of a killed process wait
	maxAckPending = 4096
	fetchWait     = time.Second // also how long Close waits for idle pulls: if it cut a pull, a message could be lost until ackWait
)

// outageDelays grow with the deliveries of one message while a store refuses. Outages are not failed attempts: there is no last one.
var outageDelays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second}

// outageReminder: after the first deliveries in an outage, only every 40th delivery of a message is a warning in the log.
const outageReminder = 40

// Consume runs handle for every message of a durable consumer, c.Workers at the same time, until Close. It returns after the
// consumer is created. A nil error acknowledges the message; Dead buries it; Later delivers it again after that time; any other
// error is an outage and delivers it again later. After Close begins, the context of a running handler continues for stopGrace,
// then it is cancelled.
func (b *Bus) Consume(ctx context.Context, c Consumer, handle func(context.Context, Delivery) error) error {
	return b.pull(ctx, c, func(work context.Context, d []Delivery) []error {
		return []error{handle(d[0].Traced(work), d[0])}
	})
}

// ConsumeBatches does the same as Consume for a handler that gets 1 to most messages at once and returns one error for each.
func (b *Bus) ConsumeBatches(ctx context.Context, c Consumer, most int, handle func(context.Context, []Delivery) []error) error {
	c.most = most
	return b.pull(ctx, c, handle)
}

// batchHandler gets at least one message and returns one error for each.
type batchHandler func(context.Context, []Delivery) []error

// stopGrace is how long a handler may continue after Close began.
const stopGrace = 5 * time.Second

// pull starts what one durable needs: a puller, which gets messages by many, the workers, which handle them, and a heart, which tells the
// server that this process still has them.
func (b *Bus) pull(ctx context.Context, c Consumer, handle batchHandler) error {
	cons, err := b.durable(ctx, c)
	if err != nil {
		return err
	}
	handle = b.traced(c, handle)
	d := newDurable(c, cons)
	if c.Overtake != nil {
		if d.lane.began, err = b.lastSequence(ctx, c.Stream); err != nil {
			return err
		}
	}
	b.watched.add(d)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(b.life, func() { time.AfterFunc(stopGrace, cancel) })
	var workers sync.WaitGroup
	workers.Go(func() { b.pullAll(d) })
	if c.Overtake != nil {
		workers.Go(func() { b.watchLane(work, d, handle) })
	}
	for worker := range max(c.Workers, 1) {
		workers.Go(func() {
			for m := range d.queue {
				b.first.wait(b.life, c.rounds(), worker)
				b.run(work, d, d.more(m), handle)
			}
		})
	}
	beating, still := context.WithCancel(context.Background())
	b.running.Go(func() { d.beat(beating) })
	b.running.Go(func() {
		workers.Wait()
		still()
		stop()
		cancel()
	})
	return nil
}

// pullAll pulls messages until Close begins. Then it hands back those that no worker has begun.
func (b *Bus) pullAll(d *durable) {
	for {
		n := d.room(b.life)
		if n == 0 {
			break
		}
		b.fetch(d, n)
	}
	close(d.queue)
	for m := range d.queue {
		b.run(b.life, d, []jetstream.Msg{m}, nil)
	}
}

var errStopping = errors.New("this process is stopping")

// fetch pulls up to most messages into the queue as they come, until fetchWait is over.
func (b *Bus) fetch(d *durable, most int) {
	if !b.nc.IsConnected() { // each pull that cannot be sent leaves a subscription in nats.go
		b.pause()
		return
	}
	ctx := pullContext{b.connection(), time.Now().Add(fetchWait)}
	batch, err := d.consumer().Fetch(most, jetstream.FetchContext(ctx))
	if err == nil {
		for m := range batch.Messages() {
			d.take(m)
		}
		err = batch.Error()
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, jetstream.ErrNoMessages) {
		b.log.Log(ctx, d.level(), "work cannot be read from NATS: it is tried again by itself", "work", d.want.Durable, "err", err)
		b.pause() // also: a consumer that is made again while the server still deletes its files may get its old state back
		b.mend(d)
	}
}

// PullUntil is ctx with a deadline for jetstream.FetchContext that only the server is told.
func PullUntil(ctx context.Context, until time.Time) context.Context { return pullContext{ctx, until} }

// pullContext is a context with a deadline that only the server is told. The server ends the pull then, and nats.go
// waits a second longer for its answer. A client that ends a pull by its own clock loses a message that is on its way, until ackWait.
type pullContext struct {
	context.Context
	until time.Time
}

func (p pullContext) Deadline() (time.Time, bool) { return p.until, true }

// pause waits before a loop tries again.
func (b *Bus) pause() {
	select {
	case <-time.After(reconnectWait):
	case <-b.life.Done():
	}
}

// run handles messages, and then settles each by its error.
func (b *Bus) run(ctx context.Context, d *durable, msgs []jetstream.Msg, handle batchHandler) {
	deliveries := make([]Delivery, len(msgs))
	for i, m := range msgs {
		deliveries[i] = d.delivery(m)
	}
	var errs []error
	if b.life.Err() == nil {
		d.busy.Add(1)
		ctx, cancel := context.WithCancel(ctx)
		errs = handle(ctx, deliveries)
		cancel()
		d.busy.Add(-1)
	} else {
		errs = slices.Repeat([]error{errStopping}, len(msgs)) // they came while we stop: the next process can have them at once
	}
	d.drop(msgs)
	for i, m := range msgs {
		b.settle(d.want, m, deliveries[i], errs[i])
	}
}

// traced gives each message a span, as a child of the one that published it. Without traces it returns handle itself. Only the streams of
// facts and timers are traced.
func (b *Bus) traced(c Consumer, handle batchHandler) batchHandler {
	if b.cfg.Trace == nil || c.Stream == StreamAudit || c.Stream == StreamDLQ {
		return handle
	}
	return func(ctx context.Context, ds []Delivery) []error {
		for i, d := range ds {
			ds[i].span = b.cfg.Trace.Process(ctx, trace.Message{
				Stream: c.Stream, Consumer: c.Durable, Subject: d.Subject, Header: d.header, Delivery: d.Tries, Early: d.Early,
			})
		}
		errs := handle(ctx, ds)
		for i, d := range ds {
			d.span.End(outcome(errs[i]))
		}
		return errs
	}
}

// outcome says for a span what settle does with the error of a handler, and why.
func outcome(err error) (outcome, failure string) {
	var dead Dead
	switch {
	case err == nil:
		return "handled", ""
	case errors.As(err, &dead):
		return "buried", string(dead.Reason)
	case errors.As(err, new(Later)):
		return "later", ""
	default:
		return "again", "outage"
	}
}

// delivery describes a message for the handler. A message that is older than its consumer may have been handled by the consumer before,
// which somebody deleted.
func (d *durable) delivery(m jetstream.Msg) Delivery {
	v := Delivery{Subject: m.Subject(), Data: m.Data(), header: m.Headers()}
	if meta, err := m.Metadata(); err == nil { // it fails only for a message that does not come from a stream
		v.Sequence, v.Time, v.Tries = meta.Sequence.Stream, meta.Timestamp.UTC(), int(meta.NumDelivered)
	}
	v.Again = v.Tries > 1 || v.Time.Before(d.consumer().CachedInfo().Created)
	if d.want.Overtake != nil {
		d.lane.reach(&v)
	}
	return v
}

// Consumption is a durable and what handles its messages, one at a time.
type Consumption struct {
	Consumer Consumer
	Handle   func(context.Context, Delivery) error // as in Bus.Consume
}

// BatchConsumption is a durable and what handles its messages, many at a time.
type BatchConsumption struct {
	Consumer Consumer
	Most     int                                              // messages in a batch
	Handle   func(context.Context, []Delivery) (errs []error) // as in Bus.ConsumeBatches
}

// TimerSubjects is the filter of a durable for the timers of these kinds, as they fire.
func TimerSubjects(kinds ...string) []string {
	var subjects []string
	for _, k := range kinds {
		subjects = append(subjects, session.TypeTimerDue+"."+k+".>")
	}
	return subjects
}
