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
