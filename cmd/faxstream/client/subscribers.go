package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// AddSubscriber adds a service that claims events.
func (c *Client) AddSubscriber(ctx context.Context, o api.SubscriberOrder) (s api.Subscriber, err error) {
	return s, c.post(ctx, "/subscribers", o, &s)
}

// Subscribers lists them.
func (c *Client) Subscribers(ctx context.Context) (l api.SubscriberList, err error) {
	return l, c.get(ctx, "/subscribers", nil, &l)
}

// RemoveSubscriber removes one.
func (c *Client) RemoveSubscriber(ctx context.Context, name string, o api.Order) error {
	order, err := json.Marshal(o)
	if err != nil {
		return err
	}
	body, err := c.request(ctx, http.MethodDelete, "/subscribers/"+url.PathEscape(name), nil, order)
	if err != nil {
		return err
	}
	return body.Close()
}

// RewindSubscriber makes one go on from a time.
func (c *Client) RewindSubscriber(ctx context.Context, name string, o api.RewindOrder) (s api.Subscriber, err error) {
	return s, c.post(ctx, "/subscribers/"+url.PathEscape(name)+"/rewind", o, &s)
}

// RotateSubscriber gives one of kind nats a new password.
func (c *Client) RotateSubscriber(ctx context.Context, name string, o api.Order) (s api.Subscriber, err error) {
	return s, c.post(ctx, "/subscribers/"+url.PathEscape(name)+"/rotate", o, &s)
}
