package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

// errStoreDied: the embedded server met an error of its disk. This server never writes again; a new one does.
var errStoreDied = errors.New("the embedded NATS server stopped")

const (
	roomEvery  = time.Second
	roomWanted = 1 << 20 // bytes; what a start writes, and some events
)

// Run starts an App, calls ready once everything listens, and serves until ctx ends. Where the embedded server lost its disk, Run starts
// everything again in this process, on the same addresses, as soon as the disk is writable. It does not call ready again.
func Run(ctx context.Context, c Config, ready func(*App) error) error {
	a, err := Start(ctx, c)
	if errors.Is(err, errStopped) {
		c.Log.Info(err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	if err := ready(a); err != nil {
		return errors.Join(err, a.Stop())
	}
	c.WebhookAddr, c.Admin.Addr = host(a.WebhookURL()), host(a.AdminURL())
	c.NATS.Embedded.Listen = samePort(c.NATS.Embedded.Listen, a.bus.ListenAddr())
	c.PprofAddr = host(a.PprofURL())
	for {
		err := a.Wait(ctx)
		if !errors.Is(err, errStoreDied) || ctx.Err() != nil {
			return err
		}
		c.Log.Warn("the disk is writable again: starting again", "err", err)
		if a, err = start(ctx, c); err != nil {
			return err
		}
	}
}

// samePort is an address with the port that it got; the name in it stays that of the certificate.
func samePort(addr, listens string) string {
	name, _, err := net.SplitHostPort(addr)
	_, port, portErr := net.SplitHostPort(listens)
	if err != nil || portErr != nil {
		return addr
	}
	return net.JoinHostPort(name, port)
}

// host is HOST:PORT of one of our own URLs.
func host(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return ""
	}
	return u.Host
}

// await returns when the disk has room again and a file can be written on it, or ctx ends.
func (d *disk) await(ctx context.Context) {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for d.check() != nil || hasRoom(d.dir) != nil {
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
		return fmt.Errorf("test whether the disk is writable: %w", err)
	}
	_, err = f.Write(make([]byte, roomWanted))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}
