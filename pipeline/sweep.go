package pipeline

import (
	"context"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// AllLedgers reads every ledger, and sets timers.
type AllLedgers interface {
	// Schedule lets body arrive on the timer's due subject at its due time. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// Ledgers calls f with every ledger that there is and then with every change, until ctx ends; caught is called in between.
	Ledgers(ctx context.Context, f func(session.State), caught func()) error
}

const (
	sweepEvery = time.Hour   // unless the sweeper says otherwise
	sweepAgain = time.Minute // after one that failed
)

// sweeper sets the timers of open sessions again, at the start and every hour: a fax must not stay open for ever because a schedule was
// lost with its stream, or with the copy from which that was restored. One that is there already is replaced by its like.
type sweeper struct {
	ledgers AllLedgers
	every   time.Duration
	log     *slog.Logger
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	for {
		wait := s.every
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
		if err := s.ledgers.Schedule(ctx, t, nil); err != nil {
			return err
		}
	}
	return nil
}
