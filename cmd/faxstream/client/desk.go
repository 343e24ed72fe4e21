package client

import (
	"context"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Desk returns what people say about a fax.
func (c *Client) Desk(ctx context.Context, session string) (d api.Desk, err error) {
	err = c.get(ctx, faxPath(session)+"/desk", nil, &d)
	return d, err
}

// Work changes what people say about a fax. The answer says whether the change is carried out; it is stored.
func (c *Client) Work(ctx context.Context, session string, o api.WorkOrder) (a api.WorkAnswer, err error) {
	err = c.post(ctx, faxPath(session)+"/desk", o, &a)
	return a, err
}

// Derive makes documents of chosen pages of a fax. The answer says whether they are made; the order is stored.
func (c *Client) Derive(ctx context.Context, session string, o api.DeriveOrder) (a api.DeriveAnswer, err error) {
	err = c.post(ctx, faxPath(session)+"/derived", o, &a)
	return a, err
}

// Derived returns the derived documents of a fax, oldest first.
func (c *Client) Derived(ctx context.Context, session string) (l api.DerivedList, err error) {
	err = c.get(ctx, faxPath(session)+"/derived", nil, &l)
	return l, err
}
