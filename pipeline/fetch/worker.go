package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Config is what the workers need. All fields are required unless they say otherwise.
type Config struct {
	Bus      Bus
	Pages    intake.Pages
	Provider Provider
	Retry    Retry
	Stopped  func(error) // called with the reason when fetching stops, with nil when it goes on; nil: not called
	Doubted  func(error) // called with the reason when the path of single pages may be wrong, with nil when a page arrives; nil: not called
	Log      *slog.Logger
}

// New returns a worker whose gate is open.
func New(c Config) *Worker {
	return &Worker{
		Pages: c.Pages, bus: c.Bus, provider: c.Provider, retry: c.Retry, log: c.Log,
		gate: newGate(c.Provider.Probe, min(probeEvery, c.Retry.longest()), c.Stopped, c.Log), path: newPathWatch(c.Doubted),
		early:     newEarlyPages(),
		originals: sync.Pool{New: func() any { return new([]byte) }}, published: func() {},
	}
}

// pagesAtOnce is how many pages are in work for each that is decoded, if the decoder always has work then.
const pagesAtOnce = 4

// Consumptions are the worker's durables. fetches is the largest number of page files that are fetched at once: fresh ones first, then a
// backlog and retries. A page has its slot until it is published. There are as many slots as keep the decoder busy: a page that comes
// behind a backlog waits for what is in work already, so that must not be more than is useful.
func (w *Worker) Consumptions(fetches int) []bus.Consumption {
	slots := intake.NewSlotsFrom(pagesAtOnce*w.Decoder.AtOnce(), fetches)
	w.published = func() { w.Decoder.Pace(slots) }
	within := func(ctx context.Context, c intake.Class, d bus.Delivery, handle func(context.Context, bus.Delivery) error) error {
		ctx = intake.WithClass(ctx, c)
		release, err := slots.Take(ctx)
		if err != nil {
			return err
		}
		defer release()
		return handle(ctx, d)
	}
	return []bus.Consumption{
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamIn, Durable: "page",
				Filter:  []string{session.TypePageAnnounced + ".>"},
				Workers: fetches,
				Overtake: func(ctx context.Context) (release func(), err error) {
					return slots.Take(intake.WithOvertaking(ctx, time.Now()))
				},
			},
			Handle: func(ctx context.Context, d bus.Delivery) error {
				switch {
				case d.Early:
					return w.announced(intake.WithOvertaking(ctx, d.Time), d) // it has its slot
				case d.Behind:
					return within(ctx, intake.Late, d, w.announced)
				}
				return within(ctx, intake.Fresh, d, w.announced)
			},
		},
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamTimers, Durable: "retry",
				Filter: bus.TimerSubjects(session.TimerRetry), Workers: fetches,
			},
			Handle: func(ctx context.Context, d bus.Delivery) error { return within(ctx, intake.Late, d, w.retryDue) },
		},
		{
			Consumer: bus.Consumer{
				Stream: bus.StreamTimers, Durable: "retry-whole",
				Filter: bus.TimerSubjects(session.TimerWhole), Workers: 2,
			},
			Handle: w.retryDue,
		},
		{
			Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "whole", Filter: []string{session.TypeWholeOrdered + ".>"}, Workers: 2},
			Handle:   w.ordered,
		},
		{
			Consumer: bus.Consumer{Stream: bus.StreamIn, Durable: "ask", Filter: []string{session.TypeRecordAsked + ".>"}, Workers: 1},
			Handle:   w.ask,
		},
	}
}

// Worker fetches pages: each from its own file, and the rest from the whole file.
type Worker struct {
	intake.Pages
	bus      Bus
	provider Provider
	gate     *gate
	path     *pathWatch
	early    *earlyPages
	retry    Retry
	log      *slog.Logger

	originals sync.Pool // *[]byte: memory of archived pages that were compared
	published func()    // called after each page that was published with a slot
}

// Outage says whether the provider cannot be used, as far as this process knows, and since when it can.
func (w *Worker) Outage(ctx context.Context) session.Outage { return w.gate.outage(ctx) }

// retryDue handles a retry timer, of a page or of the whole file.
func (w *Worker) retryDue(ctx context.Context, d bus.Delivery) error {
	var r session.Retry
	err := json.Unmarshal(d.Data, &r)
	if err == nil {
		err = w.extend(&r, d)
	}
	switch {
	case err == nil && r.Page != nil:
		return w.try(ctx, attempt{fact: *r.Page, number: r.Attempt, before: r.Before, until: r.Until, now: d.Time, again: true})
	case err == nil && r.Whole != nil:
		return w.tryWhole(ctx, wholeTry{order: *r.Whole, number: r.Attempt, until: r.Until, now: d.Time, tried: r.Tried})
	case err == nil:
		err = errors.New("it names neither a page nor a whole file")
	}
	return bus.Dead{Reason: session.ReasonBadRequest, Err: fmt.Errorf("retry timer: %w", err)}
}
