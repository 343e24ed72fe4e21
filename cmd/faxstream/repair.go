package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/ingest"
)

// replayCmd makes documents again from what is archived, or has missing pages fetched again.
type replayCmd struct {
	apiClient
	Session flags.SessionID `arg:"" optional:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Since   flags.Moment    `env:"-" placeholder:"TIME" help:"Instead of one fax: all faxes that have a document and were opened since this time: ${moment}."`
	Stage   string          `env:"-" default:"decode" enum:"decode,assemble,fetch" help:"${enum}. decode: decode the archived originals again; when a page comes out different, it is corrected and the document gets a new revision. assemble: always make a new revision. fetch: ask the provider again for the pages that are missing, one by one and for the whole file. Default ${default}."`
	By      string          `placeholder:"NAME" help:"Your name, for FAX_AUDIT. Default: the user of this process."`
	Reason  string          `env:"-" aliases:"why" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
}

// Run returns when the orders are stored; watch and ls show the results.
func (c replayCmd) Run(ctx context.Context, e env) error {
	if (c.Session == "") == c.Since.IsZero() {
		return usagef("say which faxes: give either a session or --since")
	}
	if c.Session != "" {
		return c.order(ctx, e, string(c.Session))
	}
	sessions, err := c.opened(ctx)
	if err != nil {
		return err
	}
	for _, id := range sessions {
		if err := c.order(ctx, e, id); err != nil {
			return err
		}
	}
	return nil
}

// opened lists the faxes since c.Since that have a document, newest first.
func (c replayCmd) opened(ctx context.Context) (sessions []string, err error) {
	for list, err := range c.api.Faxes(ctx, client.FaxFilter{}) {
		if err != nil {
			return nil, err
		}
		for _, f := range list.Faxes {
			if f.Opened.Before(c.Since.Time) {
				return sessions, nil
			}
			if f.Revision > 0 {
				sessions = append(sessions, f.Session)
			}
		}
	}
	return sessions, nil
}

func (c replayCmd) order(ctx context.Context, e env, id string) error {
	done, err := c.api.Replay(ctx, id, api.ReplayOrder{Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, Stage: c.Stage})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "replay ordered", done.Session, done.Stage)
	return err
}

type reconcileCmd struct {
	apiClient
	Since  flags.Moment `required:"" placeholder:"TIME" help:"Faxes that started since then: ${moment}."`
	DryRun bool         `help:"Only print the faxes that would be processed."`
	JSON   bool         `help:"Print one JSON object a line, for every fax that the provider lists."`
}

// Run prints the faxes that were not known; with --json all.
func (c reconcileCmd) Run(ctx context.Context, e env) error {
	report, err := c.api.Reconcile(ctx, api.ReconcileOrder{Since: c.Since.Time, DryRun: c.DryRun})
	if err != nil {
		return err
	}
	if err := c.print(e, report); err != nil {
		return err
	}
	if report.Error != "" {
		return errors.New("some faxes were not compared: " + report.Error)
	}
	return nil
}

func (c reconcileCmd) print(e env, report ingest.Report) error {
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		for _, f := range report.Faxes {
			if err := out.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "START (UTC)\tLISTED ID\tFROM\tTO\tPAGES\tSTATUS\tOUTCOME")
	for _, f := range report.Faxes {
		if f.Outcome == ingest.OutcomeKnown {
			continue
		}
		outcome := f.Outcome
		if f.Outcome != ingest.OutcomeFed && len(f.Sessions) > 0 {
			outcome += " (" + strings.Join(f.Sessions, ", ") + ")"
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", f.Start.UTC().Format(time.DateTime), client.OneLine(f.ID), client.OneLine(f.From),
			client.OneLine(f.To), f.Pages, client.OneLine(f.Status), outcome,
		)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(e.stderr, "%d faxes listed since %s UTC, %d of them known\n",
		len(report.Faxes), report.Since.UTC().Format(time.DateTime), report.Count(ingest.OutcomeKnown))
	return err
}

// chooseCmd decides about a page whose streamed image and whose image in the whole file differ.
type chooseCmd struct {
	faxOrder
	Page  flags.PageNumbers `env:"-" required:"" placeholder:"N" help:"Number of the page, from 1, as ls prints it, or several such as 2-4,7: one revision then has the image of all of them."`
	Image string            `env:"-" required:"" enum:"streamed,file" placeholder:"WORD" help:"${enum}. streamed: the page as it was fetched by itself. file: the page of the whole file."`
}

// Run returns when the document has the image.
func (c chooseCmd) Run(ctx context.Context, e env) error {
	done, err := c.api.Choose(
		ctx, string(c.Session), string(c.Page), api.ChoiceOrder{Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, Image: c.Image},
	)
	if err != nil {
		return err
	}
	if !done.Done {
		return fmt.Errorf("the choice for page %s of %s is stored, but the document does not have it yet: "+
			"see /readyz and `faxstream dlq ls --session %s`",
			c.Page, c.Session, c.Session)
	}
	_, err = fmt.Fprintln(e.stdout, "chosen", done.Session, "page", c.Page, done.Image, "revision", done.Revision)
	return err
}
