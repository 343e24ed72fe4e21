package collect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Bus is what the collector needs of JetStream. Every method may be repeated: the second time changes nothing.
type Bus interface {
	Facts
	Ledgers
	recovery.Names
}

// Facts records facts and what follows from them later.
type Facts interface {
	// RecordFact returns once the fact is durable; stored is the payload that was on its subject before, nil if none was.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
	// Schedule lets body arrive on the timer's due subject at its due time.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// PageFact reads the page.archived fact under one number token.
	PageFact(ctx context.Context, toToken, id string, page int) (f session.PageArchived, ok bool, err error)
}

// Ledgers keeps one ledger per session.
type Ledgers interface {
	// Load gives a new ledger, revision 0, for a session that has none.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Save replaces it if revision is still the newest, else bus.ErrStale; after other errors it may have been replaced.
	Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error)
}

// Collector folds facts into ledgers and performs what they owe.
//
// One compare-and-swap per session and batch. Effects are part of the saved state and stay in it until the next swap:
// a crash between swap and effect heals at the next delivery, which finds them in the state and performs them first.
type Collector struct {
	Bus     Bus
	Archive archive.Store
	Policy  session.Policy
	Observe func(stage.Step)

	mu    sync.Mutex
	known map[string]*ledger // guarded by mu, made at first use; what this process knows of the sessions of late
}

// ledger is one session as this process last saw it. Its lock lets the collector's durables take turns;
// other processes are kept apart by the compare-and-swap.
type ledger struct {
	mu       sync.Mutex
	loaded   bool
	state    session.State
	revision uint64
	done     bool // state.Effects have been performed by this process
}

// maxKnown bounds the ledgers in memory; a forgotten one is loaded again.
const maxKnown = 10_000

func (c *Collector) ledger(id string) *ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.known[id]; l != nil {
		return l
	}
	if c.known == nil || len(c.known) >= maxKnown {
		c.known = map[string]*ledger{} // whoever holds one goes on with it; a second holder loses at the swap
	}
	l := &ledger{}
	c.known[id] = l
	return l
}

// atOnce is how many sessions of a batch are folded concurrently: their swaps share a sync.
const atOnce = 64

// collect folds a batch; errs has one entry for each delivery.
func (c *Collector) collect(ctx context.Context, ds []bus.Delivery) []error {
	start := time.Now()
	errs := make([]error, len(ds))
	sessions := map[string][]int{}
	events := make([]session.Event, len(ds))
	for i, d := range ds {
		id, e, err := parse(d)
		if err != nil {
			errs[i] = bus.Dead{Reason: session.ReasonBadRequest, Err: err}
			continue
		}
		events[i] = e
		sessions[id] = append(sessions[id], i)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for id, members := range sessions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			batch := make([]*session.Event, len(members))
			for k, i := range members {
				batch[k] = &events[i]
			}
			for k, err := range c.fold(ctx, id, batch) {
				errs[members[k]] = err
			}
		})
	}
	wg.Wait()
	c.Observe(stage.Step{Stage: stage.Collect, Took: time.Since(start)})
	return errs
}

// fold applies the events of one session; the result has one error for each.
func (c *Collector) fold(ctx context.Context, id string, events []*session.Event) []error {
	errs := make([]error, len(events))
	all := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	l := c.ledger(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		err := c.swap(ctx, id, l, events, errs)
		switch {
		case errors.Is(err, bus.ErrStale):
			l.loaded = false
		case err != nil:
			l.loaded = false // after an error nobody knows what is stored
			return all(err)
		default:
			return errs
		}
		if ctx.Err() != nil {
			return all(context.Cause(ctx))
		}
	}
}

// swap folds events into the newest state it knows of and saves it. l.mu is held.
func (c *Collector) swap(ctx context.Context, id string, l *ledger, events []*session.Event, errs []error) error {
	fresh := !l.loaded
	if fresh {
		s, revision, err := c.Bus.Load(ctx, id)
		if err != nil {
			return err
		}
		if revision == 0 {
			if s, err = recovery.Restore(ctx, c.Archive, c.Bus, s); err != nil {
				return err
			}
		}
		l.loaded, l.state, l.revision, l.done = true, s, revision, false
	}
	if !l.done {
		if err := c.perform(ctx, l.state); err != nil {
			return err
		}
		l.done = true
	}
	next := l.state
	next.Effects = nil
	for i, e := range events {
		if err := c.bind(ctx, &next, e); err != nil {
			return err
		}
		if err := c.claim(ctx, &next, e); err != nil {
			return err
		}
		folded, err := session.Next(c.Policy, next, *e)
		if err != nil {
			errs[i] = bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("session %s: %w", id, err)}
			continue
		}
		errs[i] = nil
		next = folded
	}
	before := l.state
	before.Effects = nil
	restored := l.revision == 0 && !l.state.Opened.IsZero()
	if len(next.Effects) == 0 && reflect.DeepEqual(before, next) && !restored {
		if !fresh {
			return bus.ErrStale // repeats of what this process knows; another one may know more
		}
		return nil
	}
	revision, err := c.Bus.Save(ctx, next, l.revision)
	if err != nil {
		return err
	}
	l.state, l.revision, l.done = next, revision, false
	if err := c.perform(ctx, next); err != nil {
		return err
	}
	l.done = true
	return nil
}

