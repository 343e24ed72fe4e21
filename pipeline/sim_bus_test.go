package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// memBus is JetStream as pipeline/bus uses it: streams with one message per fact's subject, durable consumers, schedules, ledgers.
type memBus struct {
	world     *world
	outage    span
	seq       map[string]uint64 // by stream
	last      map[string]message
	all       []message
	consumers []*consumer // by durable
	ledgers   map[string]saved
	notes     map[string]saved
	revision  uint64
	removed   int // ledgers
	bound     map[string]string
	owners    map[string]string // of the provider's names
	schedules []schedule
	dead      []string // dead letters
}

type message struct {
	stream, subject string
	seq             uint64
	data            []byte
	at              time.Time
	id              string // ce-id
}

type saved struct {
	data     []byte
	revision uint64
	at       time.Time
}

type schedule struct {
	timer session.Timer
	body  []byte
}

// consumer is a durable; every process that asks for it shares it.
type consumer struct {
	durable, stream string
	filter          []string
	msgs            []*pendingMsg
	paused          span
	copies          bool // what it delivers overtakes a backlog, and is never settled
}

// pendingMsg is a message as one consumer has it.
type pendingMsg struct {
	message
	tries  int
	due    time.Time  // not before
	out    int        // handlers that have it
	owners []*process // of the handlers that ever had it
	acked  bool
	again  bool // the consumer was made again
}

func newBus(w *world) *memBus {
	return &memBus{
		world: w, seq: map[string]uint64{}, last: map[string]message{},
		ledgers: map[string]saved{}, notes: map[string]saved{}, bound: map[string]string{}, owners: map[string]string{},
	}
}

func (b *memBus) down(now time.Time) bool { return b.outage.has(now) }

func (c *consumer) wants(m message) bool {
	return m.stream == c.stream && slices.ContainsFunc(c.filter, func(f string) bool {
		return strings.HasPrefix(m.subject, strings.TrimSuffix(f, ">"))
	})
}

func (m *pendingMsg) ready(now time.Time) bool { return !m.acked && m.out == 0 && !m.due.After(now) }

func (c *consumer) ready(now time.Time) bool {
	return !c.paused.has(now) && slices.ContainsFunc(c.msgs, func(m *pendingMsg) bool { return m.ready(now) })
}

// take takes up to most messages that are due, mostly in the stream's order.
func (c *consumer) take(w *world, now time.Time, most int) []*pendingMsg {
	var ready []*pendingMsg
	for _, m := range c.msgs {
		if m.ready(now) {
			ready = append(ready, m)
		}
	}
	if w.chance(0.3) {
		w.rng.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	}
	ready = ready[:min(len(ready), 1+w.rng.IntN(most))]
	return ready
}

// nextDue is when a message or schedule is due that is not yet; zero: none is.
func (b *memBus) nextDue(now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	waiting := false
	for _, c := range b.consumers {
		if c.paused.has(now) {
			sooner(c.paused.to)
		}
		for _, m := range c.msgs {
			if !m.acked && m.out == 0 {
				sooner(m.due)
				waiting = true
			}
		}
	}
	if waiting && b.down(now) {
		sooner(b.outage.to)
	}
	return next
}

// store appends a message; it must not be down.
func (b *memBus) store(stream, subject, id string, data []byte) message {
	b.seq[stream]++
	m := message{stream: stream, subject: subject, seq: b.seq[stream], data: data, at: time.Now().UTC(), id: id}
	b.last[subject] = m
	b.world.note("stored %s %d: %s", stream, m.seq, data)
	b.all = append(b.all, m)
	for _, c := range b.consumers {
		if c.wants(m) {
			c.msgs = append(c.msgs, &pendingMsg{message: m})
		}
	}
	return m
}

func streamOf(subject string) string {
	switch {
	case strings.HasPrefix(subject, "fax.v1.in."):
		return bus.StreamIn
	case strings.HasPrefix(subject, "fax.v1.page."):
		return bus.StreamPages
	default:
		return bus.StreamDocs
	}
}

// record is Bus.RecordFact: the first fact on a subject stays.
func (b *memBus) record(f session.Fact) (seq uint64, stored []byte, err error) {
	data, err := json.Marshal(f)
	if err != nil {
		return 0, nil, err
	}
	if old, ok := b.last[f.Subject()]; ok {
		if !f.Same(old.data) {
			b.bury("record", string(session.ReasonConflict), f.Subject(), string(data)+" contradicts "+string(old.data))
		}
		return old.seq, old.data, nil
	}
	m := b.store(streamOf(f.Subject()), f.Subject(), f.ID(), data)
	return m.seq, nil, nil
}

