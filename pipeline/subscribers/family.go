package subscribers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/bus"
)

// A family is the durables from which a subscriber of KindHTTP gets its events. There is one, the main one, and it has all of them in the
// order of the stream. Two things add more, for a time:
//
//   - A burst of one number, such as a broadcast of a thousand pages: the number gets a durable of its own, a share, which begins where the
//     main one is. The main one passes over the number's events from there on, and so comes to those of other numbers. Claims take turns
//     between the main one and the shares.
//   - A rewind: a durable that begins at the time in question and ends where the others were. Claims take from it when nothing else waits.
//
// The main one passes over an event only if the share is there, and not closed, after the event came: then the share has it. A share is
// closed when it has had nothing to do for a minute. From then on the main one passes over nothing more for it, and the share gives only
// what was stored until then. It is removed when it has given all of that. So no event is passed over for a share that is gone, whatever
// several processes do at once, and a crash at any point loses nothing. An event may be delivered by both around the opening and the
// closing, as after any lost answer.
type family struct {
	v      *Service
	memory *memory
	sub    Subscriber
	main   *durable
	shares []*durable
	again  *durable // of a rewind, or nil
}

const (
	shareFrom  = 100              // events that wait behind one: from so many on, a number may get a share
	shareAhead = 100              // sequences after the last delivered one, where a share begins: by then other processes know of it
	shareQuiet = time.Minute      // a share is closed when it has had nothing to do for so long
	shareEnds  = 10 * time.Second // after it was closed it may be removed: by then every server knows what it has
	maxShares  = 16               // of a subscriber; further numbers stay with the main durable
	lastEvents = 32               // of the main durable that are looked at: a number with half of them has a burst
	tidyEvery  = 64               // claims
	listEvery  = time.Minute      // a process that was not told of a durable finds it then
	passFor    = 250 * time.Millisecond
	passAtOnce = 32 // events that are passed over together
)

// memory is what a process keeps of a subscriber between claims.
type memory struct {
	look   chan struct{} // has a value while a claim looks
	grown  string        // metaGrown when others were found
	listed time.Time     // and when that was
	names  []string      // of additional durables
	last   []string      // numbers of the last events of the main durable
	turns  int

	nothing bool // the last claim got nothing
}

func (v *Service) memory(name string) *memory {
	m, _ := v.memories.LoadOrStore(name, &memory{look: make(chan struct{}, 1)})
	return m.(*memory)
}

func (f *family) alone() bool { return len(f.shares) == 0 && f.again == nil }

// family finds the durables of a subscriber whose main one is there.
func (v *Service) family(ctx context.Context, main jetstream.Consumer, m *memory) (*family, error) {
	f := &family{v: v, memory: m, sub: status(main.CachedInfo()).Subscriber, main: &durable{Consumer: main}}
	grown := main.CachedInfo().Config.Metadata[metaGrown]
	if grown != m.grown || time.Since(m.listed) >= listEvery {
		names, err := v.others(ctx, f.sub.Name)
		if err != nil {
			return nil, err
		}
		m.names, m.grown, m.listed = names, grown, time.Now()
	}
	var there []string
	for _, n := range m.names {
		cons, err := v.Bus.JetStream().Consumer(ctx, bus.StreamPages, n)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find durable %s: %w", n, err)
		}
		there = append(there, n)
		if number := cons.CachedInfo().Config.Metadata[metaNumber]; number != "" {
			f.shares = append(f.shares, &durable{cons, number})
		} else {
			f.again = &durable{Consumer: cons}
		}
	}
	m.names = there
	return f, nil
}