// bind gives an event the session's number token, where the ledger does not have it yet.
func (c *Collector) bind(ctx context.Context, s *session.State, e *session.Event) error {
	if s.ToToken != "" || s.Purged {
		return nil
	}
	number := ""
	switch f := e.Fact.(type) {
	case session.PageAnnounced:
		number = f.To
	case session.Closed:
		number = f.To
		if f.Direction == session.Outgoing {
			number = f.From
		}
	}
	token, err := c.Bus.Bind(ctx, s.Session, session.NumberToken(number))
	e.ToToken = token
	return err
}

// claim finds out whether another session has this fax already: the provider's id of the whole file is one fax's. Sent faxes
// that are tried again keep their session.
func (c *Collector) claim(ctx context.Context, s *session.State, e *session.Event) error {
	f, ok := e.Fact.(session.Closed)
	if !ok || f.Direction == session.Outgoing || f.File == "" || s.Close != nil && s.Close.File == f.File {
		return nil
	}
	owner, err := c.Bus.Claim(ctx, session.AliasFile, f.File, s.Session)
	if owner != s.Session {
		e.Owner = owner
	}
	return err
}

// perform does what a state owes: only short publishes, each of which may be repeated, and the redirect of a folded session.
func (c *Collector) perform(ctx context.Context, s session.State) error {
	purged, err := archive.WriteRedirect(ctx, c.Archive, s)
	if err == nil && purged {
		err = hold.FollowPurge(ctx, c.Archive, c.Bus, s)
	}
	if err != nil {
		return err
	}
	for _, e := range s.Effects {
		var err error
		switch {
		case e.Timer != nil:
			err = c.Bus.Schedule(ctx, *e.Timer, nil)
		case e.Whole != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Whole)
		case e.Ask != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Ask)
		case e.Ready != nil:
			_, _, err = c.Bus.RecordFact(ctx, *e.Ready)
		case len(e.Rebind) > 0:
			err = c.rebind(ctx, s.Session, e.Rebind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rebind publishes pages again under the session's number that went to `unknown` before anybody knew it.
func (c *Collector) rebind(ctx context.Context, id string, pages session.Ranges) error {
	token, err := c.Bus.Bind(ctx, id, session.UnknownToken)
	if err != nil {
		return err
	}
	for page := range pages.All() {
		f, ok, err := c.Bus.PageFact(ctx, session.UnknownToken, id, page)
		if err != nil {
			return err
		}
		if !ok {
			continue // older than the stream's horizon: nobody waits for it any more
		}
		f.ToToken = token
		if _, _, err := c.Bus.RecordFact(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// parse turns a delivery into an event of the ledger.
func parse(d bus.Delivery) (id string, e session.Event, err error) {
	e = session.Event{At: d.Time}
	if strings.HasPrefix(d.Subject, session.TypeTimerDue) {
		e.Timer, err = session.ParseTimer(d.Subject)
		return e.Timer.Session, e, err
	}
	if e.Fact, err = session.ParseFact(bus.EventType(d.Subject), d.Data); err != nil {
		return "", e, err
	}
	if strings.HasPrefix(d.Subject, "fax.v1.page.") {
		e.Seq = d.Sequence
	}
	return e.Fact.SessionID(), e, nil
}

// collectAtMost is how many facts go into one swap of the ledgers.
const collectAtMost = 256

// Consumptions are the collector's durables, one for each stream with facts.
func (c *Collector) Consumptions() []bus.BatchConsumption {
	all := func(types ...string) (filter []string) {
		for _, t := range types {
			filter = append(filter, t+".>")
		}
		return filter
	}
	var out []bus.BatchConsumption
	for _, consumer := range []bus.Consumer{
		{Stream: bus.StreamIn, Durable: "collect-in", Filter: all(
			session.TypePageAnnounced, session.TypeClosed, session.TypeSent, session.TypeRecordSaid, session.TypeAgain, session.TypeKept)},
		{Stream: bus.StreamPages, Durable: "collect-pages", Filter: all(session.TypePageArchived, session.TypePageFailed)},
		{Stream: bus.StreamDocs, Durable: "collect-docs", Filter: all(
			session.TypeDocAssembled, session.TypeWholeCut, session.TypeWholeFailed, session.TypeDocFailed, session.TypeDocVerified)},
		{Stream: bus.StreamTimers, Durable: "collect-timers", Filter: bus.TimerSubjects(session.TimerGrace, session.TimerIdle, session.TimerVerify)},
	} {
		out = append(out, bus.BatchConsumption{Consumer: consumer, Most: collectAtMost, Handle: c.collect})
	}
	return out
}
