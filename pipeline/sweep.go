package pipeline

import (
	"context"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// AllLedgers reads every ledger.
type AllLedgers interface {
	// Ledgers calls f with every ledger that there is and then with every change, until ctx ends; caught is called in between.
	Ledgers(ctx context.Context, f func(session.State), caught func()) error
}

// sweepEvery is a variable for the simulation, whose days would be full of sweeps.
var sweepEvery = time.Hour

const sweepAgain = time.Minute // after one that failed

// sweeper sets the timers of open sessions again, at the start and every hour: a fax must not stay open for ever because a schedule was
// lost with its stream, or with the copy from which that was restored. One that is there already is replaced by its like.
type sweeper struct {
	ledgers AllLedgers
	facts   Facts
	log     *slog.Logger
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	for {
		wait := sweepEvery
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("timers could not be set again; the next try is in a minute", "err", err)
			wait = sweepAgain
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (s *sweeper) sweep(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var timers []session.Timer
	if err := s.ledgers.Ledgers(reading, func(l session.State) { timers = append(timers, l.Timers()...) }, stop); err != nil {
		return err
	}
	for _, t := range timers {
		if err := s.facts.Schedule(ctx, t, nil); err != nil {
			return err
		}
	}
	return nil
}
