package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/seal"
)

// auditCmd shows who did what, and proves that the record is as it was written.
type auditCmd struct {
	apiClient
	archiveStore
	Since   moment    `env:"-" placeholder:"TIME" help:"Entries since then: ${moment}. Default: all."`
	Until   moment    `env:"-" placeholder:"TIME" help:"Entries before then. With --verify the last day (UTC) that must have a seal, by default yesterday."`
	Session sessionID `env:"-" placeholder:"SESSION" help:"Only those of this fax."`
	By      string    `env:"-" placeholder:"NAME" help:"Only those of this token or user."`
	Verify  bool      `env:"-" help:"Prove from the archive alone that the chain of daily seals is unbroken and each seal as it was written. Neither a server nor NATS is asked."`
	Offline bool      `env:"-" help:"List what is sealed in the archive, without a server: not the entries since the last seal."`
	Key     []string  `type:"path" placeholder:"FILE" help:"With --verify: public keys, as faxstream keys prints them, one of which must have signed each seal."`
	JSON    bool      `help:"Print one JSON object a line."`
}

func (c auditCmd) Run(ctx context.Context, e env) error {
	switch {
	case c.Verify && (!c.Since.IsZero() || c.Session != "" || c.By != "" || c.Offline):
		return usagef("--verify checks the whole chain: leave --since, --session, --by and --offline out")
	case c.Verify:
		return c.verify(ctx, e)
	}
	p := auditPrinter{json: json.NewEncoder(e.stdout), asJSON: c.JSON, table: tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)}
	if !c.JSON {
		fmt.Fprintln(p.table, "TIME (UTC)\tBY\tWHAT\tSESSION\tPAGE\tWHY")
	}
	var err error
	if c.Offline {
		err = c.sealed(ctx, e, p.print)
	} else {
		err = c.api.Audit(ctx, c.filter(), p.print) // from the server, which has the seals and what came since
	}
	return errors.Join(err, p.table.Flush())
}

// verify says what the chain is, and fails where it is broken.
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
	until := c.Until.day // seals are of UTC days
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
		if report.Gaps > 0 {
			_, printErr := fmt.Fprintf(e.stdout, "  %d numbers of FAX_AUDIT have no entry: messages of the readiness check, or entries that were deleted there before they were sealed\n", report.Gaps)
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
		return fmt.Errorf("the audit is not as it was written: %d faults", len(report.Faults))
	case report.Seals == 0:
		return fmt.Errorf("%w: no seal, so nothing is proven: the first one comes the day after somebody has read a fax; if there was one, all were removed, or this is another archive", errNotFound)
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
	_, err = app.SealedLines(ctx, archive, f.Since, f.Until, func(l api.AuditLine) error {
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
}

func (p auditPrinter) print(l api.AuditLine) error {
	if p.asJSON {
		return p.json.Encode(l)
	}
	var e struct {
		Access, Action, By, Why, Session, Stage string
		Object                                  string
		Page                                    int
		Letter                                  struct {
			Session string
			Page    int
		}
	}
	if err := json.Unmarshal(l.Entry, &e); err != nil {
		e.Access = "unreadable"
	}
	what := client.OneLine(strings.TrimSpace(e.Access + e.Action + " " + e.Stage + strings.TrimPrefix(path.Ext(e.Object), ".")))
	_, err := fmt.Fprintf(p.table, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Time.UTC().Format(time.DateTime), client.OneLine(e.By), what,
		client.OneLine(e.Session+e.Letter.Session), pageText(max(e.Page, e.Letter.Page)), client.OneLine(e.Why))
	return err
}
