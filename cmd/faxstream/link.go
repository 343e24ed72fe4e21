package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
)

// linkCmd makes a link that needs no login and expires.
type linkCmd struct {
	apiClient
	Session flags.SessionID  `arg:"" help:"Session id of the fax, as ls prints it, or its first 8 letters or more."`
	Page    flags.PageNumber `env:"-" placeholder:"N" help:"One page, from 1, instead of the document."`
	As      string           `env:"-" default:"auto" enum:"auto,pdf,tiff,png,original,manifest" help:"${enum}. A document comes as pdf (auto), tiff or manifest; a page as png (auto) or original: the bytes as fetched."`
	TTL     time.Duration    `name:"ttl" env:"-" default:"10m" help:"How long the link works: 1s to 168h. Default ${default}."`
	Reason  string           `env:"-" placeholder:"TEXT" help:"Why, for FAX_AUDIT."`
	By      string           `placeholder:"NAME" help:"Your name, for FAX_AUDIT, where there is no login. Default: the user of this process."`
	JSON    bool             `help:"Print one JSON object with the URL and the time when it expires."`
}

// Run prints the URL: presigned for the S3 service of the archive, or a URL of the admin listener.
func (c linkCmd) Run(ctx context.Context, e env) error {
	as, err := fileKind(c.Page, c.As)
	if err != nil {
		return err
	}
	order := api.LinkOrder{Order: api.Order{By: whoAsks(c.By), Why: c.Reason}, As: as, Page: int(c.Page), TTL: c.TTL.String()}
	l, err := c.api.Link(ctx, string(c.Session), order)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(l)
	}
	if _, err := fmt.Fprintln(e.stdout, l.URL); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stderr, "everybody who has this link can read the fax until %s UTC\n", l.Expires.UTC().Format(time.DateTime))
	return err
}
