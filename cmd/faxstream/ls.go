package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
)

type lsCmd struct {
	client
	To        string `env:"-" placeholder:"NUMBER" help:"Only faxes to this number or user id; how it is written makes no difference."`
	From      string `env:"-" placeholder:"NUMBER" help:"Only faxes from this number or user id."`
	Since     moment `env:"-" placeholder:"TIME" help:"Only faxes opened since this time: an age such as 48h, a day, or a time such as 2026-11-24T12:00:00Z. A fax is opened by its first webhook; for a fax that only the archive has, its start counts."`
	Until     moment `env:"-" placeholder:"TIME" help:"Only faxes opened before this time."`
	Status    string `env:"-" placeholder:"WORD" help:"Only faxes with this status: receiving, complete, recovered, partial, folded or purged."`
	Direction string `env:"-" placeholder:"WORD" help:"Only incoming or outgoing faxes."`
	JSON      bool   `help:"Print one JSON object a line."`
	Limit     int    `default:"50" help:"Maximum number of faxes to list; 0: all."`
}

// lsPage is how many faxes one request asks for.
const lsPage = 500

func (c lsCmd) Run(ctx context.Context, e env) error {
	if c.Limit < 0 {
		return usagef("--limit %d: want 0 or more", c.Limit)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "OPENED (UTC)\tSESSION\tFROM\tTO\tPAGES\tSTATUS")
	}
	left := c.Limit
	query := c.filter()
	for {
		n := lsPage
		if c.Limit > 0 {
			n = min(n, left)
		}
		query.Set("limit", strconv.Itoa(n))
		var list struct {
			Faxes            []dashboard.Fax
			Next, Incomplete string
		}
		if err := c.getJSON(ctx, "/faxes", query, &list); err != nil {
			return err
		}
		for _, f := range list.Faxes {
			if err := c.line(e, w, f); err != nil {
				return err
			}
		}
		left -= len(list.Faxes)
		if list.Incomplete != "" {
			return errors.Join(w.Flush(), errors.New(list.Incomplete))
		}
		if list.Next == "" || c.Limit > 0 && left <= 0 {
			return w.Flush()
		}
		query.Set("cursor", list.Next)
	}
}

// filter is what the server is asked for.
func (c lsCmd) filter() url.Values {
	query := url.Values{}
	for name, v := range map[string]string{"to": c.To, "from": c.From, "status": c.Status, "direction": c.Direction} {
		if v != "" {
			query.Set(name, v)
		}
	}
	for name, t := range map[string]moment{"since": c.Since, "until": c.Until} {
		if !t.IsZero() {
			query.Set(name, t.Format(time.RFC3339))
		}
	}
	return query
}

func (c lsCmd) line(e env, w *tabwriter.Writer, f dashboard.Fax) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(f)
	}
	status := f.Status
	if f.Reason != "" {
		status += " (" + f.Reason + ")"
	}
	if f.Held {
		status += ", held"
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\n",
		f.Opened.UTC().Format("2006-01-02 15:04:05"), f.Session, oneLine(f.From), oneLine(f.To), f.Archived, f.Expected, status)
	return err
}
