package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/cmd/faxstream/watch"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faxFlags choose faxes.
type faxFlags struct {
	To        string       `env:"-" placeholder:"NUMBER" help:"Only faxes to this number or user id; how it is written makes no difference, and the country code may be left out."`
	From      string       `env:"-" placeholder:"NUMBER" help:"Only faxes from this number or user id."`
	Since     flags.Moment `env:"-" placeholder:"TIME" help:"Only faxes opened since this time: ${moment}. A fax is opened by its first webhook; for a fax that only the archive has, its start counts."`
	Until     flags.Moment `env:"-" placeholder:"TIME" help:"Only faxes opened before this time."`
	Status    string       `env:"-" placeholder:"WORD" help:"Only faxes with this status: receiving, complete, recovered, partial, folded or purged."`
	Direction string       `env:"-" placeholder:"WORD" help:"Only incoming or outgoing faxes."`
	Differs   bool         `env:"-" help:"Only faxes with a page that differs from the same page of the whole file, and of which nobody has chosen an image yet: see faxstream choose."`
	Assignee  string       `env:"-" placeholder:"NAME" help:"Only faxes that are assigned to this person."`
	Label     string       `env:"-" placeholder:"LABEL" help:"Only faxes with this label."`
	Assigned  string       `env:"-" placeholder:"yes|no" help:"Only faxes that are assigned, or not."`
	Read      string       `env:"-" placeholder:"yes|no" help:"Only faxes that are read, or unread."`
	Done      string       `env:"-" placeholder:"yes|no" help:"Only faxes that are done, or not."`
	Text      string       `env:"-" placeholder:"WORDS" help:"Only faxes that faxstream search finds with these words."`
}

type lsCmd struct {
	apiClient
	faxFlags
	JSON  bool `help:"Print one JSON object a line."`
	Limit int  `default:"50" help:"Maximum number of faxes to list; 0: all."`
}

func (c lsCmd) Run(ctx context.Context, e env) error {
	if c.Limit < 0 {
		return usagef("--limit %d: want 0 or more", c.Limit)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "OPENED (UTC)\tSESSION\tFROM\tTO\tPAGES\tSTATUS")
	}
	filter := c.filter()
	filter.Limit = c.Limit
	for list, err := range c.api.Faxes(ctx, filter) {
		if err != nil {
			return err
		}
		for _, f := range list.Faxes {
			if err := c.line(e, w, f); err != nil {
				return err
			}
		}
		if list.Incomplete != "" {
			return errors.Join(w.Flush(), errors.New(list.Incomplete))
		}
	}
	return w.Flush()
}

// filter is what the server is asked for.
func (c faxFlags) filter() client.FaxFilter {
	f := client.FaxFilter{
		To: c.To, From: c.From, Since: c.Since.Time, Until: c.Until.Time, Status: c.Status, Direction: c.Direction,
		Assignee: c.Assignee, Label: c.Label, Assigned: c.Assigned, Read: c.Read, Done: c.Done, Text: c.Text,
	}
	if c.Differs {
		f.Verification = session.VerificationDiffers
	}
	return f
}

func (c lsCmd) line(e env, w *tabwriter.Writer, f api.Fax) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(f)
	}
	status := f.Status
	if why := f.ReasonText(); why != "" {
		status += " (" + why + ")"
	}
	if f.Held {
		status += ", held"
	}
	if text := f.DifferText(); text != "" {
		status += ", " + text
	}
	if f.Assignee != "" {
		status += ", assigned to " + f.Assignee
	}
	if f.Done {
		status += ", done"
	}
	if len(f.Labels) > 0 {
		status += ", labels " + strings.Join(f.Labels, " ")
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\n",
		f.Opened.UTC().Format("2006-01-02 15:04:05"), client.OneLine(f.Session), named(f.From, f.FromName), named(f.To, f.ToName),
		f.Archived, f.Expected, client.OneLine(status))
	return err
}

// named is a number with its name.
func named(number, name string) string {
	if name != "" {
		number += " (" + name + ")"
	}
	return client.OneLine(number)
}

