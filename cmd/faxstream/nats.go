package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/events"
	"github.com/faxstream/faxstream/pipeline/spool"
)

// natsCmd shows the login of subscribers at the embedded server.
type natsCmd struct {
	Dir        string `default:"./faxstream-data" type:"path" help:"Directory of all local state, as for serve."`
	NATSListen string `name:"nats-listen" default:"127.0.0.1:4222" placeholder:"HOST:PORT" help:"Address in the printed URL, as for serve. Default ${default}."`
	NATSCert   string `name:"nats-cert" type:"path" placeholder:"FILE" help:"Certificate of the listener, as for serve: the printed URL is for TLS and has a name of it."`
	NATSKey    string `name:"nats-key" type:"path" placeholder:"FILE" help:"Private key of --nats-cert."`
	JSON       bool   `help:"Print one JSON object with URL, user and password."`
}

// Run prints a URL that NATS clients take as it is.
func (c natsCmd) Run(e env) error {
	password, err := access.KnownSubscriberPassword(c.Dir)
	if err != nil {
		return err
	}
	server := url.URL{Scheme: "nats", Host: c.NATSListen, User: url.UserPassword(bus.Subscriber, password)}
	if c.NATSCert != "" {
		name, err := app.CertificateName(c.NATSCert, c.NATSKey, c.NATSListen)
		if err != nil {
			return usageError{err}
		}
		_, port, err := net.SplitHostPort(c.NATSListen)
		if err != nil {
			return usageError{err}
		}
		server.Scheme, server.Host = "tls", net.JoinHostPort(name, port)
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"url": server.String(), "user": bus.Subscriber, "password": password})
	}
	_, err = fmt.Fprintln(e.stdout, server.String())
	return err
}

// natsStore is where JetStream is.
type natsStore struct {
	NATSURL      string `name:"nats-url" placeholder:"URL" help:"External NATS servers, comma separated. Empty: an embedded server in --dir."`
	NATSCreds    string `name:"nats-creds" type:"path" placeholder:"FILE" help:"Credentials file for --nats-url."`
	NATSCA       string `name:"nats-ca" type:"path" placeholder:"FILE" help:"PEM file of the certificate authorities for --nats-url."`
	NATSCert     string `name:"nats-cert" type:"path" placeholder:"FILE" help:"PEM certificate with its chain: that of this process where --nats-url demands one (read at every connect), or that of --nats-listen (read again when the file changes)."`
	NATSKey      string `name:"nats-key" type:"path" placeholder:"FILE" help:"PEM private key of --nats-cert."`
	NATSReplicas int    `name:"nats-replicas" placeholder:"N" help:"Number of copies of every stream on the servers of --nats-url: 1, 3 or 5. With 3, a webhook is answered when two servers have stored it. Empty: as many as the streams have, 1 for new ones."`
	PublicURL    string `name:"public-url" placeholder:"URL" help:"URL under which subscribers reach --admin-addr, such as https://fax.example.org. Events of pages then say where PNG and original are; empty: they do not. If it has a path, such as https://example.org/fax, the dashboard is served below that path by a proxy."`
	MaxStore     int    `default:"10" help:"Disk space for all streams, in GiB; three quarters are reserved at the start. When a stream is full, webhooks are answered 503."`
}

// config is the configuration of the bus; dir is the directory of the embedded server.
func (c natsStore) config(dir string) bus.Config {
	cfg := bus.Config{
		URL: c.NATSURL, Creds: c.NATSCreds, CA: c.NATSCA, Replicas: c.NATSReplicas, MaxStore: int64(c.MaxStore) << 30,
		Embedded: bus.EmbeddedConfig{Dir: dir}, Outward: events.Outward(strings.TrimRight(c.PublicURL, "/")),
	}
	if c.NATSURL != "" {
		cfg.Cert, cfg.Key = c.NATSCert, c.NATSKey
	}
	return cfg
}

// check refuses flags that cannot work together.
func (c natsStore) check() error {
	switch {
	case c.NATSURL == "" && (c.NATSCreds != "" || c.NATSCA != ""):
		return usagef("--nats-creds and --nats-ca need --nats-url")
	case (c.NATSCert == "") != (c.NATSKey == ""):
		return usagef("--nats-cert and --nats-key need each other: give both or none")
	case c.NATSReplicas != 0 && c.NATSReplicas != 1 && (c.NATSURL == "" || c.NATSReplicas != 3 && c.NATSReplicas != 5):
		return usagef("--nats-replicas %d: want 1, or 3 or 5 with the --nats-url of a cluster", c.NATSReplicas)
	case c.MaxStore < 1:
		return usagef("--max-store %d: want 1 GiB or more", c.MaxStore)
	case c.PublicURL != "":
		if err := events.CheckPublic(c.PublicURL); err != nil {
			return usagef("--public-url %w", err)
		}
	}
	return nil
}

