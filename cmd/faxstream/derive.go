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
)

// deriveCmd makes derived documents. The fax and its document stay as they are.
type deriveCmd struct {
	apiClient
	Session   flags.SessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Documents []string        `arg:"" optional:"" help:"The pages of each new document, such as 1-3,5 or 7- (to the last page). Default: one document of all pages."`
	Right     string          `env:"-" placeholder:"PAGES" help:"Pages to turn right, by 90 degrees."`
	Over      string          `env:"-" placeholder:"PAGES" help:"Pages to turn over, by 180 degrees."`
	Left      string          `env:"-" placeholder:"PAGES" help:"Pages to turn left, by 90 degrees."`
	SkipBlank bool            `env:"-" help:"Leave out pages without ink."`
	Reason    string          `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
	By        string          `placeholder:"NAME" help:"Your name, for the record; with a login, the token's name is recorded instead. Default: the user of this process."`
	JSON      bool            `help:"Print one JSON object."`
}

func (c deriveCmd) Run(ctx context.Context, e env) error {
	done, err := c.api.Derive(ctx, string(c.Session), api.DeriveOrder{
		Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, Documents: c.Documents,
		Right: c.Right, Over: c.Over, Left: c.Left, SkipBlank: c.SkipBlank,
	})
	if err != nil {
		return err
	}
	if err := printDerived(e, done.Session, done.Documents, c.JSON); err != nil {
		return err
	}
	if !done.Done {
		return fmt.Errorf("the order about %s is stored, but not carried out yet: see /readyz and `faxstream dlq ls --session %s`",
			done.Session, done.Session)
	}
	return nil
}

// derivedCmd lists derived documents.
type derivedCmd struct {
	apiClient
	Session flags.SessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	JSON    bool            `help:"Print one JSON object."`
}

func (c derivedCmd) Run(ctx context.Context, e env) error {
	l, err := c.api.Derived(ctx, string(c.Session))
	if err != nil {
		return err
	}
	return printDerived(e, l.Session, l.Documents, c.JSON)
}

func printDerived(e env, session string, documents []api.Derived, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(api.DerivedList{Session: session, Documents: documents})
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, d := range documents {
		fmt.Fprintf(w, "%s\t%s\trevision %d\t%s\t%s\n",
			d.ID, d.At.UTC().Format(time.DateTime), d.Revision, client.OneLine(d.By), d.Text)
	}
	return w.Flush()
}
