package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
)

type lsCmd struct {
	client
	JSON  bool `help:"Print one JSON object a line."`
	Limit int  `default:"50" help:"Most faxes to list; 0: all."`
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
	query := url.Values{}
	for {
		n := lsPage
		if c.Limit > 0 {
			n = min(n, left)
		}
		query.Set("limit", strconv.Itoa(n))
		var list struct {
			Faxes []dashboard.Fax `json:"faxes"`
			Next  string          `json:"next"`
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
		if list.Next == "" || c.Limit > 0 && left <= 0 {
			return w.Flush()
		}
		query.Set("cursor", list.Next)
	}
}

func (c lsCmd) line(e env, w *tabwriter.Writer, f dashboard.Fax) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(f)
	}
	status := f.Status
	if f.Reason != "" {
		status += " (" + f.Reason + ")"
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\n",
		f.Opened.UTC().Format("2006-01-02 15:04:05"), f.Session, f.From, f.To, f.Archived, f.Expected, status)
	return err
}
