package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/storage/local"
)

// nats looks at the external NATS servers. The embedded one has no settings that could be weaker than what is promised.
func (e *examination) nats(ctx context.Context) {
	const check = "nats"
	if e.App.NATS.URL == "" {
		e.say(check, OK, "the embedded NATS server is used: it syncs every message to the disk before a webhook is answered", "")
		return
	}
	s, err := bus.Examine(ctx, e.App.NATS)
	if err != nil {
		e.say(check, Fail, err.Error(), "look at the NATS servers and at --nats-url, --nats-creds, --nats-ca and --nats-cert")
		return
	}
	e.say(check, OK, "NATS "+s.Version+" answers", "")
	for _, w := range s.Weak {
		e.say(w.Check, e.weak(), w.Text, w.Remedy)
	}
	e.clock("NATS server", s.Ahead, s.HasClock)
	const untold = "over this connection"
	if !s.Told {
		e.say(bus.CheckSync, Unknown, "whether the NATS servers sync each message to the disk cannot be asked "+untold,
			"set sync_interval: always in jetstream { } of every nats-server.conf, and let the system account export "+
				"$SYS.REQ.SERVER.PING.JSZ to faxstream, as deploy/nats-server.conf does")
	} else if !slices.ContainsFunc(s.Weak, func(w bus.Weakness) bool { return w.Check == bus.CheckSync }) {
		e.say(bus.CheckSync, OK, "the NATS servers sync each message to the disk before they acknowledge it", "")
	}
	e.say("nats encryption", Unknown, "whether the NATS servers encrypt their files, and have the key, cannot be asked "+untold,
		"a cipher without a key in nats-server.conf encrypts nothing: look at jetstream { } there, or encrypt the disk")
}

// weak is the status of what works, and is weaker than what is promised: with --strict serve does not start.
func (e *examination) weak() string {
	if e.App.NATS.Strict {
		return Fail
	}
	return Warn
}

// archive tries a write.
func (e *examination) archive(ctx context.Context) {
	const check = "archive"
	if _, err := os.Stat(e.App.Archive.Dir); e.App.Archive.S3 == nil && errors.Is(err, fs.ErrNotExist) {
		e.say(check, Unknown, e.App.Archive.Dir+" does not exist yet", "faxstream serve creates it")
		return
	}
	if e.App.Archive.S3 == nil && e.running {
		status, text := OK, "the running server uses the archive and writes into it to be ready"
		if !e.ready {
			status, text = Unknown, "the running server uses the archive, and is not ready: its line says why"
		}
		e.say(check, status, text, "")
		return
	}
	var warnings warnings
	err := e.App.Archive.Try(ctx, e.App.Retention, slog.New(&warnings))
	switch {
	case errors.Is(err, local.ErrLocked):
		e.say(check, Unknown, err.Error(), "give --server the admin address of the server that uses it")
	case err != nil && e.App.Archive.S3 == nil:
		e.say(check, Fail, err.Error(), "make room, and give this user the right to write into the directory")
	case err != nil:
		e.say(check, Fail, err.Error(), "look at --archive and its keys; the S3 service must allow writing, listing and reading below the prefix")
	default:
		e.say(check, OK, "a test write works", "")
	}
	if err == nil && e.App.Archive.S3 != nil {
		e.say("purge", Unknown, "whether the keys may delete objects is not tried here", "see the permissions in deploy/docs/configuration.md")
	}
	for _, w := range warnings {
		e.say("retention", Warn, w, "use a bucket with Object Lock, or say --retention 0")
	}
}

// warnings are the messages that a part logs while it is tried.
type warnings []string

func (w *warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler           { return w }
func (w *warnings) WithGroup(string) slog.Handler                { return w }
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	*w = append(*w, r.Message)
	return nil
}

