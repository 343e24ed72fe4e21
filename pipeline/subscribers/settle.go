package subscribers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// A lease is where the server takes the acknowledgement of an event, with the durable that delivered it and when that was made, signed:
// nobody can settle what he has not claimed, and nobody what was claimed before the durable was made again, although the server would take
// it.
type lease struct {
	durable string
	made    string // UnixNano of the durable
	reply   string
}

const signature = 16 // bytes

func madeOf(info *jetstream.ConsumerInfo) string { return fmt.Sprint(info.Created.UnixNano()) }

func leaseOf(key []byte, info *jetstream.ConsumerInfo, reply string) string {
	text := info.Name + " " + madeOf(info) + " " + reply
	return base64.RawURLEncoding.EncodeToString(append(sign(key, text), text...))
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "lease %s", text)
	return mac.Sum(nil)[:signature]
}

// opened gives back what leaseOf has signed.
func opened(key []byte, sealed string) (l lease, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(data) <= signature || !hmac.Equal(data[:signature], sign(key, string(data[signature:]))) {
		return lease{}, false
	}
	parts := strings.Split(string(data[signature:]), " ")
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "$JS.ACK.") {
		return lease{}, false
	}
	return lease{parts[0], parts[1], parts[2]}, true
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
	Why   string        // of Fail: what List shows of the last one
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
	durables := &madeWhen{v: v, known: map[string]string{}}
	if err == nil {
		var main jetstream.Consumer
		if main, err = v.find(ctx, name); err == nil {
			durables.known[main.CachedInfo().Name] = madeOf(main.CachedInfo())
		}
	}
	var group errgroup.Group
	group.SetLimit(settledAtOnce)
	for i, e := range events {
		if errs[i] = err; err != nil {
			continue
		}
		group.Go(func() error {
			errs[i] = v.settle(ctx, name, key, durables, e)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	var failed []int
	for i, e := range events {
		if e.As == Fail && errs[i] == nil {
			failed = append(failed, i)
		}
	}
	if len(failed) > 0 {
		last := failed[len(failed)-1]
		errs[last] = v.countFailed(ctx, name, len(failed), events[last].Why)
	}
	return errs
}

// madeWhen knows when durables were made, as madeOf writes it.
type madeWhen struct {
	v     *Service
	mu    sync.Mutex
	known map[string]string // by name; empty: there is none
}

func (w *madeWhen) of(ctx context.Context, durable string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if made, ok := w.known[durable]; ok {
		return made, nil
	}
	cons, err := w.v.Bus.JetStream().Consumer(ctx, bus.StreamPages, durable)
	switch {
	case err == nil:
		w.known[durable] = madeOf(cons.CachedInfo())
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		w.known[durable] = ""
	default:
		return "", fmt.Errorf("settle an event: %w", err)
	}
	return w.known[durable], nil
}

func (v *Service) settle(ctx context.Context, name string, key []byte, durables *madeWhen, e Settlement) error {
	l, ok := opened(key, e.Lease)
	ok = ok && (l.durable == prefix+name || additional(name, l.durable))
	if e.Delay < 0 || e.Delay > MaxDelay || e.Delay > 0 && e.As != Later {
		return bad("delay %s: want 0s to %s, and only with %s", e.Delay, MaxDelay, Later)
	}
	words := map[string]string{
		Done: "+ACK", Later: fmt.Sprintf(`-NAK {"delay":%d}`, e.Delay.Nanoseconds()), Extend: "+WPI", Fail: "+TERM",
	}
	word, known := words[e.As]
	if !known {
		return bad("%.20q: want %s, %s, %s or %s", e.As, Done, Later, Extend, Fail)
	}
	if ok {
		made, err := durables.of(ctx, l.durable)
		if err != nil {
			return err
		}
		ok = made == l.made
	}
	if !ok {
		return bad("the lease is not one of %s, or its durable is gone after a rewind or when all of its events were settled: "+
			"use a lease as the claim gave it, or claim again", name)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_, err := v.Bus.JetStream().Conn().RequestWithContext(ctx, l.reply, []byte(word))
	switch {
	case errors.Is(err, nats.ErrNoResponders): // it was removed meanwhile, or JetStream does not answer
		if _, findErr := v.find(ctx, name); findErr != nil {
			return findErr
		}
		fallthrough
	case err != nil:
		return fmt.Errorf("settle an event of %s: %w", name, err)
	}
	return nil
}

const settleTimeout = 5 * time.Second