// searchCmd finds faxes by the text of their pages.
type searchCmd struct {
	apiClient
	Words  []string     `arg:"" help:"What to look for: a page is found if it has all of these words. A phrase in double quotes stands together; a star after at least four letters stands for the rest of a word. Case and marks of letters make no difference. Numbers, dates such as 2026-11-24, and sessions of faxes are found too."`
	To     string       `env:"-" placeholder:"NUMBER" help:"Only faxes to this number or user id."`
	From   string       `env:"-" placeholder:"NUMBER" help:"Only faxes from this number or user id."`
	Since  flags.Moment `env:"-" placeholder:"TIME" help:"Only faxes that started since this time: ${moment}."`
	Until  flags.Moment `env:"-" placeholder:"TIME" help:"Only faxes that started before this time."`
	Status string       `env:"-" placeholder:"WORD" help:"Only faxes whose document has this status: complete, recovered or partial."`
	JSON   bool         `help:"Print one JSON object a line for each fax."`
	Limit  int          `default:"20" help:"Maximum number of faxes."`
}

func (c searchCmd) Run(ctx context.Context, e env) error {
	if c.Limit < 1 {
		return usagef("--limit %d: want 1 or more", c.Limit)
	}
	found, filter := 0, client.FaxFilter{
		To: c.To, From: c.From, Since: c.Since.Time, Until: c.Until.Time, Status: c.Status, Limit: c.Limit,
	}
	for result, err := range c.api.Search(ctx, strings.Join(c.Words, " "), filter) {
		if err != nil {
			return err
		}
		for _, f := range result.Faxes {
			if err := c.print(e, f); err != nil {
				return err
			}
		}
		if found += len(result.Faxes); result.Incomplete != "" {
			return errors.New(result.Incomplete)
		}
	}
	if found == 0 {
		return fmt.Errorf("no page has all of these words: %w", errNotFound)
	}
	return nil
}

// print prints a fax, and a line for each page.
func (c searchCmd) print(e env, f api.FoundFax) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(f)
	}
	_, err := fmt.Fprintf(e.stdout, "%s  %s  from %s to %s, %s\n", f.Opened.UTC().Format("2006-01-02 15:04"),
		client.OneLine(f.Session), client.OneLine(f.From), client.OneLine(f.To), client.OneLine(f.Status))
	for _, p := range f.Found {
		var text strings.Builder
		for _, part := range p.Snippet {
			if part.Hit {
				part.Text = "»" + part.Text + "«"
			}
			text.WriteString(part.Text)
		}
		where := "fax"
		if p.Page > 0 {
			where = fmt.Sprintf("page %d", p.Page)
		}
		if err == nil {
			_, err = fmt.Fprintf(e.stdout, "    %s: %s\n", where, client.OneLine(text.String()))
		}
	}
	return err
}

type watchCmd struct {
	apiClient
	Filter string `env:"-" placeholder:"WORDS" help:"What the table lists, in the words of ls: 'status=partial done=no', for example. The key / sets another filter."`
	Plain  bool   `help:"Print a line for each event also where stdout is a terminal."`
	JSON   bool   `help:"Print one JSON object a line: type, time and data as published."`
}

func (c watchCmd) Run(ctx context.Context, e env) error {
	if _, err := chosenBy(c.Filter); err != nil {
		return usagef("--filter %q: %w", c.Filter, err)
	}
	if !c.JSON && !c.Plain && isTerminal(e.stdout) && e.getenv("TERM") != "dumb" {
		return watch.Run(ctx, watch.Config{
			Server: c.api, Name: c.Server, Filter: c.Filter, Choose: chosenBy, NoColor: e.getenv("NO_COLOR") != "", Output: e.stdout,
		})
	}
	if c.Filter != "" {
		return usagef("--filter is for the table in a terminal: every event is printed as a line")
	}
	return c.api.Events(ctx, func() { fmt.Fprintln(e.stderr, "watching", c.Server) }, func(line []byte) error {
		text := string(line)
		if !c.JSON {
			var err error
			if text, err = watch.EventText(line); err != nil {
				return fmt.Errorf("event of %s: %w", c.Server, err)
			}
		}
		_, err := fmt.Fprintln(e.stdout, text)
		return err
	})
}

// chosenBy is a filter in the words of ls: status=partial or --status partial. A text with spaces stands in double quotes.
func chosenBy(words string) (client.FaxFilter, error) {
	args := regexp.MustCompile(`(?:[^\s"]|"[^"]*"?)+`).FindAllString(words, -1)
	for i, w := range args {
		args[i] = strings.ReplaceAll(w, `"`, "")
		if !strings.HasPrefix(w, "-") && (strings.Contains(w, "=") || w == "differs") {
			args[i] = "--" + args[i]
		}
	}
	var f faxFlags
	parser, err := kong.New(&f, kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard), kong.Vars{"moment": flags.MomentHelp})
	if err == nil {
		_, err = parser.Parse(args)
	}
	return f.filter(), err
}
