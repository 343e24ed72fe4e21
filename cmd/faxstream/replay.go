package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
)

// replayCmd makes documents again from what is archived.
type replayCmd struct {
	client
	Session string `arg:"" optional:"" help:"Session id of the fax, as ls prints it."`
	Since   moment `env:"-" placeholder:"TIME" help:"Instead of one fax: all faxes that have a document and were opened since this time: an age such as 48h, a day, or a time such as 2026-11-24T12:00:00Z."`
	Stage   string `env:"-" default:"decode" enum:"decode,assemble" help:"${enum}. decode: decode the archived originals again; when a page comes out different, it is corrected and the document gets a new revision. assemble: always make a new revision. Default ${default}."`
	By      string `placeholder:"NAME" help:"Your name, for FAX_AUDIT. Default: the user of this process."`
	Why     string `env:"-" aliases:"reason" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
}

// Run returns when the orders are stored; watch and ls show the results.
func (c replayCmd) Run(ctx context.Context, e env) error {
	if (c.Session == "") == c.Since.IsZero() {
		return usagef("say which faxes: give either a session or --since")
	}
	if c.Session != "" {
		return c.order(ctx, e, c.Session)
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
	query := url.Values{"limit": {strconv.Itoa(lsPage)}}
	for {
		var list struct {
			Faxes []dashboard.Fax `json:"faxes"`
			Next  string          `json:"next"`
		}
		if err := c.getJSON(ctx, "/faxes", query, &list); err != nil {
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
		if list.Next == "" {
			return sessions, nil
		}
		query.Set("cursor", list.Next)
	}
}

func (c replayCmd) order(ctx context.Context, e env, id string) error {
	var done struct{ Session, Stage string }
	order := map[string]string{"stage": c.Stage, "by": whoAsks(c.By), "why": c.Why}
	if err := c.postJSON(ctx, "/faxes/"+url.PathEscape(id)+"/replay", order, &done); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, "replay ordered", done.Session, done.Stage)
	return err
}
