package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/seal"
)

// RebuildConfig says what Rebuild reads and fills.
type RebuildConfig struct {
	Archive Archive
	NATS    bus.Config // Rebuild sets Log, Marker and Recreate
	Since   time.Time  // pages and documents of faxes since then are published again; older faxes only get their ledgers back
	Log     *slog.Logger
}

// Rebuild fills an empty JetStream from the archive, before an App is started on it. It creates streams that were lost again. It changes
// nothing where JetStream has everything. After an error or a crash, what is restored stays, and the next Rebuild goes on.
func Rebuild(ctx context.Context, c RebuildConfig) (done recovery.Rebuilt, err error) {
	archive, closeArchive, err := c.Archive.open(ctx, Retention{}, c.Log)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, closeArchive()) }()
	c.NATS.Log, c.NATS.Marker, c.NATS.Recreate = c.Log, marker{archive}, true
	b, err := bus.Open(ctx, c.NATS)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if done, err = recovery.Rebuild(ctx, recovery.Config{Bus: b, Archive: archive, Since: c.Since, Log: c.Log}); err != nil {
		return done, err
	}
	done.Audit, err = seal.Restore(ctx, archive, b)
	return done, err
}
