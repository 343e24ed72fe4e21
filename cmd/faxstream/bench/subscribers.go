package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// subscribed is how many subscribers claim the same events.
const subscribed = 10

// measureSubscribers measures embedded with ten subscribers that claim over HTTP and settle at once: how fast the slowest of them gets all
// pages, as a part of how fast they are archived. A build without subscribers has no figures.
func measureSubscribers(ctx context.Context, b *bench, of build) (f figures, err error) {
	if !of.has("--public-url") {
		return figures{}, nil
	}
	s, err := b.embedded(of)
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	c, err := client.New(client.Config{Server: r.ready.Admin, By: "bench"})
	if err != nil {
		return nil, err
	}
	for i := range subscribed {
		if _, err := c.AddSubscriber(ctx, api.SubscriberOrder{Order: api.Order{By: "bench"}, Name: fmt.Sprint("s", i)}); err != nil {
			return nil, err
		}
	}
	faxes := b.size.of(60, 2)
	var group errgroup.Group
	ends := make([]time.Time, subscribed)
	for i := range subscribed {
		group.Go(func() (err error) {
			err = takeAll(ctx, c, fmt.Sprint("s", i), faxes*pagesOfFax)
			ends[i] = time.Now()
			return err
		})
	}
	f, err = r.process20(ctx, b, faxes)
	if err := errors.Join(err, group.Wait()); err != nil {
		return nil, err
	}
	first, last := r.events.span(session.TypePageArchived)
	slowest := slices.MaxFunc(ends, time.Time.Compare)
	return figures{"pages": f["pages"], "seen": last.Sub(first).Seconds() / slowest.Sub(first).Seconds()}, nil
}

// takeAll claims so many events and settles each.
func takeAll(ctx context.Context, c *client.Client, name string, events int) error {
	for events > 0 {
		given, err := c.Claim(ctx, name, api.ClaimOrder{Max: 64, Wait: "20s"})
		if err != nil {
			return err
		}
		if len(given.Events) == 0 {
			return fmt.Errorf("%s: %d events did not come", name, events)
		}
		var done api.SettleOrder
		for _, e := range given.Events {
			done.Events = append(done.Events, api.Settlement{Lease: e.Lease, As: "done"})
		}
		if err := c.Settle(ctx, name, done); err != nil {
			return err
		}
		events -= len(given.Events)
	}
	return nil
}
