package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
)

// provider is how Fax.Plus is reached.
type provider struct {
	FaxplusURL       string `default:"https://restapi.fax.plus/v3" placeholder:"URL" help:"REST API of Fax.Plus. Default ${default}."`
	FaxplusTokenFile string `type:"path" placeholder:"FILE" help:"File with the personal access token, one line. It is read at every call, so you can replace it while faxstream runs. Empty: no token is sent."`
	FaxplusUser      string `default:"self" help:"User id in the paths of the REST API."`
}

func (p provider) config() faxplus.Config {
	c := faxplus.Config{BaseURL: p.FaxplusURL, User: p.FaxplusUser}
	if p.FaxplusTokenFile != "" {
		c.Token = func() (string, error) { return flags.ReadLine(p.FaxplusTokenFile) }
	}
	return c
}

// zone is a time zone on the command line.
type zone struct{ *time.Location }

func (z *zone) UnmarshalText(text []byte) (err error) {
	if len(text) > 0 {
		z.Location, err = ingest.ParseZone(string(text))
	}
	return err
}

// MarshalText writes what UnmarshalText reads.
func (z zone) MarshalText() ([]byte, error) {
	if z.Location == nil {
		return nil, nil
	}
	return []byte(z.String()), nil
}

type hooksCmd struct {
	Ls  hooksLsCmd  `cmd:"" help:"List the registered webhooks."`
	Add hooksAddCmd `cmd:"" help:"Register webhooks. Webhooks that exist already stay as they are."`
	Rm  hooksRmCmd  `cmd:"" help:"Remove one webhook. It is no error when the webhook does not exist."`
}

type hooksLsCmd struct {
	provider
	JSON bool `help:"Print one JSON object a line. The path of the target is hidden with and without --json, because it contains the secret."`
}

type hooksAddCmd struct {
	provider
	URL               string   `arg:"" help:"URL at which Fax.Plus reaches faxstream, such as https://fax.example.org. Path and secret are added to it."`
	Event             []string `placeholder:"EVENT" help:"fax_page_received, fax_received, fax_sent. Default: all three."`
	WebhookSecretFile string   `type:"path" placeholder:"FILE" help:"The same file as for faxstream serve. Its first line goes into the URL."`
	JSON              bool     `help:"Print one JSON object a line."`
}

type hooksRmCmd struct {
	provider
	ID string `arg:"" help:"The webhook's id, as hooks ls prints it."`
}

// hookLine is one webhook as printed.
type hookLine struct {
	ID     string `json:"id"`
	Event  string `json:"event"`
	Target string `json:"target"`
	Added  bool   `json:"added,omitempty"`
}

func (h hookLine) hidden() hookLine {
	u, err := url.Parse(h.Target)
	if err != nil {
		h.Target = "(no URL)"
		return h
	}
	h.Target = u.Scheme + "://" + u.Host + "/…"
	return h
}

func printHooks(e env, asJSON bool, hooks []hookLine) error {
	if asJSON {
		enc := json.NewEncoder(e.stdout)
		for _, h := range hooks {
			if err := enc.Encode(h.hidden()); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tEVENT\tTARGET\t")
	for _, h := range hooks {
		h = h.hidden()
		note := ""
		if h.Added {
			note = "added"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.ID, h.Event, h.Target, note)
	}
	return w.Flush()
}

func (c hooksLsCmd) Run(ctx context.Context, e env) error {
	hooks, err := listHooks(ctx, c.provider)
	if err != nil {
		return err
	}
	return printHooks(e, c.JSON, hooks)
}

func listHooks(ctx context.Context, p provider) ([]hookLine, error) {
	client, err := faxplus.NewClient(p.config())
	if err != nil {
		return nil, usageError{err}
	}
	defer client.Close()
	hooks, err := client.Hooks(ctx)
	lines := make([]hookLine, len(hooks))
	for i, h := range hooks {
		lines[i] = hookLine{ID: h.ID, Event: h.Event, Target: h.Target}
	}
	return lines, err
}

func (c hooksAddCmd) Run(ctx context.Context, e env) error {
	target, err := c.target()
	if err != nil {
		return err
	}
	events := c.Event
	if len(events) == 0 {
		events = faxplus.EventNames()
	}
	for _, name := range events {
		if !slices.Contains(faxplus.EventNames(), name) {
			return usagef("--event %s: want %s", name, strings.Join(faxplus.EventNames(), ", "))
		}
	}
	there, err := listHooks(ctx, c.provider)
	if err != nil {
		return err
	}
	client, err := faxplus.NewClient(c.config())
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	var lines []hookLine
	for _, name := range events {
		i := slices.IndexFunc(there, func(h hookLine) bool { return h.Event == name && h.Target == target })
		if i >= 0 {
			lines = append(lines, there[i])
			continue
		}
		id, err := client.AddHook(ctx, target, name)
		if err != nil {
			return errors.Join(err, printHooks(e, c.JSON, lines)) // print what was registered so far
		}
		lines = append(lines, hookLine{ID: id, Event: name, Target: target, Added: true})
	}
	return printHooks(e, c.JSON, lines)
}

// target is the URL to register, with the path and the secret in it.
func (c hooksAddCmd) target() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", usagef("%q: want a URL such as https://fax.example.org", c.URL)
	}
	u = u.JoinPath(ingest.Path)
	if c.WebhookSecretFile == "" {
		return u.String(), nil
	}
	secrets, err := ingest.ReadSecrets(c.WebhookSecretFile)
	if err != nil {
		return "", usageError{err}
	}
	return u.JoinPath(secrets[0]).String(), nil
}

func (c hooksRmCmd) Run(ctx context.Context, _ env) error {
	client, err := faxplus.NewClient(c.config())
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	err = client.RemoveHook(ctx, c.ID)
	if e, ok := errors.AsType[*faxplus.Error](err); ok && e.Status == http.StatusNotFound {
		return nil
	}
	return err
}
