package collect

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Collector folds facts into ledgers and performs their effects.
//
// It makes one compare-and-swap per session and batch. Effects are part of the saved state and stay in it until the next swap. After a
// crash between swap and effect, the next delivery finds the effects in the state and performs them first.
type Collector struct {
	Bus     Bus
	Archive archive.Store
	Policy  session.Policy
	Observe stage.Observer
	// Outage says whether archive and provider are away, as far as this process can know. It is called before the whole file is ordered
	// for pages that did not come. nil: they never are.
	Outage func(context.Context) session.Outage

	mu    sync.Mutex
	known map[string]*ledger // guarded by mu, made at first use: the ledgers that this process used last
}

// atOnce is the number of sessions of a batch that are folded at the same time: their swaps share a sync.
const atOnce = 64

// collect folds a batch. The result has one error for each delivery.
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
			for k, err := range c.fold(ds[members[0]].Traced(ctx), id, batch) {
				errs[members[k]] = err
			}
		})
	}
	wg.Wait()
	c.Observe(ctx, stage.Step{Stage: stage.Collect, Took: time.Since(start)})
	return errs
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

// collectAtMost is the largest number of facts in a batch.
const collectAtMost = 1000

// gather is the least time from the beginning of one batch of a durable to that of the next. Under load the facts of a session come
// together in the meantime and cost one swap; a fact that comes alone does not wait.
const gather = 200 * time.Millisecond

// paced is a handler whose calls begin at least gather after each other.
func paced(handle func(context.Context, []bus.Delivery) []error) func(context.Context, []bus.Delivery) []error {
	var mu sync.Mutex
	var next time.Time // guarded by mu: when the next call may begin
	return func(ctx context.Context, ds []bus.Delivery) []error {
		mu.Lock()
		now := time.Now()
		wait := max(next.Sub(now), 0)
		next = now.Add(wait + gather)
		mu.Unlock()
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done(): // what follows fails by it
			}
		}
		return handle(ctx, ds)
	}
}

// Consumptions are the collector's durables, one for each stream that has facts.
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
		// A consumer of its own: an older process beside this one does not know this fact, and has no such consumer.
		{Stream: bus.StreamIn, Durable: "collect-desk", Filter: all(session.TypeDesk)},
		{Stream: bus.StreamPages, Durable: "collect-pages", Filter: all(session.TypePageArchived, session.TypePageFailed)},
		{Stream: bus.StreamDocs, Durable: "collect-docs", Filter: all(
			session.TypeDocAssembled, session.TypeWholeCut, session.TypeWholeFailed, session.TypeDocFailed, session.TypeDocVerified)},
		{Stream: bus.StreamTimers, Durable: "collect-timers", Filter: bus.TimerSubjects(
			session.TimerGrace, session.TimerIdle, session.TimerVerify)},
	} {
		out = append(out, bus.BatchConsumption{Consumer: consumer, Most: collectAtMost, Handle: paced(c.collect)})
	}
	return out
}
