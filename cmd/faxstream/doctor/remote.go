package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/storage/local"
)

// aheadAtMost is by how much a clock may differ from ours.
const aheadAtMost = time.Second

// nats looks at the external NATS servers. The embedded one has no settings that could be weaker than what is promised.
func (e *examination) nats(ctx context.Context) {
	const check = "nats"
	if e.App.NATS.URL == "" {
		e.say(check, OK, "the embedded NATS server is used: it syncs every message to the disk before a webhook is answered", "")
		return
	}
	s, err := bus.Examine(ctx, e.App.NATS)
	if err != nil {
		e.say(check, Fail, err.Error(), "look at the NATS servers and at --nats-url, --nats-creds and --nats-ca")
		return
	}
	e.say(check, OK, fmt.Sprintf("NATS %s answers; %d servers are known", s.Version, s.Servers), "")
	for _, name := range s.Streams {
		if s.Servers >= 3 && s.Replicas[name] < 3 {
			e.say("copies", Warn, fmt.Sprintf("stream %s has %d copy on a cluster of %d servers: what one disk loses is lost", name,
				s.Replicas[name], s.Servers), "start faxstream serve with --nats-replicas 3")
		}
	}
	e.clock("NATS server", s.Ahead, s.HasClock)
	e.say("nats sync", Unknown, "whether the NATS servers sync each message to the disk cannot be asked over this connection",
		"set sync_interval: always in jetstream { } of every nats-server.conf, as deploy/nats-server.conf does")
}

// archive tries a write.
func (e *examination) archive(ctx context.Context) {
	const check = "archive"
	if _, err := os.Stat(e.App.Archive.Dir); e.App.Archive.S3 == nil && errors.Is(err, fs.ErrNotExist) {
		e.say(check, Unknown, e.App.Archive.Dir+" does not exist yet", "faxstream serve creates it")
		return
	}
	var warnings warnings
	err := e.App.Archive.Try(ctx, e.App.Retention, slog.New(&warnings))
	switch {
	case errors.Is(err, local.ErrLocked) && e.running:
		e.say(check, OK, "the running server has the archive; it writes into it as a part of being ready", "")
	case errors.Is(err, local.ErrLocked):
		e.say(check, Unknown, err.Error(), "give --server the admin address of the server that uses it")
	case err != nil:
		e.say(check, Fail, err.Error(), "look at --archive and its keys; the S3 service must allow to write, list and read below the prefix")
	default:
		e.say(check, OK, "an object could be written and removed", "")
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
	e.say(check, OK, "Fax.Plus answers and accepts the token", "")
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
			e.say(check, Fail, "Fax.Plus sends no "+event+" here: no webhook for it has our path and secret",
				"faxstream hooks add https://YOUR.HOST --webhook-secret-file FILE")
		}
	}
	if slices.Sort(hosts); len(hosts) > 0 {
		hosts = slices.Compact(hosts)
		e.say(check, OK, "Fax.Plus sends webhooks to "+strings.Join(hosts, ", "), "")
		e.say("reachable from outside", Unknown, "whether Fax.Plus reaches "+strings.Join(hosts, ", ")+" cannot be known from here",
			"send a fax to yourself, and look at the list of faxes and at `refused` in this report")
		e.proxy()
	}
}

// taken reports whether the webhook handler takes what is sent to a URL.
func (e *examination) taken(u *url.URL) bool {
	path := strings.TrimSuffix(u.Path, "/")
	if len(e.App.Secrets) == 0 {
		return strings.HasSuffix(path, ingest.Path)
	}
	return slices.ContainsFunc(e.App.Secrets, func(secret string) bool { return strings.HasSuffix(path, ingest.Path+"/"+secret) })
}

// proxy looks at whether the addresses of senders can be seen behind a proxy.
func (e *examination) proxy() {
	host, _, err := net.SplitHostPort(e.App.WebhookAddr)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) || len(e.App.TrustedProxies) > 0 {
		return
	}
	e.say("senders of webhooks", Warn, "webhooks come from outside and the listener is on loopback, so a proxy is between: "+
		"without --trusted-proxies all senders have the address of the proxy",
		"give --trusted-proxies 127.0.0.1, and let the proxy set X-Forwarded-For")
}

// clocks compares our clock with those of the provider and of the S3 service, by the Date of an answer (RFC 9110, 6.6.1: whole seconds).
func (e *examination) clocks(ctx context.Context) {
	urls := map[string]string{"provider": e.App.Provider.BaseURL}
	if s := e.App.Archive.S3; s != nil && s.Endpoint != "" {
		urls["S3 service"] = s.Endpoint
	}
	for who, address := range urls {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
		if err != nil {
			continue
		}
		before := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the checks of both say so
		}
		resp.Body.Close()
		at, err := http.ParseTime(resp.Header.Get("Date"))
		middle := before.Add(time.Since(before) / 2)
		e.clock(who, at.Add(time.Second/2).Sub(middle), err == nil)
	}
}

// clock says by how much the clock of another machine is ahead.
func (e *examination) clock(who string, ahead time.Duration, known bool) {
	const check = "clock"
	switch {
	case !known:
		e.say(check, Unknown, "the "+who+" does not say what time it is", "")
	case ahead.Abs() > aheadAtMost:
		e.say(check, Warn, fmt.Sprintf("the clock of the %s differs from ours by %s", who, ahead.Round(time.Second/10)),
			"run a time service such as chrony on this machine")
	default:
		e.say(check, OK, "the clock of the "+who+" and ours agree", "")
	}
}