func (b *memBus) bury(stage, reason, subject, detail string) {
	b.dead = append(b.dead, fmt.Sprintf("%s %s: %s: %s", stage, subject, reason, detail))
}

// ledger is the state of the session as it is stored.
func (b *memBus) ledger(id string) (session.State, error) {
	s, ok := b.ledgers[id]
	if !ok {
		return session.State{Session: id}, nil
	}
	return session.ParseState(s.data)
}

// procBus is a process's connection. It gives Start what *bus.Bus does.
type procBus struct {
	*memBus
	w *world
	p *process
}

func (b *procBus) RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error) {
	err = b.w.perform(ctx, "bus", "record "+f.Subject(), true, func() (err error) {
		if a, ok := f.(session.PageArchived); ok && a.Source == session.SourceFetch {
			if best, ok := handlingOf(ctx).found[a.Page]; ok && a.RasterSHA256 != best {
				b.w.broken("page %d is published as %.16s, though the archive has the better %.16s", a.Page, a.RasterSHA256, best)
			}
		}
		seq, stored, err = b.record(f)
		return err
	})
	return seq, stored, err
}

func (b *procBus) Bind(ctx context.Context, id, token string) (got string, err error) {
	b.w.mu.Lock()
	got = b.p.bound[id]
	b.w.mu.Unlock()
	if got != "" {
		return got, nil
	}
	err = b.w.perform(ctx, "bus", "bind "+id+" "+token, true, func() error {
		if b.bound[id] == "" && token != session.UnknownToken {
			b.bound[id] = token
		}
		if got = b.bound[id]; got == "" {
			got = session.UnknownToken
			return nil
		}
		b.w.mu.Lock()
		defer b.w.mu.Unlock()
		b.p.bound[id] = got
		return nil
	})
	return got, err
}

// Schedule puts the timer on the agenda. A schedule on the same subject is replaced; one that fired before fires again.
func (b *procBus) Schedule(ctx context.Context, t session.Timer, body []byte) error {
	return b.w.perform(ctx, "bus", "schedule "+t.SetSubject(), true, func() error {
		same := func(s schedule) bool { return s.timer == t }
		if i := slices.IndexFunc(b.schedules, same); i >= 0 {
			b.schedules[i].body = body
			return nil
		}
		b.schedules = append(b.schedules, schedule{t, body})
		b.w.fireAt(t.Due, t)
		return nil
	})
}

// fireAt publishes a schedule's message when its time has come and JetStream is there.
func (w *world) fireAt(at time.Time, t session.Timer) {
	if now := time.Now(); at.Before(now) {
		at = now
	}
	w.later(at, "timer "+t.DueSubject(), func() {
		b := w.bus
		if now := time.Now(); b.down(now) {
			w.fireAt(b.outage.to, t)
			return
		}
		i := slices.IndexFunc(b.schedules, func(s schedule) bool { return s.timer == t })
		if i < 0 {
			return // lost, or fired twice
		}
		body := b.schedules[i].body
		b.schedules = slices.Delete(b.schedules, i, i+1)
		b.store(bus.StreamTimers, t.DueSubject(), "", body)
	})
}

func (b *procBus) Load(ctx context.Context, id string) (s session.State, revision uint64, err error) {
	err = b.w.perform(ctx, "bus", "load "+id, false, func() (err error) {
		s, err = b.ledger(id)
		revision = b.ledgers[id].revision
		return err
	})
	return s, revision, err
}

func (b *procBus) Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error) {
	data, err := s.Marshal()
	if err != nil {
		return 0, err
	}
	err = b.w.perform(ctx, "bus", "save "+s.Session, true, func() error {
		if b.ledgers[s.Session].revision != revision {
			return fmt.Errorf("save: %w", bus.ErrStale)
		}
		b.revision++
		next = b.revision
		b.ledgers[s.Session] = saved{data, next, time.Now().UTC()}
		return nil
	})
	return next, err
}

func (b *procBus) NextLedger(ctx context.Context, from uint64) (s bus.Stored, ok bool, err error) {
	err = b.w.perform(ctx, "bus", fmt.Sprintf("read the ledger after %d", from), false, func() error {
		s, ok = bus.Stored{}, false
		for id, l := range b.ledgers {
			if l.revision >= from && (!ok || l.revision < s.Sequence) {
				s, ok = bus.Stored{Subject: id, Sequence: l.revision, Time: l.at, Data: l.data}, true
			}
		}
		return nil
	})
	return s, ok, err
}

