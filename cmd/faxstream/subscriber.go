package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// subscriberCmd is about services that claim events over HTTP.
type subscriberCmd struct {
	Add    subscriberAddCmd    `cmd:"" help:"Add a subscriber: it gets the events of pages from now on."`
	Ls     subscriberLsCmd     `cmd:"" help:"List subscribers, and how far each is."`
	Rewind subscriberRewindCmd `cmd:"" help:"Give a subscriber the events since a time, or since a fax, again."`
	Rotate subscriberRotateCmd `cmd:"" help:"Give a subscriber of kind nats a new password. The old one is refused at once."`
	Rm     subscriberRmCmd     `cmd:"" help:"Remove a subscriber. What it has claimed cannot be settled any more."`
}

// subscriberOrder is what the orders have in common.
type subscriberOrder struct {
	apiClient
	Name   string `arg:"" help:"Name of the subscriber: 1 to 32 letters, digits, '-' and '_'."`
	Reason string `env:"-" placeholder:"TEXT" help:"Why, for the log."`
	By     string `placeholder:"NAME" help:"Your name, for the log, where there is no login. Default: the user of this process."`
}

func (o subscriberOrder) order() api.Order { return api.Order{By: whoAsks(o.By), Why: o.Reason} }

type subscriberAddCmd struct {
	subscriberOrder
	To          []string      `env:"-" placeholder:"NUMBER" help:"Only events of pages to these numbers or user ids. Default: all."`
	Lease       time.Duration `env:"-" default:"1m" help:"How long a worker has for an event, 5s to 1h. Then the event comes again. Default ${default}."`
	Concurrency int           `env:"-" default:"64" help:"Events that its workers may have at once, 1 to 1000. Default ${default}."`
	Kind        string        `env:"-" default:"http" enum:"http,nats" help:"${enum}. http: it claims events over HTTP; nats: it pulls from its durable with a NATS client and a login of its own, which is printed."`
	Since       flags.Moment  `env:"-" placeholder:"TIME" help:"It gets the events since this time: ${moment}. Default: from now on."`
	AdminTokens string        `env:"-" type:"path" placeholder:"FILE" help:"The server's file of --admin-tokens, if it is on this machine: a token of the subscriber's name and numbers, which may read and send texts, is added to it and printed."`
}

func (c subscriberAddCmd) Run(ctx context.Context, e env) error {
	if c.AdminTokens != "" {
		if err := c.noToken(); err != nil {
			return err
		}
	}
	s, err := c.api.AddSubscriber(ctx, api.SubscriberOrder{
		Order: c.order(), Name: c.Name, Numbers: c.To, Lease: c.Lease.String(), Concurrency: c.Concurrency, Since: c.Since.Time,
		Kind: c.Kind,
	})
	if err != nil {
		return err
	}
	if s.NATS != nil {
		return printLogin(e, s)
	}
	if c.AdminTokens != "" {
		return c.addToken(e, s)
	}
	numbers := ""
	for _, n := range s.Numbers {
		numbers += " --to " + n
	}
	_, err = fmt.Fprintf(e.stderr, "added %s. Where tokens are configured it needs one of its name: faxstream token %s --scope read,text%s\n",
		s.Name, s.Name, numbers)
	return err
}

// noToken refuses a file that has a token of this name, before anything is added.
func (c subscriberAddCmd) noToken() error {
	if c.Kind != subscribers.KindHTTP {
		return usagef("--admin-tokens is for subscribers of kind http; one of kind nats gets a login")
	}
	tokens, err := access.ReadTokens(c.AdminTokens)
	if err != nil {
		return usagef("--admin-tokens: %w", err)
	}
	if slices.ContainsFunc(tokens, func(t access.Token) bool { return t.Name == c.Name }) {
		return usagef("--admin-tokens: %s has a token of %s: remove its line, or leave this flag out", c.AdminTokens, c.Name)
	}
	return nil
}

