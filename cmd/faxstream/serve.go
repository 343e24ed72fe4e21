package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/cmd/faxstream/flags"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/spool"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// serveCmd is the pipeline's configuration.
type serveCmd struct {
	archiveStore
	archiveTerms
	natsStore

	adminFlags
	WebhookAddr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address that receives webhooks. Default ${default}; port 0 takes a free port. An address that is not loopback requires --webhook-secret-file."`

	Strict bool `help:"Do not start where the NATS servers of --nats-url or the S3 service are weaker than what faxstream promises: fewer than 3 copies in a cluster, acknowledgements before a message is on the disk, streams without limits, no TLS to another machine, clocks that differ by more than a second. Otherwise each is a warning."`

	Roles []string `enum:"webhook,worker,collector,assembler,reconciler,ocr,admin" placeholder:"ROLE" help:"What this process does, separated by commas, beside others that do the rest on the same --nats-url and S3 archive: ${enum}. A process that takes only webhooks needs no archive and no login at Fax.Plus. Empty: everything."`

	Spool    string `type:"path" placeholder:"DIR" help:"Directory on this machine where webhooks are stored while the servers of --nats-url do not take them; they are sent there when they do, also by the next start. Empty: such webhooks are answered 503."`
	SpoolMax int64  `default:"250" placeholder:"MB" help:"Events that --spool takes, in 10^6 bytes; a webhook is some 400 bytes. A tenth of it is for bodies that are not webhooks; when webhooks fill the rest, they are answered 503."`

	PprofAddr string `name:"pprof-addr" placeholder:"HOST:PORT" help:"Loopback address where profiles of this process are served, without a login; port 0 takes a free one. Empty: nowhere."`

	NATSListen string `name:"nats-listen" placeholder:"HOST:PORT" help:"Address on which the embedded NATS server listens for subscribers, with the logins that faxstream nats-credentials and faxstream subscriber show. An address that is not loopback requires --nats-cert. Empty: it does not listen."`

	NATSListenInsecure bool `name:"nats-listen-insecure" help:"No login on --nats-listen: every user and program of this machine can read, change and delete everything in JetStream."`

	provider

	FaxplusPagePath   string   `placeholder:"TEMPLATE|none" help:"Path of a single page below --faxplus-url, with {user_id}, {fax_id} and {page}; none: every page comes from the whole file. There is no default, because Fax.Plus documents no such path: ask Fax.Plus for it."`
	FaxplusZone       zone     `placeholder:"ZONE" help:"Time zone of the times in webhooks and lists, which name none: an offset from UTC such as -05:00, or a name such as America/New_York. Empty: it is learned from the webhooks, UTC until then."`
	AllowFrom         []string `placeholder:"CIDR" help:"Addresses that may send webhooks. Empty: the two that Fax.Plus documents, 34.65.253.117 and 34.65.146.131."`
	TrustedProxies    []string `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For header is trusted. Empty: none."`
	WebhookSecretFile string   `type:"path" placeholder:"FILE" help:"File with the secret in the webhook's URL: one line, or two lines during a rotation. Read at every start."`

	CloseGrace   time.Duration `default:"30s" help:"How long a closed fax waits for pages that are still being fetched. Then the missing pages come from the whole file."`
	IdleAfter    time.Duration `default:"1h" help:"After this time without a webhook, faxstream asks the provider whether an open fax is over. A page takes 30 to 60 s on the line."`
	GiveUpAfter  time.Duration `default:"6h" help:"After this time without a webhook, an open fax that the provider does not know becomes a partial document."`
	PageDeadline time.Duration `default:"30m" help:"How long faxstream tries to fetch a page, counted from its announcement."`
	WholeFor     time.Duration `default:"10m" help:"How long faxstream tries to fetch the whole file when pages are missing."`
	Reconcile    string        `default:"all" enum:"off,missing,all" help:"After the close, compare streamed pages with the whole file, pixel by pixel: ${enum}. missing: only for faxes with missing pages, whose whole file is fetched anyway. No document waits for the comparison."`
	Fetches      int           `default:"64" help:"How many page files are fetched at the same time, at most."`
	Memory       int64         `default:"200" placeholder:"MB" help:"Memory that the process stays within, in 10^6 bytes. Large pages wait for each other; a page that alone needs more is processed when nothing else is, and takes more for that time."`
	SignKey      string        `type:"path" placeholder:"FILE" help:"Private key that signs manifests and seals; faxstream keys makes one. Empty: they are not signed."`

	OCR        bool       `name:"ocr" help:"Read pages with Tesseract beside the server, as faxstream ocr does on any machine."`
	OCRProgram ocrProgram `embed:"" prefix:"ocr-"`

	Numbers []string `placeholder:"NUMBER=NAME" help:"Names of fax numbers and user ids, separated by commas. Dashboard, API and faxstream ls show them beside the numbers."`

	Views []string `placeholder:"NAME=FILTER" help:"Views that the list of the dashboard offers, separated by commas; FILTER is written as in the address of the list, such as 'Lab=label=lab&done=no'."`

	traceFlags

	NoSearch bool `help:"Keep no index for faxstream search. It is in search/ of --dir, and is made from the archive."`

	ListEvery   time.Duration `default:"15m" help:"How often faxstream compares the provider's lists with its own faxes, to find faxes whose webhooks were all lost. 0: never."`
	ListOverlap time.Duration `default:"2h" help:"How far a comparison looks back before the last one. Make it longer than nearly every call: the provider may list a fax by its start time, and only when the fax is over."`
	ListGrace   time.Duration `default:"10m" help:"How long after the end of a fax its webhook may be late. Then the fax is taken from the list."`
	ListRate    int           `default:"30" help:"Maximum number of list requests a minute. The provider does not allow abusive polling."`

	LedgerAge time.Duration `default:"744h" help:"After this time without a change, the ledger of a fax that has ended leaves JetStream, and comes back from the archive when it is needed. 744h or more; 0: never."`
}

