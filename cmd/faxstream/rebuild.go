package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/pipeline/indexing"
	"github.com/faxstream/faxstream/pipeline/recovery"
)

// rebuildCmd fills an empty JetStream from the archive. Run it before faxstream serve.
type rebuildCmd struct {
	archiveStore
	natsStore
	PublishAgain time.Duration `default:"720h" help:"Faxes up to this age are published again for subscribers, pages and documents, with their old message ids. Older faxes only get their ledgers back. Default: 30 days, as long as the streams keep them."`
	JSON         bool          `help:"Print one JSON object."`
}

// Run changes nothing when JetStream has everything.
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
		return fmt.Errorf("%w; what is restored so far stays: run the command again while no `faxstream serve` runs", err)
	}
	return c.print(e, done)
}

func (c rebuildCmd) print(e env, done recovery.Rebuilt) error {
	if c.JSON {
		if err := json.NewEncoder(e.stdout).Encode(done); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(e.stdout, "faxes: %d, open: %d, folded: %d; written: ledgers %d, facts %d\n",
		done.Faxes, done.Open, done.Folded, done.Ledgers, done.Facts); err != nil {
		return err
	}
	if done.Audit.Lost {
		fmt.Fprintf(e.stderr, "FAX_AUDIT was lost: its entries up to %s are in the archive, "+
			"and %d of them, which no daily seal has, are restored. "+
			"What was recorded after that time is lost. Orders are restored as a record and not carried out again: "+
			"look at `faxstream audit`, and give an order again if it was not carried out\n",
			done.Audit.Until.Format(time.RFC3339), done.Audit.Entries)
	} else if done.Ledgers > 0 && !done.Audit.Sealed {
		fmt.Fprintf(e.stderr, "the archive has no seal of the last 31 days: if FAX_AUDIT had entries and was lost, they are lost\n")
	}
	if len(done.Silent) > 0 {
		fmt.Fprintf(e.stderr, "the archive has only the whole file of %s: start `faxstream serve`, then run `faxstream reconcile --since` "+
			"with a time before these faxes, which processes received faxes again; "+
			"of sent faxes only faxes/SESSION/original.* in the archive remains\n",
			strings.Join(done.Silent, ", "))
	}
	if len(done.Purged) > 0 {
		fmt.Fprintf(e.stderr, "purged, but objects remain of %s: `faxstream verify` says which objects and who purged the fax; "+
			"if the purge was interrupted, purge the fax again\n", strings.Join(done.Purged, ", "))
	}
	if len(done.Broken) > 0 {
		return fmt.Errorf("not rebuilt, or only in part, because objects in the archive cannot be read: %s; "+
			"`faxstream verify` says what is wrong", strings.Join(done.Broken, ", "))
	}
	return nil
}

// reindexCmd makes the search index again.
type reindexCmd struct {
	archiveStore
	JSON bool `help:"Print one JSON object."`
}

// Run says every few seconds how far it is.
func (c reindexCmd) Run(ctx context.Context, e env) (err error) {
	reader, closeArchive, err := c.openReader(ctx, e.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeArchive()) }()
	began, said := time.Now(), time.Now()
	done, err := app.Reindex(ctx, reader, c.path("search"), e.logger(), func(r indexing.Refreshed) {
		if now := time.Now(); now.Sub(said) >= 5*time.Second {
			said = now
			fmt.Fprintf(e.stderr, "%d faxes, %d pages with a text, %.0f pages a second\n", r.Faxes, r.Pages,
				float64(r.Pages)/now.Sub(began).Seconds())
		}
	})
	if err != nil {
		return fmt.Errorf("%w; what is indexed so far stays: run the command again", err)
	}
	if c.JSON {
		err = json.NewEncoder(e.stdout).Encode(done)
	} else {
		_, err = fmt.Fprintf(e.stdout, "faxes: %d, pages with a text: %d, removed: %d\n", done.Faxes, done.Pages, done.Removed)
	}
	if err == nil && done.Broken > 0 {
		err = fmt.Errorf("%d faxes cannot be read: `faxstream verify` says what is wrong", done.Broken)
	}
	return err
}
