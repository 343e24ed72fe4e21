package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/session"
)

// dlqCmd is what a person does about dead letters.
type dlqCmd struct {
	Ls    dlqLsCmd    `cmd:"" help:"List dead letters, oldest first."`
	Show  dlqShowCmd  `cmd:"" help:"Show one dead letter: the event that failed, and every attempt."`
	Retry dlqRetryCmd `cmd:"" help:"Try the failed events again, from the first attempt and with a new deadline. The letters are removed."`
	Drop  dlqDropCmd  `cmd:"" help:"Remove dead letters for good. FAX_AUDIT records who dropped them, when and why."`
}

// letterFilter chooses dead letters. Nothing that chooses comes from the environment: a variable must not widen a drop.
type letterFilter struct {
	Session    flags.SessionID `env:"-" placeholder:"SESSION" help:"Only letters of this fax."`
	FailedWith string          `env:"-" placeholder:"WORD" help:"Only letters that failed with this reason, such as not_ready or bad_request."`
	Stage      string          `env:"-" placeholder:"STAGE" help:"Only letters of this stage: ingest, page, whole, assemble, record, ..."`
	Since      flags.Moment    `env:"-" placeholder:"TIME" help:"Only letters stored since this time: ${moment}."`
}

func (f letterFilter) empty() bool { return f == letterFilter{} }

// each calls do with every letter that there is now, oldest first. Letters that are buried meanwhile are left alone.
func (f letterFilter) each(ctx context.Context, c *client.Client, do func(api.Letter) error) error {
	all, err := c.Letters(ctx, client.LetterFilter{Session: string(f.Session), Reason: f.FailedWith, Stage: f.Stage, Since: f.Since.Time})
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := do(l); err != nil {
			return err
		}
	}
	return nil
}

type dlqLsCmd struct {
	apiClient
	letterFilter
	JSON bool `help:"Print one JSON object a line."`
}

func (c dlqLsCmd) Run(ctx context.Context, e env) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "ID\tBURIED (UTC)\tSTAGE\tSESSION\tPAGE\tREASON\tDETAIL")
	}
	err := c.each(ctx, c.api, func(l api.Letter) error {
		if c.JSON {
			return json.NewEncoder(e.stdout).Encode(l)
		}
		_, err := fmt.Fprintf(
			w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Buried.UTC().Format(time.DateTime), l.Stage, l.Session, pageText(l.Page), l.Reason,
			client.OneLine(l.Detail),
		)
		return err
	})
	return errors.Join(err, w.Flush())
}

func pageText(page int) string {
	if page == 0 {
		return ""
	}
	return strconv.Itoa(page)
}

type dlqShowCmd struct {
	apiClient
	ID   flags.LetterID `arg:"" help:"Id of the letter, as ls prints it."`
	JSON bool           `help:"Print one JSON object."`
}

func (c dlqShowCmd) Run(ctx context.Context, e env) error {
	l, err := c.api.Letter(ctx, uint64(c.ID))
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(l)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"id", strconv.FormatUint(l.ID, 10)},
		{"buried", l.Buried.UTC().Format(time.RFC3339)},
		{"stage", l.Stage},
		{"session", l.Session},
		{"page", pageText(l.Page)},
		{"reason", string(l.Reason)},
		{"detail", l.Detail},
		{"subject", l.Subject},
		{"received", l.Received.UTC().Format(time.RFC3339)},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], client.OneLine(line[1]))
		}
	}
	for _, a := range l.Attempts {
		fmt.Fprintf(w, "attempt %d\t%s %s %s: %s\n", a.Number, a.At.UTC().Format(time.RFC3339), a.Stage, a.Reason, client.OneLine(a.Detail))
	}
	event := client.OneLine(l.Event)
	if l.Event == "" && len(l.Binary) > 0 {
		event = fmt.Sprintf("%d bytes that are not text; --json shows them in base64", len(l.Binary))
	}
	fmt.Fprintf(w, "event\t%s\n", event)
	return w.Flush()
}

// letterChoice names the letters of one action: ids, a filter, or all.
type letterChoice struct {
	apiClient
	letterFilter
	IDs    []flags.LetterID `arg:"" optional:"" name:"id" help:"Ids of letters, as ls prints them."`
	All    bool             `env:"-" help:"All letters."`
	By     string           `placeholder:"NAME" help:"Your name, for FAX_AUDIT. Default: the user of this process."`
	Reason string           `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT; required for drop."`
	Why    string           `env:"-" hidden:"" help:"The same as --reason."`
	JSON   bool             `help:"Print one JSON object a line."`
}

// check refuses a command that does not say which letters, or that may have been written when --reason chose letters: then it would act
// on more of them.
func (c letterChoice) check() error {
	ways := 0
	for _, given := range []bool{len(c.IDs) > 0, !c.empty(), c.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return usagef("say which letters: give either ids, or a filter (--session, --failed-with, --stage, --since), or --all")
	}
	if c.Reason != "" && c.Why != "" || regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`).MatchString(c.Reason) {
		return usagef("--reason %q: --reason says why you do it, once; to choose letters by what they failed with, give --failed-with %s",
			c.Reason, c.Reason)
	}
	return nil
}

// act orders one action for each chosen letter. A letter that somebody else has acted on meanwhile is an error only if its id was given.
func (c letterChoice) act(ctx context.Context, e env, verb, done string) error {
	if err := c.check(); err != nil {
		return err
	}
	one := func(id uint64) error {
		l, err := c.api.ActOnLetter(ctx, id, verb, api.Order{By: whoAsks(c.By), Why: c.why()})
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(e.stdout).Encode(l)
		}
		_, err = fmt.Fprintln(e.stdout, strings.TrimSpace(fmt.Sprintf("%s %d %s %s %s", done, l.ID, l.Stage, l.Session, pageText(l.Page))))
		return err
	}
	for _, id := range c.IDs {
		if err := one(uint64(id)); err != nil {
			return err
		}
	}
	if len(c.IDs) > 0 {
		return nil
	}
	return c.each(ctx, c.api, func(l api.Letter) error {
		err := one(l.ID)
		if errors.Is(err, client.ErrNotFound) {
			return nil
		}
		return err
	})
}

// why is what the person says, in either flag.
func (c letterChoice) why() string { return strings.TrimSpace(cmp.Or(c.Reason, c.Why)) }

type dlqRetryCmd struct{ letterChoice }

func (c dlqRetryCmd) Run(ctx context.Context, e env) error {
	return c.act(ctx, e, "retry", session.ActionRetried)
}

type dlqDropCmd struct{ letterChoice }

func (c dlqDropCmd) Run(ctx context.Context, e env) error {
	if c.why() == "" {
		return usagef("--reason is required: say why the letters are dropped")
	}
	return c.act(ctx, e, "drop", session.ActionDropped)
}
