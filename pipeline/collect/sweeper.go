package collect

import (
	"context"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Timers reads every ledger, and sets timers.
type Timers interface {
	// Schedule delivers body on the timer's due subject at its due time. It may be repeated.
	Schedule(ctx context.Context, t session.Timer, body []byte) error
	// Ledgers calls f with every ledger and then with every change, until ctx ends. It calls caught after the last existing ledger.
	Ledgers(ctx context.Context, f func(session.State), caught func()) error
}

const (
	// SweepEvery is the time between two sweeps in the product.
	SweepEvery = time.Hour
	sweepAgain = time.Minute // after a sweep that failed
)

// Sweeper sets the timers of open sessions again, at the start and then regularly. So no fax stays open because its schedule was lost with
// the stream, or was not in the backup of the stream. A schedule that exists is replaced by an equal one.
type Sweeper struct {
	Bus   Timers
	Every time.Duration // between two sweeps; more than 0
	Log   *slog.Logger
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	for {
		wait := s.Every
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("the timers of open faxes cannot be looked after, because NATS does not answer: it is tried again in a minute", "err", err)
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
	if err := s.Bus.Ledgers(reading, func(l session.State) { timers = append(timers, l.Timers()...) }, stop); err != nil {
		return err
	}
	for _, t := range timers {
		if err := s.Bus.Schedule(ctx, t, nil); err != nil {
			return err
		}
	}
	return nil
}
