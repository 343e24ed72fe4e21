package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/seal"
)

// auditCmd shows who did what, and proves that nobody changed the record.
type auditCmd struct {
	apiClient
	archiveStore
	Since   flags.Moment    `env:"-" placeholder:"TIME" help:"Only entries since this time: ${moment}. Default: all."`
	Until   flags.Moment    `env:"-" placeholder:"TIME" help:"Only entries before this time. With --verify: the last day that must have a seal; default: yesterday (UTC)."`
	Session flags.SessionID `env:"-" placeholder:"SESSION" help:"Only entries of this fax."`
	By      string          `env:"-" placeholder:"NAME" help:"Only entries of this token or user."`
	Verify  bool            `env:"-" help:"Prove from the archive alone that the chains of daily and hourly seals are complete and that nobody changed a seal. It uses neither a server nor NATS."`
	Offline bool            `env:"-" help:"List the sealed entries from the archive, without a server. Entries since the last seal, which is at most an hour old, are not in this list."`
	Key     []string        `type:"path" placeholder:"FILE" help:"With --verify: files of public keys, as faxstream keys prints them. One of the keys must have signed each seal."`
	JSON    bool            `help:"Print one JSON object a line."`
}

func (c auditCmd) Run(ctx context.Context, e env) error {
	switch {
	case c.Verify && (!c.Since.IsZero() || c.Session != "" || c.By != "" || c.Offline):
		return usagef("--verify checks the whole chain: do not give --since, --session, --by or --offline with it")
	case c.Verify:
		return c.verify(ctx, e)
	}
	p := &auditPrinter{json: json.NewEncoder(e.stdout), asJSON: c.JSON, table: tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)}
	if !c.JSON {
		fmt.Fprintln(p.table, "TIME (UTC)\tBY\tWHAT\tSESSION\tPAGE\tWHY")
	}
	var err error
	if c.Offline {
		err = c.sealed(ctx, e, p.print)
	} else {
		err = c.api.Audit(ctx, c.filter(), p.print) // from the server, which has the seals and what came since
	}
	err = errors.Join(err, p.table.Flush())
	if err == nil && c.Session != "" && !p.any {
		err = fmt.Errorf("%w: no entry of session %s is chosen: is it the id of a fax, as ls prints it?", errNotFound, c.Session)
	}
	return err
}

// verify prints the state of the chain, and fails when it is broken.
func (c auditCmd) verify(ctx context.Context, e env) (err error) {
	keys, err := readPublicKeys(c.Key)
	if err != nil {
		return usagef("--key: %w", err)
	}
	archive, done, err := c.openReader(ctx, e.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	until := c.Until.Day // seals are of UTC days
	if until.IsZero() {
		until = c.Until.Time
	}
	if until.IsZero() {
		until = seal.LastSealable(time.Now())
	}
	report, err := seal.Check(ctx, archive, until, keys)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(e.stdout).Encode(report)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%d seals from %s to %s (signed %d), %d entries, %d faults\n",
			report.Seals, cmp.Or(report.First, "-"), cmp.Or(report.Last, "-"), report.Signed, report.Entries, len(report.Faults))
		if report.Parts > 0 {
			_, printErr := fmt.Fprintf(e.stdout, "  %d hourly parts; %d entries are in parts only, of today or of a FAX_AUDIT that was lost\n",
				report.Parts, report.InParts)
			err = errors.Join(err, printErr)
		}
		if report.Gaps > 0 {
			_, printErr := fmt.Fprintf(e.stdout, "  %d numbers of FAX_AUDIT have no entry: they are messages of the readiness check, "+
				"or entries that somebody deleted from FAX_AUDIT before they were sealed\n", report.Gaps)
			err = errors.Join(err, printErr)
		}
		for _, fault := range report.Faults {
			_, printErr := fmt.Fprintln(e.stdout, " ", fault)
			err = errors.Join(err, printErr)
		}
	}
	switch {
	case err != nil:
		return err
	case len(report.Faults) > 0:
		return fmt.Errorf("the audit was changed: %d faults", len(report.Faults))
	case report.Seals == 0 && report.Parts == 0:
		return fmt.Errorf("%w: the archive has no seal, so nothing is proven. "+
			"The first seal is written within an hour after somebody reads a fax; "+
			"if this archive had seals, they were removed, or --archive and --dir name another archive", errNotFound)
	}
	return nil
}

func (c auditCmd) filter() api.AuditFilter {
	return api.AuditFilter{Since: c.Since.Time, Until: c.Until.Time, Session: string(c.Session), By: c.By}
}

// sealed reads the seals.
func (c auditCmd) sealed(ctx context.Context, e env, give func(api.AuditLine) error) (err error) {
	archive, done, err := c.openReader(ctx, e.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	f := c.filter()
	err = app.SealedLines(ctx, archive, f.Since, f.Until, func(l api.AuditLine) error {
		if !f.Has(l) {
			return nil
		}
		return give(l)
	})
	return err
}

// auditPrinter prints entries as JSON or as a table.
type auditPrinter struct {
	json   *json.Encoder
	asJSON bool
	table  *tabwriter.Writer
	any    bool // an entry was printed
}

func (p *auditPrinter) print(l api.AuditLine) error {
	p.any = true
	if p.asJSON {
		return p.json.Encode(l)
	}
	e := l.Words()
	_, err := fmt.Fprintf(p.table, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Time.UTC().Format(time.DateTime), client.OneLine(e.By),
		client.OneLine(e.What), client.OneLine(e.Session), pageText(e.Page), client.OneLine(e.Why))
	return err
}
