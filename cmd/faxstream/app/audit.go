package app

import (
	"context"
	"errors"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/seal"
	"github.com/faxstream/faxstream/pipeline/session"
)

// SealedLines reads the seals that may have entries from since to until (zero: now), and gives the newest seal. An entry may stand in the
// seal of a later day than its own.
func SealedLines(
	ctx context.Context, archive archive.Reader, since, until time.Time, give func(api.AuditLine) error,
) (seal.Seal, error) {
	if until.IsZero() {
		until = time.Now()
	}
	return seal.Entries(ctx, archive, since, until.AddDate(0, 0, 1), func(e seal.Entry) error {
		return give(api.AuditLine(e))
	})
}

// trail gives the audit from the seals and, behind them, from FAX_AUDIT.
func (a *App) trail(ctx context.Context, since, until time.Time, give func(api.AuditLine) error) error {
	last, err := SealedLines(ctx, a.archive, since, until, give)
	if err != nil {
		return err
	}
	created, err := a.bus.AuditCreated(ctx)
	if err != nil {
		return err
	}
	after := uint64(0)
	if last.Stream.Equal(created) {
		after = last.Last
	}
	var failed error
	err = a.bus.AuditEntries(ctx, after, func(e session.AuditEntry) bool {
		failed = give(api.AuditLine(seal.Line(e)))
		return failed == nil
	})
	return errors.Join(failed, err)
}

// startSealer starts the daily sealing of the audit.
func (a *App) startSealer(ctx context.Context, c Config) {
	s := seal.Sealer{
		Key: c.SignKey, Audit: a.bus, Archive: a.archive, SpoolDir: c.path("spool"), Log: a.log,
		Tried: func(err error) { a.sealing.Store(stoppage{err}) },
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.running.Go(func() { s.Run(ctx) })
	a.closers = append(a.closers, func() error { cancel(); return nil })
}
