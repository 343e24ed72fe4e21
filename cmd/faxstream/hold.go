package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faxOrder is what orders about one fax that need a reason have in common.
type faxOrder struct {
	apiClient
	Session flags.SessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Reason  string          `env:"-" required:"" aliases:"why" placeholder:"TEXT" help:"Why. The archive and FAX_AUDIT record it, with your name."`
	By      string          `placeholder:"NAME" help:"Your name, for the record; with a login, the token's name is recorded instead. Default: the user of this process."`
}

type (
	holdCmd    struct{ faxOrder }
	releaseCmd struct{ faxOrder }
	purgeCmd   struct {
		faxOrder
		Yes bool `env:"-" help:"Confirm that the fax is deleted for good. Without --yes nothing is done."`
	}
)

func (c holdCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, "hold", session.ActionHeld)
}

func (c releaseCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, "release", session.ActionReleased)
}

func (c purgeCmd) Run(ctx context.Context, e env) error {
	if !c.Yes {
		return usagef("purge deletes every object of the fax for good, with all versions in the archive: give --yes to confirm")
	}
	return c.order(ctx, e, "purge", session.ActionPurged)
}

// order stores an order and says whether it is done.
func (c faxOrder) order(ctx context.Context, e env, verb, kind string) error {
	ordered, err := c.api.OrderHold(ctx, string(c.Session), verb, api.Order{By: whoAsks(c.By), Why: c.Reason})
	if err != nil {
		return err
	}
	if !ordered.Done {
		return fmt.Errorf("the %s of %s is ordered (%s), but not done yet: see /readyz and `faxstream dlq ls --session %s`",
			verb, ordered.Session, ordered.Asked, ordered.Session)
	}
	_, err = fmt.Fprintln(e.stdout, kind, ordered.Session)
	return err
}

// holdsCmd shows what is under legal hold.
type holdsCmd struct {
	apiClient
	Session flags.SessionID `arg:"" optional:"" help:"Show this fax's log of holds, and until when it is retained. Default: list the faxes under legal hold."`
	JSON    bool            `help:"Print one JSON object a line."`
}

func (c holdsCmd) Run(ctx context.Context, e env) error {
	var entries []session.KeepEntry
	var retained time.Time
	if c.Session != "" {
		status, err := c.api.HoldStatus(ctx, string(c.Session))
		if err != nil {
			return err
		}
		entries, retained = status.Log, status.Retained
	} else {
		list, err := c.api.Holds(ctx)
		if err != nil {
			return err
		}
		entries = list.Holds
	}
	if c.JSON {
		for _, x := range entries {
			if err := json.NewEncoder(e.stdout).Encode(x); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME (UTC)\tSESSION\tWHAT\tBY\tWHY")
	for _, x := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.At.UTC().Format(time.DateTime), x.Session, x.Kind, client.OneLine(x.By), client.OneLine(x.Why))
	}
	if !retained.IsZero() {
		fmt.Fprintf(w, "retained until %s\n", retained.UTC().Format(time.RFC3339))
	}
	return w.Flush()
}
