package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/bus"
)

// Admin is who may reach the admin listener, and how. Without Tokens, Users and OIDC (loopback only) everybody on this host may.
type Admin struct {
	Addr      string       // HOST:PORT where API, dashboard and metrics are served; port 0: a free one
	Tokens    string       // file that says who may use API and dashboard, read at every request; empty: there are no tokens
	Users     string       // file of the people who log in with a password, read at every request; empty: none
	OIDC      *access.OIDC // a provider through which people log in; nil: there is none
	Cert      string       // PEM file of the certificate with its chain, read again when it changes; empty: no TLS
	Key       string       // PEM file of the private key of Cert
	AnyPort   bool         // where the port of Addr is taken, take a free one
	Base      string       // path below which a proxy in front serves the listener, such as /fax; empty: it has the whole host
	HTTPS     bool         // browsers reach the listener with https, whatever a proxy in front passes on
	PlainHTTP bool         // no TLS although Addr is not loopback: a proxy in front speaks it
}

// Check refuses a listener that is open to everybody or that others on the network can read, with a ConfigError. Start calls it too.
func (c Admin) Check() error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return configErrorf("--admin-cert and --admin-key need each other: give both or none")
	case c.Cert != "" && c.PlainHTTP:
		return configErrorf("--admin-plain-http means that a proxy does TLS, --admin-cert that faxstream does TLS: give one of them")
	case !loopback(c.Addr) && !c.Login():
		return configErrorf("--admin-addr %s is not a loopback address, so --admin-tokens, --admin-users or --oidc-issuer is required: "+
			"without a login anybody can read the faxes; make a token with `faxstream token NAME --scope read`", c.Addr)
	case !loopback(c.Addr) && c.Cert == "" && !c.PlainHTTP:
		return configErrorf("--admin-addr %s is not a loopback address, so it needs TLS: give --admin-cert and --admin-key, "+
			"or --admin-plain-http where a proxy in front does TLS; otherwise others on the network can read tokens and faxes", c.Addr)
	}
	if c.Tokens != "" {
		if _, err := access.ReadTokens(c.Tokens); err != nil {
			return configErrorf("--admin-tokens: %w", err)
		}
	}
	if c.Users != "" {
		if _, err := access.ReadUsers(c.Users); err != nil {
			return configErrorf("--admin-users: %w", err)
		}
	}
	if c.Cert != "" {
		if _, err := c.certificate(nil).load(); err != nil {
			return &ConfigError{err}
		}
	}
	return nil
}

// Login reports whether somebody must log in.
func (c Admin) Login() bool { return c.Tokens != "" || c.Users != "" || c.OIDC != nil }

func (c Admin) certificate(log *slog.Logger) *certificate {
	return &certificate{cert: c.Cert, key: c.Key, flags: "--admin-cert and --admin-key", log: log}
}

// free is Addr with a port that is free.
func (c Admin) free() string {
	host, _, _ := net.SplitHostPort(c.Addr) // it was listened on, so it has a port
	return net.JoinHostPort(host, "0")
}

// tokens reads the tokens, at every request; nil: there are none.
func (c Admin) tokens() func() ([]access.Token, error) {
	if c.Tokens == "" {
		return nil
	}
	return func() ([]access.Token, error) { return access.ReadTokens(c.Tokens) }
}

// users reads the people, at every request; nil: there are none.
func (c Admin) users() func() ([]access.User, error) {
	if c.Users == "" {
		return nil
	}
	return func() ([]access.User, error) { return access.ReadUsers(c.Users) }
}

// health is what every process tells of itself, with who may ask.
func (a *App) health(c Config, reg *prometheus.Registry) (dashboard.Config, error) {
	if a.gate == nil {
		refused, err := countRefused(reg)
		if err != nil {
			return dashboard.Config{}, err
		}
		a.gate = access.New(access.Config{
			Tokens: c.Admin.tokens(), Users: c.Admin.users(), OIDC: c.Admin.OIDC, Refused: refused, Log: a.log, LinkKey: c.linkKey,
			BehindTLS: c.Admin.PlainHTTP || c.Admin.HTTPS,
		})
	}
	return dashboard.Config{
		Roles: c.Roles, Ready: a.ready, Warnings: a.warnings, Log: a.log, Metrics: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		Gate: a.gate,
	}, nil
}

// maxLogins bounds what is shared of logins, bytes. There are a thousand at most.
const maxLogins = 16 << 20

// shareLogins has people who log in at one process be logged in at all that use the same NATS servers.
func (a *App) shareLogins(ctx context.Context, c Config) error {
	if c.NATS.URL == "" || !c.Admin.Login() {
		return nil // nobody else has this server
	}
	bucket, err := a.bus.Bucket(ctx, bus.BucketLogins, access.SessionFor, maxLogins)
	if err == nil {
		a.gate.Share(sharedLogins{bucket})
	}
	return err
}

// sharedLogins implements access.Shared.
type sharedLogins struct{ bucket jetstream.KeyValue }

func (s sharedLogins) Login(ctx context.Context, id string) ([]byte, error) {
	e, err := s.bucket.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a login: %w", err)
	}
	return e.Value(), nil
}

func (s sharedLogins) Logins(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	w, err := s.bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read the logins: %w", err)
	}
	defer func() { _ = w.Stop() }() // what it leaves ends with the connection
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return nil, errors.New("read the logins: the answer ended early")
			case e == nil:
				return all, nil
			}
			all[e.Key()] = e.Value()
		case <-ctx.Done():
			return nil, fmt.Errorf("read the logins: %w", ctx.Err())
		}
	}
}

func (s sharedLogins) Keep(ctx context.Context, id string, login []byte) error {
	_, err := s.bucket.Put(ctx, id, login)
	return err
}

func (s sharedLogins) End(ctx context.Context, id string) error { return s.bucket.Delete(ctx, id) }

// listenHealth serves health, readiness and metrics, and no faxes.
func (a *App) listenHealth(c Config, reg *prometheus.Registry) error {
	cfg, err := a.health(c, reg)
	if err != nil {
		return err
	}
	cfg.Narrow = true
	return a.listenAdmin(c, dashboard.NewHandler(cfg))
}

func (a *App) listenAdmin(c Config, h http.Handler) (err error) {
	h = layout.Under(c.Admin.Base, h)
	if a.early != nil {
		if a.early.replace(h) {
			return nil // it listens
		}
		h = a.early
	}
	a.adminURL, err = a.listen("admin", c.Admin.Addr, h, c.Admin.tls(a.log))
	if c.Admin.AnyPort && errors.Is(err, syscall.EADDRINUSE) {
		a.adminURL, err = a.listen("admin", c.Admin.free(), h, c.Admin.tls(a.log))
	}
	return err
}

// linkKey is the key of links and of subscribers' logins.
func (c Config) linkKey() ([]byte, error) { return access.LinkKey(c.path("link.key")) }

// tls is the TLS configuration of the listener; nil: plain HTTP.
func (c Admin) tls(log *slog.Logger) *tls.Config {
	if c.Cert == "" {
		return nil
	}
	return c.certificate(log).config()
}

// countRefused counts the requests that the admin listener did not let in.
func countRefused(r prometheus.Registerer) (func(reason string), error) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "faxstream_admin_refused_total",
		Help: "Requests that the admin listener refused, by reason: none (no token), wrong (token), password (or name wrong), " +
			"provider (login through it), limited (too many wrong tokens or passwords), scope, link (bad or expired).",
	}, []string{"reason"})
	return func(reason string) { total.WithLabelValues(reason).Inc() }, r.Register(total)
}
