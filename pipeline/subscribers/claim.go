package subscribers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
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

// Claim waits for events of a subscriber, and gives up to most as soon as there are some. It gives none when wait is over or ctx ends. New
// events come before those of a rewind, and numbers take turns where one of them has very many; see family.
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
	switch {
	case ctx.Err() != nil && len(events) == 0:
		return []Event{}, nil
	case gone(err): // it was removed meanwhile
		return nil, fmt.Errorf("%s: %w", name, ErrNone)
	}
	return events, err
}

func (v *Service) claim(ctx context.Context, name string, key []byte, most int, until time.Time) ([]Event, error) {
	for {
		f, events, err := v.look(ctx, name, key, most)
		left := time.Until(until)
		switch {
		case err != nil || len(events) > 0 || left <= 0 || ctx.Err() != nil:
			return events, err
		case f.alone():
			return f.main.fetch(key, func() (jetstream.MessageBatch, error) {
				return f.main.Fetch(1, jetstream.FetchContext(bus.PullUntil(ctx, until))) // one: of several it would wait for the last one
			})
		}
		select {
		case <-time.After(min(lookAgain, left)):
		case <-ctx.Done():
		}
	}
}

// look takes the events that wait now. The claims of a process take them one after another, so that each sees what the last one did.
func (v *Service) look(ctx context.Context, name string, key []byte, most int) (*family, []Event, error) {
	m := v.memory(name)
	select {
	case m.look <- struct{}{}:
		defer func() { <-m.look }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	f, err := v.family(ctx, name, m)
	if err != nil {
		return nil, nil, err
	}
	events, err := f.take(ctx, key, most)
	if len(events) > 0 {
		return f, events, nil // what failed is tried again by the next claim
	}
	return f, nil, err
}

// fetch gives the events that a pull brings.
func (d *durable) fetch(key []byte, pull func() (jetstream.MessageBatch, error)) ([]Event, error) {
	msgs, err := d.pull(pull)
	events := make([]Event, 0, len(msgs))
	for _, m := range msgs {
		events = append(events, d.event(key, m))
	}
	return events, err
}

// message is a message that a durable has delivered.
type message struct {
	jetstream.Msg
	meta *jetstream.MsgMetadata
}

// pull gives what a pull from the durable brings.
func (d *durable) pull(pull func() (jetstream.MessageBatch, error)) (msgs []message, err error) {
	batch, err := pull()
	if err != nil {
		return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
		}
		msgs = append(msgs, message{m, meta})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && len(msgs) == 0 {
		return nil, fmt.Errorf("claim events of %s: %w", d.Info().Name, err)
	}
	return msgs, nil
}

func (d *durable) event(key []byte, m message) Event {
	return Event{
		Lease: leaseOf(key, d.Info(), m.Reply()), Subject: m.Subject(), ID: m.Headers().Get(bus.HeaderID), Time: m.meta.Timestamp.UTC(),
		Tries: int(m.meta.NumDelivered), Data: m.Data(),
	}
}
