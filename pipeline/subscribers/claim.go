package subscribers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

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

// Claim waits for events of a subscriber, and gives up to most as soon as there are some. It gives none when wait is over or ctx ends.
func (v *Service) Claim(ctx context.Context, name string, most int, wait time.Duration) ([]Event, error) {
	switch {
	case most < 1 || most > MaxClaim:
		return nil, bad("max %d: want 1 to %d", most, MaxClaim)
	case wait < 0 || wait > MaxWait:
		return nil, bad("wait %s: want 0s to %s", wait, MaxWait)
	}
	cons, err := v.find(ctx, name)
	if err != nil {
		return nil, err
	}
	events, err := v.fetch(name, cons, func() (jetstream.MessageBatch, error) { return cons.FetchNoWait(most) })
	if err != nil || len(events) > 0 || wait == 0 {
		return events, err
	}
	return v.fetch(name, cons, func() (jetstream.MessageBatch, error) {
		until := bus.PullUntil(ctx, time.Now().Add(wait))
		return cons.Fetch(1, jetstream.FetchContext(until)) // one: of several it would wait for the last one
	})
}

// fetch gives what a pull from the durable of a subscriber brings.
func (v *Service) fetch(name string, cons jetstream.Consumer, pull func() (jetstream.MessageBatch, error)) ([]Event, error) {
	key, err := v.Key()
	if err != nil {
		return nil, fmt.Errorf("key of leases: %w", err)
	}
	batch, err := pull()
	if err != nil {
		return nil, fmt.Errorf("claim events of %s: %w", name, err)
	}
	events := []Event{}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("claim events of %s: %w", name, err)
		}
		events = append(events, Event{
			Lease: leaseOf(key, cons, m.Reply()), Subject: m.Subject(), ID: m.Headers().Get(bus.HeaderID), Time: meta.Timestamp.UTC(),
			Tries: int(meta.NumDelivered), Data: m.Data(),
		})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && len(events) == 0 {
		return nil, fmt.Errorf("claim events of %s: %w", name, err)
	}
	return events, nil
}

// leaseOf is where the server takes the acknowledgement of an event, signed: nobody can settle what he has not claimed, and nobody what was
// claimed before the subscriber was rewound or made again, although the server would take it.
func leaseOf(key []byte, cons jetstream.Consumer, reply string) string {
	return base64.RawURLEncoding.EncodeToString(append(sign(key, cons, reply), reply...))
}

const signature = 16 // bytes

func sign(key []byte, cons jetstream.Consumer, reply string) []byte {
	info := cons.CachedInfo()
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "lease of %s since %d: %s", info.Name, info.Created.UnixNano(), reply)
	return mac.Sum(nil)[:signature]
}

// opened gives back what leaseOf has signed.
func opened(key []byte, cons jetstream.Consumer, lease string) (reply string, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(lease)
	if err != nil || len(data) <= signature {
		return "", false
	}
	reply = string(data[signature:])
	return reply, hmac.Equal(data[:signature], sign(key, cons, reply)) && strings.HasPrefix(reply, "$JS.ACK.")
}

// What a worker says of an event.
const (
	Done   = "done"   // its own result is stored: the event does not come again
	Later  = "later"  // it comes again after a delay
	Extend = "extend" // the worker needs longer: the lease begins anew
	Fail   = "fail"   // it cannot be done: the event does not come again
)

// MaxDelay is how much later an event can come again.
const MaxDelay = 24 * time.Hour

// A Settlement says what became of an event.
type Settlement struct {
	Lease string
	As    string        // Done, Later, Extend or Fail
	Delay time.Duration // of Later
}

// settledAtOnce bounds the events that one call of Settle settles at the same time.
const settledAtOnce = 32

// Settle says what became of events that a subscriber has claimed, and gives an error for each. ErrBad: the lease is not one of this
// subscriber's, or there is no such verdict. ErrNone: the subscriber is gone. Any other error: it may be settled or not; the same call may
// be made again.
func (v *Service) Settle(ctx context.Context, name string, events ...Settlement) []error {
	errs := make([]error, len(events))
	key, err := v.Key()
	if err != nil {
		err = fmt.Errorf("key of leases: %w", err)
	}
	var cons jetstream.Consumer
	if err == nil {
		cons, err = v.find(ctx, name)
	}
	var group errgroup.Group
	group.SetLimit(settledAtOnce)
	for i, e := range events {
		if errs[i] = err; err != nil {
			continue
		}
		group.Go(func() error {
			errs[i] = v.settle(ctx, name, key, cons, e)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errs
}

func (v *Service) settle(ctx context.Context, name string, key []byte, cons jetstream.Consumer, e Settlement) error {
	reply, ok := opened(key, cons, e.Lease)
	switch {
	case !ok:
		return bad("the lease is not one of %s, or it is older than a rewind: use it as the claim gave it, or claim again", name)
	case e.Delay < 0 || e.Delay > MaxDelay || e.Delay > 0 && e.As != Later:
		return bad("delay %s: want 0s to %s, and only with %s", e.Delay, MaxDelay, Later)
	}
	words := map[string]string{
		Done: "+ACK", Later: fmt.Sprintf(`-NAK {"delay":%d}`, e.Delay.Nanoseconds()), Extend: "+WPI", Fail: "+TERM",
	}
	word, ok := words[e.As]
	if !ok {
		return bad("%.20q: want %s, %s, %s or %s", e.As, Done, Later, Extend, Fail)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_, err := v.Bus.JetStream().Conn().RequestWithContext(ctx, reply, []byte(word))
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %w", name, ErrNone)
	case err != nil:
		return fmt.Errorf("settle an event of %s: %w", name, err)
	}
	return nil
}

const settleTimeout = 5 * time.Second
