package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cluster has three nats-servers that keep three copies, and plain files.
func (b *bench) cluster() (s setting, err error) {
	dir, err := b.temp()
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	const servers = 3
	var clients, routes, urls []string
	for range servers {
		client, err := freeAddr()
		route, routeErr := freeAddr()
		if err := errors.Join(err, routeErr); err != nil {
			return s, err
		}
		clients, routes, urls = append(clients, client), append(routes, "nats://"+route), append(urls, "nats://"+client)
	}
	s.natsURL = strings.Join(urls, ",")
	for n, addr := range clients {
		of := filepath.Join(dir, fmt.Sprint("n", n))
		if err := os.Mkdir(of, 0o700); err != nil {
			return s, err
		}
		more := fmt.Sprintf("server_name: n%d\ncluster {\n  name: bench\n  listen: %q\n  routes: [%s]\n}\n",
			n, strings.TrimPrefix(routes[n], "nats://"), strings.Join(routes, ", "))
		if err := b.startServer(&s, of, addr, more, nil); err != nil {
			return s, err
		}
	}
	s.args = append(s.args, "--dir="+filepath.Join(dir, "serve"), "--nats-url="+s.natsURL, "--nats-replicas=3")
	return s, nil
}

// measureCluster measures the whole way of pages with three copies of each message, beside embedded, and then webhooks alone.
func measureCluster(ctx context.Context, b *bench, of build) (f figures, err error) {
	alone, err := measureEmbedded(ctx, b, of)
	if err != nil {
		return nil, err
	}
	s, err := b.cluster()
	if err != nil {
		return nil, err
	}
	got, err := b.wholeWay(ctx, of, s, nil)
	if err != nil {
		return nil, err
	}
	if s, err = b.cluster(); err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil, "--faxplus-page-path=none")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	work := r.announcements(b.size.of(60, 2), 100)
	start := time.Now()
	if _, err := r.post(ctx, senders, work); err != nil {
		return nil, err
	}
	return figures{
		"pages": got["pages"], "share": got["pages"] / alone["pages"], "rate": float64(len(work)) / time.Since(start).Seconds(),
	}, nil
}

// measureWorkers measures one worker process and two, each with GOMAXPROCS=1, and a provider that takes 300 ms a page. So few pages are on
// their way at once that the provider is what they wait for, and not the cores, which everything else shares with them. All other roles are
// in one more process. Builds before the roles have no figure.
func measureWorkers(ctx context.Context, b *bench, of build) (figures, error) {
	f := figures{}
	if !of.has("--roles") {
		return f, nil
	}
	for i, name := range []string{"one", "two"} {
		rate, err := b.rateOf(ctx, of, i+1)
		if err != nil {
			return nil, err
		}
		f[name] = rate
	}
	f["gain"] = f["two"] / f["one"]
	return f, nil
}

// rateOf is the pages a second of so many worker processes.
func (b *bench) rateOf(ctx context.Context, of build, workers int) (rate float64, err error) {
	s, err := b.external(ctx, untraced, false)
	if err != nil {
		return 0, err
	}
	r, err := b.start(of, s, slowPages(300*time.Millisecond), "--roles=webhook,collector,assembler,reconciler,admin")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for range workers {
		dir, err := b.temp()
		if err != nil {
			return 0, err
		}
		with := setting{args: slices.Concat(s.args, []string{"--dir=" + dir}), env: slices.Concat(s.env, []string{"GOMAXPROCS=1"})}
		p, err := serve(of, with, slices.Concat(r.provided, []string{"--roles=worker", "--fetches=6"})...)
		if err != nil {
			return 0, err
		}
		r.closers = append(r.closers, p.kill, func() error { return os.RemoveAll(dir) })
	}
	got, err := r.process20(ctx, b, b.size.of(40*workers, 2))
	return got["pages"], err
}
