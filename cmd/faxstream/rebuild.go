package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/pipeline/recovery"
)

// rebuildCmd fills an empty JetStream from the archive, before faxstream serve is started on it.
type rebuildCmd struct {
	archiveStore
	natsStore
	PublishAgain time.Duration `default:"720h" help:"Pages and documents of faxes up to this old are published again for subscribers, with the ids that they had; older faxes only get their ledgers back. Default: 30 days, for which streams keep them."`
	JSON         bool          `help:"Print one JSON object."`
}

// Run changes nothing where JetStream has everything.
func (c rebuildCmd) Run(ctx context.Context, e env) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.PublishAgain < 0 {
		return usagef("--publish-again must not be negative")
	}
	archive, err := c.archiveStore.config(e.getenv)
	if err != nil {
		return err
	}
	done, err := app.Rebuild(ctx, app.RebuildConfig{
		Archive: archive, NATS: c.natsStore.config(c.path("nats")), Since: time.Now().Add(-c.PublishAgain), Log: e.logger(),
	})
	if err != nil {
		return fmt.Errorf("%w; what was brought back by then stays, run it again", err)
	}
	return c.print(e, done)
}

func (c rebuildCmd) print(e env, done recovery.Rebuilt) error {
	if c.JSON {
		if err := json.NewEncoder(e.stdout).Encode(done); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(e.stdout, "faxes: %d, open: %d, folded: %d; written: ledgers %d, facts %d\n", done.Faxes, done.Open, done.Folded, done.Ledgers, done.Facts); err != nil {
		return err
	}
	if len(done.Silent) > 0 {
		fmt.Fprintf(e.stderr, "only the whole file was archived of %s: start serve and look back far enough with `faxstream reconcile --since`, which takes received faxes in again; of sent ones faxes/SESSION/original.* in the archive is all that there is\n",
			strings.Join(done.Silent, ", "))
	}
	if len(done.Purged) > 0 {
		fmt.Fprintf(e.stderr, "purged, and yet there is something of %s: `faxstream verify` says by whom and what; if the purge was stopped half-way, order it again\n", strings.Join(done.Purged, ", "))
	}
	if len(done.Broken) > 0 {
		return fmt.Errorf("not rebuilt, or not all, because what is archived cannot be read: %s; `faxstream verify` says what is wrong", strings.Join(done.Broken, ", "))
	}
	return nil
}
