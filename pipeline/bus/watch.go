package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	lookEvery = 10 * time.Second // between two looks at every durable

	// A durable whose messages wait must deliver one within this time.
	idleLimit = time.Minute      // while no handler of this process works for it
	busyLimit = 10 * time.Minute // while one does: a large document takes minutes
)

// watched has the durables of this process.
type watched struct {
	mu       sync.Mutex
	durables []*durable // guarded by mu
}

func (w *watched) add(d *durable) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.durables = append(w.durables, d)
}

func (w *watched) all() []*durable {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.durables)
}

// trouble is why durables do not work, as of the last looks; nil if all do.
func (w *watched) trouble() error {
	var errs []error
	for _, d := range w.all() {
		d.mu.Lock()
		if err := d.look.trouble; err != nil {
			errs = append(errs, fmt.Errorf("consumer %s of %s: %w", d.want.Durable, d.want.Stream, err))
		}
		d.mu.Unlock()
	}
	return errors.Join(errs...)
}

// look is what one look at a durable found.
type look struct {
	at        time.Time
	seen      time.Time               // of the newest info
	info      *jetstream.ConsumerInfo // nil: never found
	moved     time.Time               // when it was last seen to deliver or settle something, or to have nothing to do
	oldest    time.Time               // when the oldest message that is not settled was stored; zero: there is none
	unreached bool                    // the server gave no answer
	trouble   error                   // nil: it works
}

// Backlog is the work that waits for one durable.
type Backlog struct {
	Consumer string
	Stream   string
	Part     string        // that of its Consumer
	Pending  uint64        // messages that are not settled
	Oldest   time.Duration // how long the oldest of them waits; 0: there is none
	Seen     time.Time     // when the servers said so
}

// Backlogs returns the backlog of every durable of this process, as of the last look, which is some seconds old.
func (b *Bus) Backlogs() []Backlog {
	var all []Backlog
	for _, d := range b.watched.all() {
		d.mu.Lock()
		if l := d.look; l.info != nil {
			log := Backlog{
				Consumer: d.want.Durable, Stream: d.want.Stream, Part: d.want.Part,
				Pending: l.info.NumPending + uint64(l.info.NumAckPending), Seen: l.seen,
			}
			if !l.oldest.IsZero() {
				log.Oldest = max(time.Since(l.oldest), 0)
			}
			all = append(all, log)
		}
		d.mu.Unlock()
	}
	return all
}

// watch looks at every durable from time to time until Close begins. A deleted one is made again, one that stands still is an error of
// Ready, and all positions are saved.
func (b *Bus) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
			if b.nc.IsConnected() { // else Ready says so
				b.repair(b.life)
				b.lookAtAll(b.life)
			}
		}
	}
}

func (b *Bus) lookAtAll(ctx context.Context) {
	mine, created := positions{}, map[string]time.Time{}
	for _, d := range b.watched.all() {
		d.mending.Lock()
		info := b.lookAt(ctx, d)
		d.mending.Unlock()
		if info == nil {
			continue
		}
		if created[info.Stream].IsZero() {
			stream, err := b.js.Stream(ctx, info.Stream)
			if err != nil {
				continue // the look at its next durable says why, or the next look
			}
			b.keepSettings(ctx, stream.CachedInfo().Config)
			created[info.Stream] = stream.CachedInfo().Created
		}
		mine[d.want.Durable] = positionOf(info, created[info.Stream])
	}
	if len(mine) == 0 {
		return
	}
	if err := b.savePositions(ctx, mine); err != nil && ctx.Err() == nil {
		b.log.Warn("NATS does not store how far the work has come: it is tried again by itself, and nothing is lost", "err", err)
	}
}

// lookAt asks the server about a durable, makes it again if it is gone, and returns what the server says; nil if it says nothing.
// The caller holds d.mending.
func (b *Bus) lookAt(ctx context.Context, d *durable) *jetstream.ConsumerInfo {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := b.js.Consumer(ctx, d.want.Stream, d.consumer().CachedInfo().Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if cons, err = b.findOrMake(ctx, d.want); err != nil {
			err = fmt.Errorf("somebody deleted it, and making it again failed: %w", err)
		}
	} else if err == nil && b.isOlder(cons.CachedInfo().Config.Metadata) {
		cons, err = b.findOrMake(ctx, d.want)
	}
	if b.life.Err() != nil {
		return nil
	}
	next := look{at: time.Now(), unreached: err != nil}
	if err == nil {
		next.info = cons.CachedInfo()
		next.oldest = b.oldest(ctx, cons)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.cons = cons
	}
	was := d.look.trouble
	d.look = next.after(d.look, err, d.busy.Load() > 0)
	if now := d.look.trouble; now != nil && was == nil {
		b.log.Error("work of one kind stands still, because its consumer in NATS does not work: look at /readyz",
			"work", d.want.Durable, "stream", d.want.Stream, "err", now)
	} else if now == nil && was != nil {
		b.log.Info("work of one kind that stood still goes on", "work", d.want.Durable, "stream", d.want.Stream)
	}
	return next.info
}

// after completes a look with what the last one saw. err: the server was asked in vain.
func (l look) after(last look, err error, busy bool) look {
	l.moved = last.moved
	if err != nil {
		l.info, l.oldest, l.seen = last.info, last.oldest, last.seen
		if last.unreached { // one slow answer is not trouble yet
			l.trouble = err
		}
		return l
	}
	l.seen = l.at
	if l.moved.IsZero() || l.info.NumPending == 0 || last.info == nil || l.info.Name != last.info.Name ||
		l.info.Delivered.Consumer != last.info.Delivered.Consumer || l.info.AckFloor.Consumer != last.info.AckFloor.Consumer {
		l.moved = l.at
	}
	l.trouble = l.standstill(busy)
	return l
}

// standstill says why a consumer delivers nothing though messages wait; nil if it delivers, or nothing waits.
func (l look) standstill(busy bool) error {
	if l.info.Paused {
		return fmt.Errorf("somebody paused it, until %s; %d messages wait: `nats consumer resume %s %s` lets it go on",
			l.at.Add(l.info.PauseRemaining).UTC().Format(time.RFC3339), l.info.NumPending, l.info.Stream, l.info.Name)
	}
	limit := idleLimit
	if busy {
		limit = busyLimit
	} else if l.info.NumAckPending >= l.info.Config.MaxAckPending {
		return nil // it may deliver nothing until messages that it has delivered are settled, or their delay is over
	}
	if still := l.at.Sub(l.moved); still >= limit {
		return fmt.Errorf("it has delivered nothing for %s; %d messages wait: look at `nats consumer info %s %s`",
			still.Round(time.Second), l.info.NumPending, l.info.Stream, l.info.Name)
	}
	return nil
}

// oldest reads when the oldest message was stored that a consumer has not settled; zero if there is none, or it cannot be read.
func (b *Bus) oldest(ctx context.Context, cons jetstream.Consumer) (oldest time.Time) {
	info := cons.CachedInfo()
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return oldest
	}
	stream, err := b.js.Stream(ctx, info.Stream)
	if err != nil {
		return oldest
	}
	subjects := info.Config.FilterSubjects
	if len(subjects) == 0 {
		subjects = []string{info.Config.FilterSubject}
	}
	for _, subject := range subjects {
		m, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(subject))
		if err == nil && (oldest.IsZero() || m.Time.Before(oldest)) {
			oldest = m.Time
		}
	}
	return oldest
}
