package subscribers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
//     main one is. The main one passes over the number's events from there on, and so comes to those of other numbers at once. Claims take
//     turns between the main one and the shares.
//   - A rewind: a durable that begins at the time in question and ends where the main one is. Claims take from it when nothing else waits.
//
// The main one passes over an event only if the share is there, and is not closed, after the event came: then the share has it. A share is
// closed when it has nothing left, and removed if it still has nothing after that, so that no event is passed over for a share that is
// gone. Several processes may do this at once, and a crash at any point loses nothing. An event may be delivered by both around the
// opening and the closing, as after any lost answer.
type family struct {
	v      *Service
	memory *memory
	sub    Subscriber
	main   *durable
	shares []*durable
	again  *durable // of a rewind, or nil
}

// durable is one of a family.
type durable struct {
	jetstream.Consumer
	number string // of a share
}

// Info is the durable as it was last asked for.
func (d *durable) Info() *jetstream.ConsumerInfo { return d.CachedInfo() }

// drained reports whether everything that was delivered is settled, and nothing waits.
func (d *durable) drained() bool { return d.Info().NumPending == 0 && d.Info().NumAckPending == 0 }

func (d *durable) closed() bool { return d.Info().Config.Metadata[metaClosed] != "" }

const (
	shareFrom  = 100         // events that wait behind one: from so many on, a number may get a share
	shareAhead = 100         // sequences after the last delivered one, where a share begins: until then other processes have learned of it
	shareQuiet = time.Minute // a share is closed when it has had nothing to do for so long
	maxShares  = 16          // of a subscriber; further numbers stay with the main durable
	lastEvents = 32          // of the main durable that are looked at: a number with half of them has a burst
	tidyEvery  = 64          // claims
	passFor    = 250 * time.Millisecond
	passAtOnce = 32 // events that are passed over together
)

// Names and metadata of additional durables. No name of a subscriber has these characters.
const (
	shareMark = "="
	againMark = "~"

	metaOf     = "faxstream-of"     // the subscriber
	metaNumber = "faxstream-number" // of a share
	metaClosed = "faxstream-closed" // of a share
	metaUntil  = "faxstream-until"  // of a rewind: the last sequence
	metaGrown  = "faxstream-grown"  // of the main durable: when the family last got a durable
)

// additional reports whether a durable has the name of an additional one of a subscriber.
func additional(name, durable string) bool {
	return strings.HasPrefix(durable, prefix+name+againMark) || strings.HasPrefix(durable, prefix+name+shareMark)
}

// memory is what a process keeps of a subscriber between claims.
type memory struct {
	look  chan struct{} // has a value while a claim looks
	grown string        // metaGrown when others were found
	names []string      // of additional durables
	last  []string      // numbers of the last events of the main durable
	turns int

	nothing bool      // the last claim got nothing
	moved   string    // where the durables were
	since   time.Time // and since when
}

func (v *Service) memory(name string) *memory {
	m, _ := v.memories.LoadOrStore(name, &memory{look: make(chan struct{}, 1)})
	return m.(*memory)
}

func (f *family) alone() bool { return len(f.shares) == 0 && f.again == nil }

