package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lane is where new messages of a durable overtake its backlog. While many messages wait, a second consumer on the server, with the name
// of the durable and the ending -fresh, delivers copies of what is stored from then on. The copies are handled in the order newest first,
// and the durable goes on in its order: the work is done from both ends.
//
// A copy is only a hint. The durable delivers every message, whatever happened to its copy, and only the durable is settled. So a copy may
// be lost at any time, in a crash, in a full lane, or when the lane ends. The consumer of the copies needs no acknowledgements and lives in
// the server's memory, and all processes share it. The server removes it when nobody pulls for a minute.
type lane struct {
	began uint64 // the last sequence of the stream when this process began; up to it, another process may have handled copies

	mu      sync.Mutex // guards all below
	open    bool
	from    time.Time  // there may be copies of messages that were stored from this time on; zero: there are none
	last    uint64     // there are none above this sequence, unless the lane is open
	reached uint64     // the highest sequence that the durable is known to have delivered
	newest  []Delivery // copies; the newest is last
	change  *sync.Cond // of newest and open; made by run
}

const (
	laneEnding = "-fresh"               // of the consumer's name
	laneEvery  = 100 * time.Millisecond // between two looks, while this process has messages
	laneOpens  = 200                    // messages that wait, or wait for their next delivery, from which new ones overtake them
	laneCloses = 50
	laneHolds  = 2048 // copies that wait in this process; if there are more, the older half is dropped
	lanePull   = 256
	laneIdle   = time.Minute // the server removes a consumer of copies from which nobody pulls
)

// watchLane opens the lane of a durable while it has a backlog, until Close begins.
func (b *Bus) watchLane(ctx context.Context, d *durable, handle batchHandler) {
	tick := time.NewTicker(laneEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
		}
		if d.holds() && b.nc.IsConnected() && b.backlog(d) >= laneOpens {
			b.overtake(ctx, d, handle)
		}
	}
}

// backlog is how many messages wait for a durable, or for their next delivery. Up to sixteen processes have theirs at hand; these do not
// count. If it is unknown, which the next look at the durable reports, it is 0.
func (b *Bus) backlog(d *durable) uint64 {
	ctx, cancel := context.WithTimeout(b.life, requestTimeout)
	defer cancel()
	info, err := d.consumer().Info(ctx)
	if err != nil {
		return 0
	}
	d.lane.mu.Lock()
	d.lane.reached = max(d.lane.reached, info.Delivered.Stream)
	d.lane.mu.Unlock()
	return info.NumPending + uint64(max(info.NumAckPending-16*d.want.limit(), 0))
}

// overtake handles copies of new messages until the backlog is over, or the copies cannot be pulled.
func (b *Bus) overtake(ctx context.Context, d *durable, handle batchHandler) {
	cons, err := b.js.CreateOrUpdateConsumer(b.life, d.want.Stream, d.want.copies())
	if err != nil {
		b.log.Log(ctx, d.level(), "new messages cannot overtake those that wait; it is tried again", "consumer", d.want.Durable, "err", err)
		return
	}
	b.log.Info("many messages wait: new ones overtake them from now on", "consumer", d.want.Durable, "stream", d.want.Stream)
	want, begun := d.want, atomic.Int32{}
	want.Overtake = func(ctx context.Context) (release func(), err error) {
		b.first.wait(ctx, want.rounds(), int(begun.Add(1)))
		return d.want.Overtake(ctx)
	}
	end := d.lane.run(ctx, want, cons.CachedInfo().Created, handle)
	for err == nil && b.life.Err() == nil && b.backlog(d) >= laneCloses {
		err = b.fetchCopies(d, cons)
	}
	end(b.endCopies(d))
}

// endCopies removes the consumer of the copies, and returns a sequence above which there are none. When this process stops, the next one
// goes on with the copies, if it starts at once.
func (b *Bus) endCopies(d *durable) (last uint64) {
	if b.life.Err() != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(b.life, requestTimeout)
	defer cancel()
	err := b.js.DeleteConsumer(ctx, d.want.Stream, d.want.Durable+laneEnding)
	if err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) { // another process was first
		last, err = b.lastSequence(ctx, d.want.Stream)
	}
	if err != nil {
		b.log.Log(ctx, d.level(), "ending copies of new messages failed; the server does it", "consumer", d.want.Durable, "err", err)
		return math.MaxUint64
	}
	b.log.Info("new messages do not overtake others any more", "consumer", d.want.Durable, "stream", d.want.Stream)
	return last
}

func (b *Bus) lastSequence(ctx context.Context, stream string) (uint64, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// copies is the consumer of the copies. A process that finds it takes part, and does not change where it is.
func (c Consumer) copies() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Name:              c.Durable + laneEnding,
		FilterSubjects:    c.Filter,
		DeliverPolicy:     jetstream.DeliverNewPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: laneIdle,
		Metadata:          map[string]string{ours: c.Durable},
	}
}

// fetchCopies pulls copies as they come, until fetchWait is over.
func (b *Bus) fetchCopies(d *durable, cons jetstream.Consumer) error {
	batch, err := cons.Fetch(lanePull, jetstream.FetchContext(pullContext{b.connection(), time.Now().Add(fetchWait)}))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		if meta, err := m.Metadata(); err == nil {
			d.lane.push(Delivery{
				Subject: m.Subject(), Data: m.Data(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Tries: 1, Early: true,
				header: m.Headers(),
			})
		}
	}
	return batch.Error()
}

// run opens the lane for copies of messages from a time on, and starts the workers of c for it. end closes it and waits for them; after it
// there are no copies of messages above last.
func (l *lane) run(ctx context.Context, c Consumer, from time.Time, handle batchHandler) (end func(last uint64)) {
	l.mu.Lock()
	l.open, l.change = true, sync.NewCond(&l.mu)
	if l.from.IsZero() {
		l.from = from
	}
	l.mu.Unlock()
	var group sync.WaitGroup
	for range max(c.Workers, 1) {
		group.Go(func() {
			for l.wait() {
				release, err := c.Overtake(ctx)
				if err != nil {
					return // this process stops
				}
				if v, ok := l.pop(); ok {
					ctx, cancel := context.WithCancel(ctx)
					handle(ctx, []Delivery{v}) // whatever comes of it: the message itself is delivered too
					cancel()
				}
				release()
			}
		})
	}
	return func(last uint64) {
		l.mu.Lock()
		l.open, l.last, l.newest = false, last, nil
		l.change.Broadcast()
		l.mu.Unlock()
		group.Wait()
	}
}

func (l *lane) push(v Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.newest) == laneHolds {
		l.newest = append([]Delivery(nil), l.newest[laneHolds/2:]...)
	}
	l.newest = append(l.newest, v)
	l.change.Signal()
}

// wait waits for a copy. false: the lane is closed.
func (l *lane) wait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open && len(l.newest) == 0 {
		l.change.Wait()
	}
	return l.open
}

// pop returns the newest copy of a message to which the durable has not come itself. ok is false if there is none.
func (l *lane) pop() (v Delivery, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for last := len(l.newest) - 1; last >= 0; last-- {
		v, l.newest = l.newest[last], l.newest[:last]
		if v.Sequence > l.reached {
			return v, true
		}
	}
	return Delivery{}, false
}

// reach notes a message of the durable, and says what the lane means for it.
func (l *lane) reach(v *Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached = max(l.reached, v.Sequence)
	v.Behind = l.open
	copied := !l.from.IsZero() && !v.Time.Before(l.from) && (l.open || v.Sequence <= l.last)
	v.Again = v.Again || v.Sequence <= l.began || copied
}