func (b *procBus) RemoveLedger(ctx context.Context, id string, revision uint64) (removed bool, err error) {
	err = b.w.perform(ctx, "bus", "remove the ledger of "+id, true, func() error {
		l, ok := b.ledgers[id]
		if ok && l.revision <= revision {
			delete(b.ledgers, id)
			b.removed++
		}
		removed = !ok || l.revision <= revision
		return nil
	})
	return removed && err == nil, err
}

func (b *procBus) Note(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	err = b.w.perform(ctx, "bus", "read note "+key, false, func() error {
		data, revision = b.notes[key].data, b.notes[key].revision
		return nil
	})
	return data, revision, err
}

func (b *procBus) PutNote(ctx context.Context, key string, data []byte, revision uint64) (next uint64, ok bool, err error) {
	err = b.w.perform(ctx, "bus", "write note "+key, true, func() error {
		if ok = b.notes[key].revision == revision; ok {
			b.revision++
			next = b.revision
			b.notes[key] = saved{data, next, time.Now().UTC()}
		}
		return nil
	})
	return next, ok, err
}

func (b *procBus) Claim(ctx context.Context, kind, value, id string) (owner string, err error) {
	err = b.w.perform(ctx, "bus", "claim "+kind+" "+value, true, func() error {
		if b.owners[kind+value] == "" {
			b.owners[kind+value] = id
		}
		owner = b.owners[kind+value]
		return nil
	})
	return owner, err
}

