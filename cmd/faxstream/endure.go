package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// errStoreDied: the embedded server met an error of its disk. It never writes again; one that is started anew does.
var errStoreDied = errors.New("the embedded NATS server had to end")

const (
	roomEvery  = time.Second
	roomWanted = 1 << 20 // bytes; what a start writes, and some events
)

// serve prints the ready line and serves until the first signal. Where the embedded server lost its disk, everything is
// started anew in this process, on the same addresses, as soon as the disk takes something again.
func (c serveCmd) serve(ctx context.Context, a *app, e env, with appEnv) error {
	ready := readyLine{Ready: true, Webhook: a.webhookURL, Admin: a.adminURL, NATS: a.bus.ClientURL()}
	if err := json.NewEncoder(e.stdout).Encode(ready); err != nil {
		return errors.Join(err, a.stop())
	}
	for {
		err := a.wait(ctx)
		if !errors.Is(err, errStoreDied) || ctx.Err() != nil {
			return err
		}
		with.log.Warn("the disk can be written again: starting anew", "err", err)
		c.WebhookAddr, c.AdminAddr, c.NATSListen = host(ready.Webhook), host(ready.Admin), host(ready.NATS)
		if a, err = startApp(ctx, c, with); err != nil {
			return err
		}
	}
}

// host is HOST:PORT of one of our own URLs.
func host(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return ""
	}
	return u.Host
}

// awaitRoom returns when a file can be written in dir, or ctx ends.
func awaitRoom(ctx context.Context, dir string) {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for hasRoom(dir) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func hasRoom(dir string) error {
	f, err := os.CreateTemp(dir, "room-")
	if err != nil {
		return fmt.Errorf("look for room on the disk: %w", err)
	}
	_, err = f.Write(make([]byte, roomWanted))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}
