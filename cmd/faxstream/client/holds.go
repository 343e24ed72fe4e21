package client

import (
	"context"
	"net/url"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Holds lists the faxes under legal hold.
func (c *Client) Holds(ctx context.Context) (l api.HoldList, err error) {
	err = c.get(ctx, "/holds", nil, &l)
	return l, err
}

// HoldStatus says what keeps a fax from being purged, and until when.
func (c *Client) HoldStatus(ctx context.Context, session string) (s api.HoldStatus, err error) {
	err = c.get(ctx, faxPath(session)+"/keep", nil, &s)
	return s, err
}

// OrderHold orders hold, release or purge of a fax. The order is stored when it returns; the answer says whether it is carried out.
func (c *Client) OrderHold(ctx context.Context, session, verb string, o api.Order) (a api.HoldAnswer, err error) {
	err = c.post(ctx, faxPath(session)+"/"+url.PathEscape(verb), o, &a)
	return a, err
}
