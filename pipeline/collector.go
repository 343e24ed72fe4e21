package pipeline

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Ledgers keeps one ledger per session.
type Ledgers interface {
	// Load gives a new ledger, revision 0, for a session that has none.
	Load(ctx context.Context, id string) (s session.State, revision uint64, err error)
	// Save replaces it if revision is still the newest, else bus.ErrStale; after other errors it may have been replaced.
	Save(ctx context.Context, s session.State, revision uint64) (next uint64, err error)
	// PageFact reads the page.archived fact under one number token.
	PageFact(ctx context.Context, toToken, id string, page int) (f session.PageArchived, ok bool, err error)
	Aliases
}

// Aliases keeps whose fax each of the provider's names means.
type Aliases interface {
	// Claim makes a session the owner of one of the provider's names for a fax and returns the owner: it, or one that came first.
	Claim(ctx context.Context, kind, value, id string) (owner string, err error)
}

// collector folds facts into ledgers and performs what they owe.
//
// One compare-and-swap per session and batch. Effects are part of the saved state and stay in it until the next swap:
// a crash between swap and effect heals at the next delivery, which finds them in the state and performs them first.
type collector struct {
	facts   Facts
	ledgers Ledgers
	archive Archive
	policy  session.Policy
	observe func(Step)

	mu    sync.Mutex
	known map[string]*ledger // guarded by mu; what this process knows of the sessions of late
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

func (c *collector) ledger(id string) *ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.known[id]; l != nil {
		return l
	}
	if len(c.known) >= maxKnown {
		clear(c.known) // whoever holds one goes on with it; a second holder loses at the swap
	}
	l := &ledger{}
	c.known[id] = l
	return l
}

// atOnce is how many sessions of a batch are folded concurrently: their swaps share a sync.
const atOnce = 64

// collect folds a batch; errs has one entry for each delivery.
func (c *collector) collect(ctx context.Context, ds []bus.Delivery) []error {
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
	c.observe(Step{Stage: stageCollect, Took: time.Since(start)})
	return errs
}

// fold applies the events of one session; the result has one error for each.
func (c *collector) fold(ctx context.Context, id string, events []*session.Event) []error {
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
func (c *collector) swap(ctx context.Context, id string, l *ledger, events []*session.Event, errs []error) error {
	fresh := !l.loaded
	if fresh {
		s, revision, err := c.ledgers.Load(ctx, id)
		if err != nil {
			return err
		}
		if revision == 0 {
			if s, err = c.restore(ctx, s); err != nil {
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
		folded, err := session.Next(c.policy, next, *e)
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
	revision, err := c.ledgers.Save(ctx, next, l.revision)
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
func (c *collector) bind(ctx context.Context, s *session.State, e *session.Event) error {
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
	token, err := c.facts.Bind(ctx, s.Session, session.NumberToken(number))
	e.ToToken = token
	return err
}

// claim finds out whether another session has this fax already: the provider's id of the whole file is one fax's. Sent faxes
// that are tried again keep their session.
func (c *collector) claim(ctx context.Context, s *session.State, e *session.Event) error {
	f, ok := e.Fact.(session.Closed)
	if !ok || f.Direction == session.Outgoing || f.File == "" || s.Close != nil && s.Close.File == f.File {
		return nil
	}
	owner, err := c.ledgers.Claim(ctx, session.AliasFile, f.File, s.Session)
	if owner != s.Session {
		e.Owner = owner
	}
	return err
}

// perform does what a state owes: only short publishes, each of which may be repeated, and the redirect of a folded session.
func (c *collector) perform(ctx context.Context, s session.State) error {
	purged, err := keepRedirect(ctx, c.archive, s)
	if err == nil && purged {
		err = followPurge(ctx, c.archive, c.facts, s)
	}
	if err != nil {
		return err
	}
	for _, e := range s.Effects {
		var err error
		switch {
		case e.Timer != nil:
			err = c.facts.Schedule(ctx, *e.Timer, nil)
		case e.Whole != nil:
			_, _, err = c.facts.RecordFact(ctx, *e.Whole)
		case e.Ask != nil:
			_, _, err = c.facts.RecordFact(ctx, *e.Ask)
		case e.Ready != nil:
			_, _, err = c.facts.RecordFact(ctx, *e.Ready)
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
func (c *collector) rebind(ctx context.Context, id string, pages session.Ranges) error {
	token, err := c.facts.Bind(ctx, id, session.UnknownToken)
	if err != nil {
		return err
	}
	for page := range pages.All() {
		f, ok, err := c.ledgers.PageFact(ctx, session.UnknownToken, id, page)
		if err != nil {
			return err
		}
		if !ok {
			continue // older than the stream's horizon: nobody waits for it any more
		}
		f.ToToken = token
		if _, _, err := c.facts.RecordFact(ctx, f); err != nil {
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