// traceFlags say where traces are sent.
type traceFlags struct {
	OTLPEndpoint    string  `name:"otlp-endpoint" placeholder:"URL" help:"OTLP receiver that gets a trace of each fax by HTTP, such as http://127.0.0.1:4318. Empty: nothing is traced."`
	OTLPHeadersFile string  `name:"otlp-headers-file" type:"path" placeholder:"FILE" help:"File with headers for --otlp-endpoint, such as Authorization: Bearer TOKEN, one a line. Read at every start."`
	OTLPSample      float64 `name:"otlp-sample" default:"1" placeholder:"SHARE" help:"Share of the faxes that are traced, 0 to 1. All processes of a cluster need the same."`
}

// config returns nil where nothing is traced.
func (f traceFlags) config() (*trace.Config, error) {
	if f.OTLPEndpoint == "" {
		if f.OTLPHeadersFile != "" {
			return nil, usagef("--otlp-headers-file has no effect without --otlp-endpoint")
		}
		return nil, nil
	}
	cfg := &trace.Config{Endpoint: f.OTLPEndpoint, Sample: f.OTLPSample}
	if f.OTLPHeadersFile == "" {
		return cfg, nil
	}
	file, err := os.Open(f.OTLPHeadersFile)
	if err != nil {
		return nil, usagef("--otlp-headers-file: %w", err)
	}
	defer file.Close()
	if cfg.Header, err = trace.ReadHeader(file); err != nil {
		return nil, usagef("--otlp-headers-file %s: %w", f.OTLPHeadersFile, err)
	}
	return cfg, nil
}

// readyLine is the first line on stdout, once everything listens.
type readyLine struct {
	Ready   bool   `json:"ready"`
	Webhook string `json:"webhook,omitempty"` // only with the role webhook
	Admin   string `json:"admin"`
	NATS    string `json:"nats,omitempty"`  // only with --nats-listen
	Pprof   string `json:"pprof,omitempty"` // only with --pprof-addr
}

// Run serves until the first signal.
func (c serveCmd) Run(ctx context.Context, e env) error {
	cfg, err := c.config(e)
	if err != nil {
		return err
	}
	cfg.LimitHeap(e.getenv)
	return app.Run(ctx, cfg, func(a *app.App) error {
		return json.NewEncoder(e.stdout).Encode(readyLine{
			Ready: true, Webhook: a.WebhookURL(), Admin: a.AdminURL(), NATS: a.NATSURL(), Pprof: a.PprofURL(),
		})
	})
}