func (b *procBus) Ledgers(ctx context.Context, f func(session.State), caught func()) error {
	err := b.w.perform(ctx, "bus", "read all ledgers", false, func() error {
		for _, id := range slices.Sorted(maps.Keys(b.ledgers)) {
			s, err := b.ledger(id)
			if err != nil {
				return err
			}
			f(s)
		}
		caught()
		return nil
	})
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// forget loses the schedules that ledgers wait for, and lets so much time pass that somebody notices.
func (b *memBus) forget(w *world) {
	b.schedules = slices.DeleteFunc(b.schedules, func(s schedule) bool {
		return s.timer.Kind != session.TimerRetry && s.timer.Kind != session.TimerWhole
	})
	w.later(time.Now().Add(2*simulatedSweep), "schedules were lost long ago", func() {})
}

func (b *procBus) PageFact(ctx context.Context, toToken, id string, page int) (f session.PageArchived, ok bool, err error) {
	subject := session.PageArchived{ToToken: toToken, Session: id, Page: page}.Subject()
	err = b.w.perform(ctx, "bus", "read "+subject, false, func() error {
		var m message
		if m, ok = b.last[subject]; !ok {
			return nil
		}
		return json.Unmarshal(m.data, &f)
	})
	return f, ok, err
}

func (b *procBus) Recorded(ctx context.Context, f session.Fact) (ok bool, err error) {
	err = b.w.perform(ctx, "bus", "look for "+f.Subject(), false, func() error {
		_, ok = b.last[f.Subject()]
		return nil
	})
	return ok, err
}

func (b *procBus) PageFacts(ctx context.Context, id string, pages session.Ranges) (facts map[int]session.PageArchived, err error) {
	err = b.w.perform(ctx, "bus", "read pages of "+id, false, func() (err error) {
		facts, err = b.pageFacts(id, pages)
		return err
	})
	return facts, err
}

func (b *memBus) pageFacts(id string, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts := map[int]session.PageArchived{}
	for page := range pages.All() {
		for _, token := range []string{session.UnknownToken, b.bound[id]} { // the latter has the number
			m, ok := b.last[session.PageArchived{ToToken: token, Session: id, Page: page}.Subject()]
			if !ok {
				continue
			}
			var f session.PageArchived
			if err := json.Unmarshal(m.data, &f); err != nil {
				return nil, err
			}
			facts[page] = f
		}
	}
	return facts, nil
}

func (b *procBus) Consume(ctx context.Context, c bus.Consumer, handle func(context.Context, bus.Delivery) error) error {
	return b.subscribe(ctx, c, 0, func(ctx context.Context, d []bus.Delivery) []error { return []error{handle(ctx, d[0])} })
}

func (b *procBus) ConsumeBatches(ctx context.Context, c bus.Consumer, most int,
	handle func(context.Context, []bus.Delivery) []error,
) error {
	return b.subscribe(ctx, c, most, handle)
}

func (b *procBus) subscribe(ctx context.Context, c bus.Consumer, most int, handle func(context.Context, []bus.Delivery) []error) error {
	return b.w.perform(ctx, "", "subscribe "+c.Durable, true, func() error {
		sub := subscription{workers: max(c.Workers, 1), most: most, handle: handle, behind: c.Overtake != nil && b.w.overtakes}
		sub.consumer = b.consumer(c, true)
		b.p.subs = append(b.p.subs, &sub)
		if sub.behind {
			early := sub
			c.Durable += "-fresh"
			early.consumer, early.behind = b.consumer(c, false), false
			early.consumer.copies = true
			b.p.subs = append(b.p.subs, &early)
		}
		return nil
	})
}

// consumer finds a durable, or makes it: from the first message, or for those that come.
func (b *memBus) consumer(c bus.Consumer, all bool) *consumer {
	i := slices.IndexFunc(b.consumers, func(o *consumer) bool { return o.durable == c.Durable })
	if i >= 0 {
		return b.consumers[i]
	}
	cons := &consumer{durable: c.Durable, stream: c.Stream, filter: c.Filter}
	for _, m := range b.all {
		if all && cons.wants(m) {
			cons.msgs = append(cons.msgs, &pendingMsg{message: m})
		}
	}
	b.consumers = append(b.consumers, cons)
	return cons
}

// remake deletes a consumer and makes it again, as a bus that runs does: from the last position that it saved, which is at or before the
// first message that is not settled. What was out is delivered again, and acknowledgements to the old consumer have no effect. Copies that
// nobody has yet are lost.
func (b *memBus) remake(c *consumer, rng *rand.Rand) {
	if c.copies {
		c.msgs = nil
		return
	}
	floor := slices.IndexFunc(c.msgs, func(m *pendingMsg) bool { return !m.acked })
	if floor < 0 {
		floor = len(c.msgs)
	}
	floor = rng.IntN(floor + 1)
	for i, m := range c.msgs[floor:] {
		c.msgs[floor+i] = &pendingMsg{message: m.message, again: true}
	}
}

// memArchive is an archive of immutable objects.
type memArchive struct {
	w       *world
	outage  span
	refuses span // objects can be read, but not written
	objects map[string][]byte
}

// away is what a process finds out about the archive.
func (a *memArchive) away(now time.Time) (o session.Outage) {
	for _, s := range []span{a.outage, a.refuses} {
		o = o.And(session.Outage{Now: s.has(now)})
		if !s.never() && !now.Before(s.to) {
			o = o.And(session.Outage{Ended: s.to})
		}
	}
	return o
}

func (a *memArchive) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	return a.w.perform(ctx, "archive", "create "+key, true, func() error {
		if _, ok := a.objects[key]; ok {
			return fmt.Errorf("create %s: %w", key, fs.ErrExist)
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if int64(len(data)) != size || sha256.Sum256(data) != sum {
			return errors.New("the body is not what its size and hash say")
		}
		a.objects[key] = data
		return nil
	})
}

// object is an open object.
type object struct{ *strings.Reader }

func (object) Close() error { return nil }

func (a *memArchive) Open(ctx context.Context, key string) (r io.ReadSeekCloser, size int64, err error) {
	err = a.w.perform(ctx, "archive", "open "+key, false, func() error {
		data, ok := a.objects[key]
		if !ok {
			return fmt.Errorf("open %s: %w", key, fs.ErrNotExist)
		}
		r, size = object{strings.NewReader(string(data))}, int64(len(data))
		return nil
	})
	return r, size, err
}

// keys lists what begins with prefix, in order.
func (a *memArchive) keys(prefix string) []string {
	var keys []string
	for k := range a.objects {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func (a *memArchive) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		err := a.w.perform(ctx, "archive", "list "+prefix, false, func() error {
			keys = a.keys(prefix)
			a.note(handlingOf(ctx), prefix, keys)
			return nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, k := range keys {
			if k > after && !yield(k, nil) {
				return
			}
		}
	}
}

// note lets a handling know the best of the originals that it finds of a page: it must neither fetch nor publish another one.
func (a *memArchive) note(h *handling, prefix string, keys []string) {
	var page int
	if _, err := fmt.Sscanf(prefix, "faxes/"+a.w.fax.id+"/pages/%d.", &page); err != nil {
		return
	}
	type order struct {
		bad, rows int // fewest, most
		sum       string
	}
	var best *order
	for _, k := range keys {
		d := decoded(a.objects[k], 0)
		if d == nil || strings.Count(k, ".") != 2 || !strings.HasSuffix(k, ".tiff") {
			continue
		}
		o := order{rows: d.Raster.Height, sum: hash(d.Raster.SHA256())}
		for _, r := range d.BadRows {
			o.bad += r.Last - r.First + 1
		}
		if best == nil || cmp.Or(cmp.Compare(o.bad, best.bad), cmp.Compare(best.rows, o.rows), cmp.Compare(o.sum, best.sum)) < 0 {
			best = &o
		}
	}
	if best != nil {
		if h.found == nil {
			h.found = map[int]string{}
		}
		h.found[page] = best.sum
	}
}
