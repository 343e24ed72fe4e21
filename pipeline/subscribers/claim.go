package subscribers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of a claim.
const (
	MaxClaim = 256              // events
	MaxWait  = 30 * time.Second // for the first one
)

// Event is an event that a worker has claimed.
type Event struct {
	Lease   string // with it the event is settled
	Subject string
	ID      string // CloudEvents id: the same for every repeat
	Time    time.Time
	Tries   int // claims of this event, this one included
	Data    []byte
}

// lookAgain is how long a claim waits before it looks again at a subscriber with several durables: a pull waits at one durable only.
const lookAgain = 200 * time.Millisecond

// Claim waits for events of a subscriber, and gives up to most as soon as there are some. It gives none when wait is over or ctx ends.
// Without a wait, an event of this moment may come with the next claim: nats-server 2.15.2 answers a publisher before its consumers know.
// New events come before those of a rewind, and numbers take turns where one of them has very many; see family.
func (v *Service) Claim(ctx context.Context, name string, most int, wait time.Duration) ([]Event, error) {
	switch {
	case most < 1 || most > MaxClaim:
		return nil, bad("max %d: want 1 to %d", most, MaxClaim)
	case wait < 0 || wait > MaxWait:
		return nil, bad("wait %s: want 0s to %s", wait, MaxWait)
	}
	key, err := v.Key()
	if err != nil {
		return nil, fmt.Errorf("key of leases: %w", err)
	}
	events, err := v.claim(ctx, name, key, most, time.Now().Add(wait))
	if ctx.Err() != nil && len(events) == 0 {
		return []Event{}, nil
	}
	if gone(err) { // it was removed meanwhile, or JetStream does not answer
		if _, findErr := v.find(ctx, name); errors.Is(findErr, ErrNone) {
			err = findErr
		}
	}
	if errors.Is(err, ErrNone) {
		v.memories.Delete(name)
	}
	return events, err
}

// atLeast is how long a pull that waits must have left.
const atLeast = 10 * time.Millisecond

func (v *Service) claim(ctx context.Context, name string, key []byte, most int, until time.Time) ([]Event, error) {
	for {
		alone, events, err := v.look(ctx, name, key, most, until)
		if err != nil || len(events) > 0 || time.Until(until) < atLeast || ctx.Err() != nil {
			return events, err
		}
		if alone == nil {
			continue
		}
		msgs, err := alone.first(ctx, until)
		for _, m := range msgs {
			events = append(events, alone.event(key, m))
		}
		return events, err
	}
}

// look takes the events that wait now. The claims of a process take them one after another, so that each sees what the last one did. If
// there are none, alone is the durable of a subscriber that has only one, where a claim can wait; of others look waits a little, so that
// all claims of a process together do not ask more often.
func (v *Service) look(
	ctx context.Context, name string, key []byte, most int, until time.Time,
) (alone *durable, events []Event, err error) {
	main, err := v.find(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	m := v.memory(name)
	late := time.NewTimer(max(time.Until(until), whileFull))
	defer late.Stop()
	select {
	case m.look <- struct{}{}:
		defer func() { <-m.look }()
	case <-late.C:
		return nil, nil, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	f, err := v.family(ctx, main, m)
	if err != nil {
		return nil, nil, err
	}
	if f.alone() && f.main.free() <= 0 && time.Until(until) > whileFull {
		return f.main, nil, nil
	}
	events, err = f.take(ctx, key, most)
	if len(events) > 0 {
		return nil, events, nil // what failed is tried again by the next claim
	}
	if err != nil || f.alone() {
		return f.main, nil, err
	}
	select {
	case <-time.After(min(lookAgain, max(time.Until(until), 0))):
	case <-ctx.Done():
	}
	return nil, nil, nil
}