// addToken adds the token of a subscriber to the file, where the server reads it at its next request, and prints it.
func (c subscriberAddCmd) addToken(e env, s api.Subscriber) error {
	secret, line, err := access.NewToken(s.Name, []access.Scope{access.ScopeRead, access.ScopeText}, s.Numbers...)
	if err == nil {
		err = appendLine(c.AdminTokens, line)
	}
	if err != nil {
		return fmt.Errorf("%s is added, and its token is not: %w (make one with faxstream token)", s.Name, err)
	}
	fmt.Fprintf(e.stderr, "added %s, and its token to %s. The token is shown only once:\n", s.Name, c.AdminTokens)
	_, err = fmt.Fprintln(e.stdout, secret)
	return err
}

// appendLine adds a line to a file that is there, also if its last line has no end.
func appendLine(file, line string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		line = "\n" + line
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

type subscriberLsCmd struct {
	apiClient
	JSON bool `help:"Print one JSON object a line."`
}

func (c subscriberLsCmd) Run(ctx context.Context, e env) error {
	list, err := c.api.Subscribers(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "NAME\tNUMBERS\tWAITING\tIN WORK\tAGAIN\tFAILED\tOLDEST (UTC)\tCLAIMED (UTC)\tSETTLED (UTC)")
	}
	for _, s := range list.Subscribers {
		if c.JSON {
			err = errors.Join(err, json.NewEncoder(e.stdout).Encode(s))
			continue
		}
		old := "none"
		if !s.Oldest.IsZero() {
			old = dateTime(s.Oldest)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", s.Name, cmp.Or(strings.Join(s.Numbers, ","), "all"), s.Waiting, s.InWork,
			s.Again, s.Failed, old, dateTime(s.Claimed), dateTime(s.Settled))
	}
	return errors.Join(err, w.Flush())
}

// dateTime is a time for people; a zero one is never.
func dateTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

type subscriberRewindCmd struct {
	subscriberOrder
	Since   flags.Moment    `env:"-" xor:"from" required:"" placeholder:"TIME" help:"Events since this time come again: ${moment}. Streams keep 30 days."`
	Session flags.SessionID `env:"-" xor:"from" required:"" placeholder:"ID" help:"Events since the first page of this fax come again. Its first 8 letters are enough."`
}

func (c subscriberRewindCmd) Run(ctx context.Context, e env) error {
	s, err := c.api.RewindSubscriber(ctx, c.Name, api.RewindOrder{
		Order: c.order(), Since: c.Since.Time, Session: string(c.Session),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d events wait\n", s.Name, s.Waiting)
	return err
}

type subscriberRotateCmd struct{ subscriberOrder }

func (c subscriberRotateCmd) Run(ctx context.Context, e env) error {
	s, err := c.api.RotateSubscriber(ctx, c.Name, c.order())
	if err != nil {
		return err
	}
	return printLogin(e, s)
}

// printLogin prints how a subscriber of kind nats reaches its durable: a URL for NATS clients, or what an external server must be told.
func printLogin(e env, s api.Subscriber) error {
	fmt.Fprintf(e.stderr, "%s pulls from the durable %s of %s. Its password is shown only now; `faxstream subscriber rotate %s` makes "+
		"a new one\n", s.Name, s.NATS.Durable, s.NATS.Stream, s.Name)
	if s.NATS.URL == "" {
		fmt.Fprintln(e.stderr, "faxstream runs no NATS server that listens with logins (--nats-listen). "+
			"For an external server: its configuration, or nsc")
		_, err := fmt.Fprint(e.stdout, natsAccounts(*s.NATS))
		return err
	}
	server, err := url.Parse(s.NATS.URL)
	if err != nil {
		return err
	}
	server.User = url.UserPassword(s.NATS.User, s.NATS.Password)
	_, err = fmt.Fprintln(e.stdout, server)
	return err
}

type subscriberRmCmd struct{ subscriberOrder }

func (c subscriberRmCmd) Run(ctx context.Context, e env) error {
	if err := c.api.RemoveSubscriber(ctx, c.Name, c.order()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, "removed", c.Name)
	return err
}
