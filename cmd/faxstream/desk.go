package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/session"
)

// workOrder is what the commands that change the work on a fax have in common.
type workOrder struct {
	apiClient
	Session flags.SessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	By      string          `placeholder:"NAME" help:"Your name, for the record; with a login, the token's name is recorded instead. Default: the user of this process."`
}

type (
	assignCmd struct {
		workOrder
		Name   string `arg:"" optional:"" help:"The person to whom the fax is assigned. Default: you."`
		Nobody bool   `env:"-" help:"The fax is assigned to nobody."`
	}
	labelCmd struct {
		workOrder
		Labels []string `arg:"" optional:"" help:"Labels to add, each of at most 50 bytes, without a comma."`
		Remove []string `env:"-" placeholder:"LABEL" help:"Labels to remove."`
	}
	noteCmd struct {
		workOrder
		Text  string `arg:"" optional:"" help:"The note, at most 2,000 bytes. It takes the place of the note before; the log has both until the fax is purged."`
		Clear bool   `env:"-" help:"Remove the note."`
	}
	doneCmd struct {
		workOrder
		Undo bool `env:"-" help:"The fax is not done."`
	}
	readCmd struct {
		workOrder
		Undo bool `env:"-" help:"The fax is not read."`
	}
)

func (c assignCmd) Run(ctx context.Context, e env) error {
	switch {
	case c.Nobody && c.Name != "":
		return usagef("assign: give a name or --nobody")
	case c.Name == "" && !c.Nobody:
		c.Name = whoAsks(c.By)
	}
	return c.order(ctx, e, api.WorkOrder{Assignee: &c.Name})
}

func (c labelCmd) Run(ctx context.Context, e env) error {
	if len(c.Labels)+len(c.Remove) == 0 {
		return usagef("label: give labels to add, or --remove LABEL")
	}
	return c.order(ctx, e, api.WorkOrder{Add: c.Labels, Remove: c.Remove})
}

func (c noteCmd) Run(ctx context.Context, e env) error {
	if (c.Text == "") != c.Clear {
		return usagef("note: give the text of the note, or --clear")
	}
	return c.order(ctx, e, api.WorkOrder{Note: &c.Text})
}

func (c doneCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, api.WorkOrder{Done: new(!c.Undo)})
}

func (c readCmd) Run(ctx context.Context, e env) error {
	return c.order(ctx, e, api.WorkOrder{Read: new(!c.Undo)})
}

// order stores a change, and prints what people say about the fax then.
func (c workOrder) order(ctx context.Context, e env, o api.WorkOrder) error {
	d, err := c.api.Desk(ctx, string(c.Session))
	if err != nil {
		return err
	}
	o.By, o.Seen = whoAsks(c.By), &d.Work.N
	done, err := c.api.Work(ctx, d.Session, o)
	if err != nil {
		return err
	}
	if !done.Done {
		return fmt.Errorf("the change of %s is stored, but not carried out yet: see /readyz and `faxstream dlq ls --session %s`",
			done.Session, done.Session)
	}
	_, err = fmt.Fprintln(e.stdout, done.Session, workText(done.Work))
	return err
}

// workText says in one line what people say about a fax.
func workText(w session.Work) string {
	words := []string{"assigned to nobody"}
	if w.Assignee != "" {
		words[0] = "assigned to " + client.OneLine(w.Assignee)
	}
	words = append(words, w.Text())
	if len(w.Labels) > 0 {
		words = append(words, "labels "+client.OneLine(strings.Join(w.Labels, ", ")))
	}
	if w.Note != "" {
		words = append(words, "note: "+client.OneLine(w.Note))
	}
	return strings.Join(words, "; ")
}

// deskCmd shows what people say about a fax, and how that came.
type deskCmd struct {
	apiClient
	Session flags.SessionID `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	JSON    bool            `help:"Print one JSON object."`
}

func (c deskCmd) Run(ctx context.Context, e env) error {
	d, err := c.api.Desk(ctx, string(c.Session))
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(d)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, d.Session, workText(d.Work))
	for _, l := range d.Log {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.At.UTC().Format(time.DateTime), client.OneLine(l.By), client.OneLine(l.Text()))
	}
	return w.Flush()
}

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