// config reads the files that the flags name, and refuses flags that cannot work.
func (c serveCmd) config(e env) (app.Config, error) {
	cfg := app.Config{
		Roles: c.Roles, Dir: c.Dir, Retention: c.Retention, NATS: c.natsStore.config(c.path("nats")), WebhookAddr: c.WebhookAddr,
		Provider: c.provider.config(), Zone: c.FaxplusZone.Location,
		CloseGrace: c.CloseGrace, IdleAfter: c.IdleAfter, GiveUpAfter: c.GiveUpAfter, PageDeadline: c.PageDeadline, WholeFor: c.WholeFor,
		NoSearch: c.NoSearch, Reconcile: c.Reconcile, Fetches: c.Fetches, Memory: c.Memory * 1e6,
		ListEvery: c.ListEvery, ListOverlap: c.ListOverlap, ListGrace: c.ListGrace, ListRate: c.ListRate, LedgerAge: c.LedgerAge,
		Software: softwareName(), Log: e.logger(),
	}
	cfg.Spool = spool.Config{Dir: c.Spool, Max: c.SpoolMax * 1e6}
	cfg.PprofAddr, cfg.NATS.Strict = c.PprofAddr, c.Strict
	if c.NATSURL == "" {
		cfg.NATSCert, cfg.NATSKey = c.NATSCert, c.NATSKey
	}
	cfg.NATS.Embedded.Listen, cfg.NATS.Embedded.Insecure = c.NATSListen, c.NATSListenInsecure
	var err error
	if cfg.Admin, err = c.adminFlags.config(); err != nil {
		return cfg, err
	}
	if err := cfg.Admin.Check(); err != nil {
		return cfg, err
	}
	if cfg.Names, err = numberNames(c.Numbers); err != nil {
		return cfg, err
	}
	if cfg.Views, err = views(c.Views, !c.NoSearch); err != nil {
		return cfg, err
	}
	if cfg.Traces, err = c.traceFlags.config(); err != nil {
		return cfg, err
	}
	switch {
	case cfg.OnlyWebhooks(): // it fetches nothing
	case c.FaxplusPagePath == "":
		return cfg, usagef("--faxplus-page-path is required: the path of a single page below --faxplus-url, such as " +
			"/accounts/{user_id}/files/{fax_id}/pages/{page} (ask Fax.Plus for it, no public document has it), " +
			"or `none` to take every page from the whole file")
	case c.FaxplusPagePath != "none":
		cfg.Provider.PagePath = c.FaxplusPagePath
	}
	if err := c.natsStore.check(); err != nil {
		return cfg, err
	}
	if cfg.Admin.Base, err = layout.PathOf(c.PublicURL); err != nil {
		return cfg, usagef("--public-url: %w", err)
	}
	cfg.Admin.HTTPS = strings.HasPrefix(strings.ToLower(c.PublicURL), "https://")
	if c.FaxplusTokenFile != "" {
		if _, err := flags.ReadLine(c.FaxplusTokenFile); err != nil {
			return cfg, usagef("--faxplus-token-file: %w", err)
		}
	}
	if c.OCR {
		if err := c.OCRProgram.check(); err != nil {
			return cfg, err
		}
		cfg.OCR = &app.OCR{Find: c.OCRProgram.find, AtOnce: max(c.OCRProgram.AtOnce, 1)}
	}
	if err := c.keys(e, &cfg); err != nil {
		return cfg, err
	}
	return cfg, c.senders(&cfg)
}

// keys reads the keys of the archive and the one that signs.
func (c serveCmd) keys(e env, cfg *app.Config) (err error) {
	if cfg.OnlyWebhooks() {
		return nil
	}
	if cfg.Archive, err = c.archiveStore.config(e.getenv); err != nil {
		return err
	}
	if err := c.put(cfg.Archive); err != nil {
		return err
	}
	if c.SignKey != "" {
		if cfg.SignKey, err = readSigningKey(c.SignKey); err != nil {
			return usagef("--sign-key: %w", err)
		}
	}
	return nil
}

// senders sets who may send webhooks.
func (c serveCmd) senders(cfg *app.Config) (err error) {
	if cfg.AllowFrom, err = prefixes("--allow-from", c.AllowFrom); err != nil {
		return err
	}
	if cfg.TrustedProxies, err = prefixes("--trusted-proxies", c.TrustedProxies); err != nil {
		return err
	}
	if c.WebhookSecretFile != "" {
		if cfg.Secrets, err = ingest.ReadSecrets(c.WebhookSecretFile); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// maxName bounds a name of a number, bytes.
const maxName = 100

// numberNames reads names of numbers.
func numberNames(list []string) (map[string]string, error) {
	names := map[string]string{}
	for _, entry := range list {
		number, name, ok := strings.Cut(entry, "=")
		token := session.NumberToken(number)
		if name = strings.TrimSpace(name); !ok || name == "" || len(name) > maxName || token == session.UnknownToken {
			return nil, usagef("--numbers %q: want NUMBER=NAME, such as +13343040000=Laboratory, with a name of at most %d bytes", entry, maxName)
		}
		names[token] = name
	}
	return names, nil
}

// views reads filters with names.
func views(list []string, byText bool) (all []dashboard.View, err error) {
	for _, text := range list {
		view, err := dashboard.ParseView(text, byText)
		if err != nil {
			return nil, usagef("--views: %w", err)
		}
		all = append(all, view)
	}
	return all, nil
}

// prefixes reads CIDRs and plain addresses.
func prefixes(flag string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if ip, ipErr := netip.ParseAddr(s); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil {
			return nil, usagef("%s %q: want a CIDR such as 10.0.0.0/8 or an address", flag, s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