// others lists the additional durables of a subscriber.
func (v *Service) others(ctx context.Context, name string) (names []string, err error) {
	stream, err := v.Bus.JetStream().Stream(ctx, bus.StreamPages)
	if err != nil {
		return nil, fmt.Errorf("durables of %s: %w", name, err)
	}
	list := stream.ConsumerNames(ctx) // unlike their states, a cluster lists the names of all
	for n := range list.Name() {
		if additional(name, n) {
			names = append(names, n)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("durables of %s: %w", name, err)
	}
	return names, nil
}

// take takes up to most events that wait now. The error is the first one; the events that were taken before it are given, for their leases
// run.
func (f *family) take(ctx context.Context, key []byte, most int) (events []Event, err error) {
	if f.alone() {
		return f.from(ctx, f.main, key, most)
	}
	if f.memory.turns++; f.memory.nothing || f.memory.turns%tidyEvery == 0 {
		if err := f.tidy(ctx); err != nil {
			return nil, err
		}
	}
	most = min(most, f.room())
	sources := f.turn()
	for err == nil && len(sources) > 0 && len(events) < most {
		left := most - len(events)
		var more []*durable
		for _, d := range sources {
			part := max(1, left/(2*max(1, len(sources)-1)))
			if d == f.main { // it has all other numbers
				part = max(1, left/2)
			}
			part = min(part, most-len(events))
			var given []Event
			if err == nil && part > 0 {
				given, err = f.from(ctx, d, key, part)
			}
			if events = append(events, given...); len(given) == part {
				more = append(more, d)
			}
		}
		sources = more
	}
	if err == nil && len(events) < most && f.again != nil {
		var given []Event
		given, err = f.from(ctx, f.again, key, most-len(events))
		events = append(events, given...)
	}
	f.memory.nothing = len(events) == 0
	return events, err
}

// room is how many more events may be in work. Several processes that look at the same time may exceed it, up to Concurrency of each
// durable.
func (f *family) room() int {
	n := f.sub.Concurrency - f.main.inWork() - f.again.inWork()
	for _, s := range f.shares {
		n -= s.inWork()
	}
	return n
}

// turn gives the durables in the order of this claim: every second claim begins with the main one, which has all quiet numbers, and the
// others with one share after another.
func (f *family) turn() []*durable {
	if len(f.shares) == 0 {
		return []*durable{f.main}
	}
	at := f.memory.turns / 2 % len(f.shares)
	shares := slices.Concat(f.shares[at:], f.shares[:at])
	if f.memory.turns%2 == 0 {
		return slices.Insert(shares, 0, f.main)
	}
	return append(shares, f.main)
}

// from takes up to most events from one durable, and passes over those that come from another one.
func (f *family) from(ctx context.Context, d *durable, key []byte, most int) (events []Event, err error) {
	var passed []passedOver
	free := d.free()
	for until := time.Now().Add(passFor); len(events) < most; {
		msgs, err := d.some(most-len(events), free-len(events)-len(passed))
		if d != f.main && gone(err) { // another process has removed it: it had nothing left
			return events, nil
		}
		before := len(passed)
		for _, m := range msgs {
			if s, elsewhere := f.elsewhere(d, m); elsewhere {
				passed = append(passed, passedOver{m, s})
				continue
			}
			events = append(events, d.event(key, m))
			err = errors.Join(err, f.saw(ctx, d, m))
		}
		over := err != nil || len(passed) == before || time.Now().After(until)
		if over || len(passed) >= min(passAtOnce, max(1, f.sub.Concurrency/2)) {
			err = errors.Join(err, f.pass(ctx, d, passed))
			passed = nil
		}
		if over || err != nil {
			return events, err
		}
	}
	return events, f.pass(ctx, d, passed)
}

// numberOf is the number in the subject of a page event: fax.v1.page.archived.<to>.<session>.<page>.
func numberOf(subject string) string {
	parts := strings.SplitN(subject, ".", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}

// share gives the share that has a message, or nil.
func (f *family) share(m message) *durable {
	for _, s := range f.shares {
		if s.number == numberOf(m.Subject()) && m.meta.Sequence.Stream >= s.Info().Config.OptStartSeq {
			return s
		}
	}
	return nil
}

// elsewhere reports whether a message that d delivered is to come from another durable, and gives the share that has it, if it is one.
func (f *family) elsewhere(d *durable, m message) (s *durable, elsewhere bool) {
	if d == f.main {
		s = f.share(m)
		return s, s != nil && !s.closed()
	}
	return nil, m.meta.Sequence.Stream > d.until(numberOf(m.Subject()))
}

// passedOver is a message that its durable does not give.
type passedOver struct {
	message
	share *durable // that has it; nil: that of an additional durable is after its end, and the main one has it
}

// pass settles messages that come from another durable. Those for which there is a share are settled only if it is still the same one.
func (f *family) pass(ctx context.Context, d *durable, msgs []passedOver) error {
	open := map[*durable]bool{nil: true}
	for _, m := range msgs {
		if _, asked := open[m.share]; !asked {
			same, err := m.share.still(ctx)
			if err != nil {
				return fmt.Errorf("pass over events of %s: %w", d.Info().Name, err)
			}
			open[m.share] = same
		}
		settle := func() error { return m.DoubleAck(ctx) }
		if !open[m.share] {
			settle = m.Nak // it comes again, and then from this one
		}
		if err := settle(); err != nil {
			return fmt.Errorf("pass over events of %s: %w", d.Info().Name, err)
		}
	}
	return nil
}

// gone reports whether an error says that there is no such durable, or that none answers.
func gone(err error) bool {
	for _, none := range []error{
		jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDoesNotExist, jetstream.ErrConsumerDeleted, nats.ErrNoResponders,
	} {
		if errors.Is(err, none) {
			return true
		}
	}
	return false
}
