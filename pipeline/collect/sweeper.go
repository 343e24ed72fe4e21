package collect

import (
	"context"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Timers reads every ledger, and sets timers.
type Timers interface {
	// Schedule lets body arrive on the timer's due subject at its due time. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// Ledgers calls f with every ledger that there is and then with every change, until ctx ends; caught is called in between.
	Ledgers(ctx context.Context, f func(session.State), caught func()) error
}

const (
	SweepEvery = time.Hour   // unless the sweeper says otherwise
	sweepAgain = time.Minute // after one that failed
)

// Sweeper sets the timers of open sessions again, at the start and every hour: a fax must not stay open for ever because a schedule was
// lost with its stream, or with the copy from which that was restored. One that is there already is replaced by its like.
type Sweeper struct {
	Ledgers Timers
	Every   time.Duration
	Log     *slog.Logger
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	for {
		wait := s.Every
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("timers could not be set again; the next try is in a minute", "err", err)
			wait = sweepAgain
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var timers []session.Timer
	if err := s.Ledgers.Ledgers(reading, func(l session.State) { timers = append(timers, l.Timers()...) }, stop); err != nil {
		return err
	}
	for _, t := range timers {
		if err := s.Ledgers.Schedule(ctx, t, nil); err != nil {
			return err
		}
	}
	return nil
}