// family finds the durables of a subscriber.
func (v *Service) family(ctx context.Context, name string, m *memory) (*family, error) {
	main, err := v.find(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &family{v: v, memory: m, sub: status(main.CachedInfo()).Subscriber, main: &durable{Consumer: main}}
	grown := main.CachedInfo().Config.Metadata[metaGrown]
	if grown != m.grown {
		if m.names, err = v.others(ctx, name); err != nil {
			return nil, err
		}
		m.grown = grown
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
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Metadata[bus.Ours] == bus.OursSubscriber && info.Config.Metadata[metaOf] == name {
			names = append(names, info.Name)
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
		each := max(1, (most-len(events))/len(sources))
		var left []*durable
		for _, d := range sources {
			var given []Event
			if err == nil {
				given, err = f.from(ctx, d, key, min(each, most-len(events)))
			}
			if events = append(events, given...); len(given) == each {
				left = append(left, d)
			}
		}
		sources = left
	}
	if err == nil && len(events) < most && f.again != nil {
		var given []Event
		given, err = f.from(ctx, f.again, key, most-len(events))
		events = append(events, given...)
	}
	f.memory.nothing = len(events) == 0
	return events, err
}

// room is how many more events may be in work.
//
// The durables count events whose lease is over as if they were in work, until they are claimed again. So when as many are in work as may
// be, and nothing moves for the time of a lease, workers may have died with all of them: one more is given. The server gives those first
// whose lease is over.
func (f *family) room() int {
	all := append([]*durable{f.main}, f.shares...)
	if f.again != nil {
		all = append(all, f.again)
	}
	n, moved := f.sub.Concurrency, ""
	for _, d := range all {
		info := d.Info()
		n -= info.NumAckPending
		moved += fmt.Sprintln(info.Delivered.Consumer, info.AckFloor.Consumer, info.NumAckPending)
	}
	if n > 0 || moved != f.memory.moved {
		f.memory.moved, f.memory.since = moved, time.Now()
		return n
	}
	if time.Since(f.memory.since) < f.sub.Lease || n < -len(all) {
		return n
	}
	f.memory.since = time.Now()
	return 1
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
	var passed []message
	for until := time.Now().Add(passFor); len(events) < most; {
		msgs, err := d.pull(func() (jetstream.MessageBatch, error) { return d.FetchNoWait(most - len(events)) })
		if d != f.main && gone(err) { // another process has removed it: it had nothing left
			return events, nil
		}
		before := len(passed)
		for _, m := range msgs {
			if f.elsewhere(d, m) {
				passed = append(passed, m)
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

// gone reports whether an error says that there is no such durable.
func gone(err error) bool {
	for _, none := range []error{jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDeleted, nats.ErrNoResponders} {
		if errors.Is(err, none) {
			return true
		}
	}
	return false
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

// elsewhere reports whether a message that d delivered is to come from another durable.
func (f *family) elsewhere(d *durable, m message) bool {
	s := f.share(m)
	switch d {
	case f.main:
		return s != nil && !s.closed()
	case f.again:
		// Its end is where the main one was. A share that has not come to a message yet was asked before the message came.
		return m.meta.Sequence.Stream > f.until() || s != nil && m.meta.Sequence.Stream > s.Info().Delivered.Stream
	}
	return false
}

// until is the last sequence of a rewind.
func (f *family) until() uint64 {
	n, err := strconv.ParseUint(f.again.Info().Config.Metadata[metaUntil], 10, 64)
	if err != nil {
		return 0 // nothing is repeated for a durable that somebody has edited
	}
	return n
}

// pass settles messages that come from another durable. Those of the main one are settled only if their share is still there.
func (f *family) pass(ctx context.Context, d *durable, msgs []message) error {
	open := map[*durable]bool{}
	for _, m := range msgs {
		s := f.share(m)
		if d != f.main {
			s = nil
		}
		if _, asked := open[s]; s != nil && !asked {
			_, err := s.Consumer.Info(ctx)
			if err != nil && !gone(err) {
				return fmt.Errorf("pass over events of %s: %w", d.Info().Name, err)
			}
			open[s] = err == nil && !s.closed()
		}
		settle := func() error { return m.DoubleAck(ctx) }
		if s != nil && !open[s] {
			settle = m.Nak // it comes again, and then from this one
		}
		if err := settle(); err != nil {
			return fmt.Errorf("pass over events of %s: %w", d.Info().Name, err)
		}
	}
	return nil
}

// saw notes an event of the main durable, and gives its number a share if it has a burst.
func (f *family) saw(ctx context.Context, d *durable, m message) error {
	number := numberOf(m.Subject())
	if d != f.main || f.sub.Kind != KindHTTP || len(f.sub.Numbers) == 1 || number == "" {
		return nil
	}
	last := append(f.memory.last, number)
	f.memory.last = last[max(0, len(last)-lastEvents):]
	if m.meta.NumPending < shareFrom || len(f.memory.last) < lastEvents || len(f.shares) >= maxShares || f.share(m) != nil {
		return nil
	}
	n := 0
	for _, l := range f.memory.last {
		if l == number {
			n++
		}
	}
	if n < lastEvents/2 {
		return nil
	}
	f.memory.last = nil
	return f.split(ctx, number)
}

// split gives a number a durable of its own.
func (f *family) split(ctx context.Context, number string) error {
	info, err := f.main.Consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("a share for one number of %s: %w", f.sub.Name, err)
	}
	c := config(f.sub)
	c.Durable, c.FilterSubjects = prefix+f.sub.Name+shareMark+number, filter([]string{number})
	c.DeliverPolicy, c.OptStartTime, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, info.Delivered.Stream+1+shareAhead
	c.Metadata = map[string]string{bus.Ours: bus.OursSubscriber, metaOf: f.sub.Name, metaNumber: number}
	_, err = f.v.Bus.JetStream().CreateConsumer(ctx, bus.StreamPages, c)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) { // another process made it at the same moment
		return fmt.Errorf("a share for one number of %s: %w", f.sub.Name, err)
	}
	return f.v.grow(ctx, info)
}

// grow tells all processes that the family of a main durable has got another one.
func (v *Service) grow(ctx context.Context, main *jetstream.ConsumerInfo) error {
	c := main.Config
	c.Metadata[metaGrown] = time.Now().UTC().Format(time.RFC3339Nano)
	if _, err := v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c); err != nil {
		return fmt.Errorf("durables of %s: %w", main.Name, err)
	}
	return nil
}

// tidy removes shares that have nothing left, and a rewind that is over. It looks at the durables as family found them.
func (f *family) tidy(ctx context.Context) error {
	if f.again != nil && (f.again.drained() || f.again.Info().NumAckPending == 0 && f.again.Info().Delivered.Stream >= f.until()) {
		if err := f.v.remove(ctx, f.again.Info().Name); err != nil {
			return err
		}
		f.again = nil
	}
	var left []*durable
	for _, s := range f.shares {
		info := s.Info()
		quiet := info.Delivered.Last == nil || time.Since(*info.Delivered.Last) >= shareQuiet
		// The main one must have passed over all that the share has delivered, or it would deliver that again.
		if s.drained() && quiet && f.main.Info().AckFloor.Stream >= info.Delivered.Stream {
			closed, err := f.close(ctx, s)
			if err != nil {
				return err
			}
			if closed {
				continue
			}
		}
		left = append(left, s)
	}
	f.shares = left
	return nil
}

// close closes a share, and removes it if it has still nothing left then. Else it is emptied first; it is never opened again.
func (f *family) close(ctx context.Context, s *durable) (removed bool, err error) {
	if !s.closed() {
		c := s.Info().Config
		c.Metadata[metaClosed] = "yes"
		_, err = f.v.Bus.JetStream().UpdateConsumer(ctx, bus.StreamPages, c)
	}
	if err == nil {
		_, err = s.Consumer.Info(ctx) // after it is closed: now it has everything that was passed over for it
	}
	switch {
	case gone(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("close %s: %w", s.Info().Name, err)
	case !s.drained():
		return false, nil
	}
	return true, f.v.remove(ctx, s.Info().Name)
}

// remove removes an additional durable.
func (v *Service) remove(ctx context.Context, durable string) error {
	err := v.Bus.JetStream().DeleteConsumer(ctx, bus.StreamPages, durable)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("remove durable %s: %w", durable, err)
	}
	return nil
}
