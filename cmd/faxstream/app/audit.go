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

// SealedLines reads the seals, also those of parts, that may have entries from since to until (zero: now).
func SealedLines(ctx context.Context, archive archive.Reader, since, until time.Time, give func(api.AuditLine) error) error {
	return seal.AllEntries(ctx, archive, since, dayAfter(until), func(e seal.Entry) error {
		return give(api.AuditLine(e))
	})
}

// dayAfter is a day later, zero meaning now: an entry may stand in the seal of a later day than its own.
func dayAfter(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.AddDate(0, 0, 1)
}

// trail gives the audit from the daily seals and, behind them, from FAX_AUDIT.
func (a *App) trail(ctx context.Context, since, until time.Time, give func(api.AuditLine) error) error {
	last, err := seal.Entries(ctx, a.archive, since, dayAfter(until), func(e seal.Entry) error { return give(api.AuditLine(e)) })
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

// startSealer starts the hourly and daily sealing of the audit. At the stop it seals what is new, when nobody can read any more.
func (a *App) startSealer(ctx context.Context, c Config) {
	s := seal.Sealer{
		Key: c.SignKey, Audit: a.bus, Archive: a.archive, ScratchDir: c.path("spool"), Log: a.log,
		Tried: func(err error) { a.sealing.Store(stoppage{err}) },
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	a.closers = append(a.closers, func() error {
		cancel()
		<-done // before FAX_AUDIT and the archive are closed
		return nil
	})
}