// provider asks Fax.Plus for one line of the account's list.
func (e *examination) provider(ctx context.Context) {
	const check = "provider"
	client, err := faxplus.NewClient(e.App.Provider)
	if err == nil {
		defer client.Close()
		err = client.Probe(ctx)
	}
	if err != nil {
		e.say(check, Fail, err.Error(), "look at --faxplus-url and --faxplus-token-file; a token that is replaced there is used at once")
		return
	}
	text := "Fax.Plus answers and accepts the token"
	if e.App.Provider.Token == nil {
		text = "the provider answers without a token"
	}
	e.say(check, OK, text, "")
	if e.App.Provider.PagePath == "" {
		e.say("page path", Warn, "single pages are not fetched: they come with the whole file, when the fax is over",
			"ask Fax.Plus for the path of a page, and give --faxplus-page-path")
	}
}

// hooks compares the webhooks that Fax.Plus has with what serve takes.
func (e *examination) hooks(ctx context.Context) {
	const check = "webhooks at the provider"
	client, err := faxplus.NewClient(e.App.Provider)
	if err != nil {
		return // provider says so
	}
	defer client.Close()
	hooks, err := client.Hooks(ctx)
	if err != nil {
		e.say(check, Unknown, fmt.Sprintf("the list of webhooks cannot be read: %v", err), "look at it with faxstream hooks ls")
		return
	}
	var hosts []string
	for _, event := range faxplus.EventNames() {
		good := false
		for _, h := range hooks {
			u, err := url.Parse(h.Target)
			if h.Event == event && err == nil && e.taken(u) {
				good = true
				hosts = append(hosts, u.Host)
			}
		}
		if !good {
			add := "faxstream hooks add https://YOUR.HOST"
			if len(e.App.Secrets) > 0 {
				add += " --webhook-secret-file FILE"
			}
			e.say(check, Fail, "Fax.Plus sends no "+event+" here: no webhook for it has our path and secret", add)
		}
	}
	if slices.Sort(hosts); len(hosts) > 0 {
		hosts = slices.Compact(hosts)
		outside := slices.ContainsFunc(hosts, func(h string) bool { return !loopback(h) })
		e.say(check, OK, "Fax.Plus sends webhooks to "+strings.Join(hosts, ", "), "")
		if !outside {
			return
		}
		e.say("reachable from outside", Unknown, "whether Fax.Plus reaches "+strings.Join(hosts, ", ")+" cannot be known from here",
			"send a fax to yourself, and look at the list of faxes and at the senders of webhooks in this report")
		e.proxy()
	}
}

// taken reports whether the webhook handler takes what is sent to a URL.
func (e *examination) taken(u *url.URL) bool {
	if len(e.App.Secrets) == 0 {
		return strings.HasSuffix(u.Path, ingest.Path)
	}
	return slices.ContainsFunc(e.App.Secrets, func(secret string) bool { return strings.HasSuffix(u.Path, ingest.Path+"/"+secret) })
}

// proxy looks at whether the addresses of senders can be seen behind a proxy.
func (e *examination) proxy() {
	if !loopback(e.App.WebhookAddr) || len(e.App.TrustedProxies) > 0 {
		return
	}
	e.say("senders of webhooks", Warn, "webhooks come from outside and the listener is on loopback, so a proxy is between: "+
		"without --trusted-proxies all senders have the address of the proxy",
		"give --trusted-proxies 127.0.0.1, and let the proxy set X-Forwarded-For")
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// clocks compares our clock with those of the provider and of the S3 service.
func (e *examination) clocks(ctx context.Context) {
	ahead, known := app.ClockOf(ctx, e.App.Provider.BaseURL, nil)
	e.clock("provider", ahead, known)
	if e.App.Archive.Endpoint() != "" {
		ahead, known := e.App.Archive.Clock(ctx)
		e.clock("S3 service", ahead, known)
	}
}

// clock says by how much the clock of another machine is ahead.
func (e *examination) clock(who string, ahead time.Duration, known bool) {
	const check = "clock"
	switch {
	case !known:
		e.say(check, Unknown, "the "+who+" does not say what time it is, or does not answer", "")
	case ahead.Abs() > bus.AheadAtMost:
		status := Warn
		if who != "provider" { // its clock is not ours to set
			status = e.weak()
		}
		e.say(check, status, fmt.Sprintf("the clock of the %s differs from ours by %s", who, ahead.Round(time.Second/10)),
			"run a time service such as chrony on this machine")
	default:
		e.say(check, OK, "the clock of the "+who+" and ours agree", "")
	}
}