// spoolCmd is about the spool of a process that does not run.
type spoolCmd struct {
	Ls    spoolLsCmd    `cmd:"" help:"Say how many events a spool has that the NATS servers do not have yet, and how old they are."`
	Drain spoolDrainCmd `cmd:"" help:"Send what a spool has to the NATS servers. Harmless when repeated."`
}

type spoolLsCmd struct {
	Dir  string `arg:"" type:"path" help:"Directory of the spool: the value of --spool of serve."`
	JSON bool   `help:"Print one JSON object."`
}

// Run opens the spool, which no process may have open.
func (c spoolLsCmd) Run(ctx context.Context, e env) (err error) {
	s, err := spool.OpenLeft(ctx, spool.Config{Dir: c.Dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(state)
	}
	oldest := "-"
	if !state.Oldest.IsZero() {
		oldest = state.Oldest.Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(e.stdout, "events: %d, dead letters: %d, bytes: %d, oldest: %s\n", state.Events, state.Letters, state.Bytes, oldest)
	return err
}

type spoolDrainCmd struct {
	Dir string `arg:"" type:"path" help:"Directory of the spool: the value of --spool of serve. A copy of it works too."`
	natsStore
	JSON bool `help:"Print one JSON object."`
}

// Run leaves in the spool what the servers do not take.
func (c spoolDrainCmd) Run(ctx context.Context, e env) error {
	if c.NATSURL == "" {
		return usagef("--nats-url is required: the servers that get the events")
	}
	if err := c.check(); err != nil {
		return err
	}
	done, err := app.DrainSpool(ctx, spool.Config{Dir: c.Dir, Log: e.logger()}, c.config(""))
	switch {
	case err != nil && done.Sent > 0:
		return fmt.Errorf("%d events are sent, the others are still in the spool; run the command again: %w", done.Sent, err)
	case err != nil:
		return err
	case c.JSON:
		err = json.NewEncoder(e.stdout).Encode(done)
	default:
		_, err = fmt.Fprintf(e.stdout, "sent: %d, kept: %d\n", done.Sent, done.Kept)
	}
	if err == nil && done.Kept > 0 {
		err = fmt.Errorf("%d events stay in the spool, because the NATS servers never take them as they are configured: see the lines above",
			done.Kept)
	}
	return err
}

// natsAccounts is what the administrator of an external server adds for a subscriber: the server configuration, and nsc commands that do
// the same. FAXSTREAM stands for the account of faxstream.
func natsAccounts(l api.NATSLogin) string {
	of, account := l.Stream+"."+l.Durable, strings.ToUpper(l.User)
	services := []struct{ subject, to, response string }{
		{"$JS.API.CONSUMER.MSG.NEXT." + of, bus.PublicAPI + ".CONSUMER.MSG.NEXT." + of, "stream"},
		{"$JS.API.CONSUMER.INFO." + of, bus.PublicAPI + ".CONSUMER.INFO." + of, "single"},
		{"$JS.ACK." + of + ".>", "$JS.ACK." + of + ".>", "single"},
		{"$JS.ACK.*.*." + of + ".>", "$JS.ACK.*.*." + of + ".>", "single"},
		{bus.TextRequests + "." + l.User + ".*.*", bus.PublicAPI + ".TEXT.*.*", "single"},
	}
	var exports, imports, nsc strings.Builder
	for _, s := range services {
		fmt.Fprintf(&exports, "#     {service: %q, response_type: %s, accounts: [%s]}\n", s.subject, s.response, account)
		fmt.Fprintf(&imports, "    {service: {account: FAXSTREAM, subject: %q}, to: %q}\n", s.subject, s.to)
		fmt.Fprintf(&nsc, "# nsc add export --account FAXSTREAM --service --subject '%s' --response-type %s\n", s.subject, s.response)
		fmt.Fprintf(&nsc, "# nsc add import --account %s --service --src-account FAXSTREAM --remote-subject '%s' --local-subject '%s'\n",
			account, s.subject, s.to)
	}
	return "# In accounts, of the account of faxstream (here FAXSTREAM):\n#   exports = [\n" + exports.String() + "#   ]\n" +
		fmt.Sprintf("%s: {\n  users = [{user: %q, password: %q}]\n  imports = [\n%s  ]\n}\n\n", account, l.User, l.Password, &imports) +
		fmt.Sprintf("# With nsc, in place of that:\n# nsc add account %s\n%s", account, &nsc) +
		fmt.Sprintf("# nsc add user --account %s --name %s\n# nsc push --all\n", account, l.User)
}
