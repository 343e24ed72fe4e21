package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// serveCmd is the pipeline's configuration.
type serveCmd struct {
	archiveStore
	archiveTerms
	natsStore

	adminAccess
	WebhookAddr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where webhooks are taken. Default ${default}; port 0 takes a free one. Off loopback --webhook-secret-file is required."`

	NATSListen string `name:"nats-listen" placeholder:"HOST:PORT" help:"Loopback address on which the embedded server lets subscribers in. Empty: it does not listen."`

	provider

	FaxplusPagePath   string   `placeholder:"TEMPLATE|none" help:"Path of a single page below --faxplus-url, with {user_id}, {fax_id} and {page}; none: every page comes from the whole file. No default: the provider documents no such path, ask it."`
	AllowFrom         []string `placeholder:"CIDR,..." help:"Addresses that may send webhooks. Empty: the two that Fax.Plus names, 34.65.253.117 and 34.65.146.131."`
	TrustedProxies    []string `placeholder:"CIDR,..." help:"Proxies whose X-Forwarded-For is believed. Empty: nobody's."`
	WebhookSecretFile string   `type:"path" placeholder:"FILE" help:"The secret in the webhook's URL, one line; two lines while rotating. Read again at every start."`

	CloseGrace   time.Duration `default:"30s" help:"After the close of a fax, how long pages whose own fetch is not over are waited for; then the whole file is used."`
	IdleAfter    time.Duration `default:"1h" help:"Without any webhook for so long, the provider is asked whether a fax that was never closed is over. A page takes 30 to 60 s on the line."`
	GiveUpAfter  time.Duration `default:"6h" help:"Without any webhook for so long, a fax that was never closed and that the provider does not know becomes a partial document."`
	PageDeadline time.Duration `default:"30m" help:"Since its announcement, how long a page that is not there yet is tried."`
	WholeFor     time.Duration `default:"10m" help:"How long the whole file is tried when pages are missing."`
	Reconcile    string        `default:"all" enum:"off,missing,all" help:"Which faxes' streamed pages are compared with the whole file, pixel by pixel, after the close: ${enum}; missing: those for which it is fetched anyway because pages are missing. No document waits for it."`
	Fetches      int           `default:"24" help:"Page files fetched at once."`
	SignKey      string        `type:"path" placeholder:"FILE" help:"Private key, as faxstream keys makes it, with which manifests are signed. Empty: they are not."`

	ListEvery   time.Duration `default:"15m" help:"How often the provider's lists are compared with what is here, to find faxes whose webhooks all got lost; 0: never."`
	ListOverlap time.Duration `default:"2h" help:"How far a comparison reaches back beyond the last one: longer than nearly every call, for a fax may be listed by its start only when it is over."`
	ListGrace   time.Duration `default:"10m" help:"After the end of a fax, how long its webhook may be late before the fax is taken from the list."`
	ListRate    int           `default:"30" help:"Most requests for lists in a minute. The provider watches for abusive polling."`

	retryDelays []time.Duration // nil: those of pipeline.DefaultRetry
}

// archiveStore is where objects are archived.
type archiveStore struct {
	Dir string `default:"./faxstream-data" type:"path" help:"Directory of all local state: JetStream, archive, spool. Made if it is not there."`

	Archive         string `placeholder:"s3://BUCKET/PREFIX" help:"Where objects are archived. Empty: plain files in --dir."`
	S3Endpoint      string `name:"s3-endpoint" env:"FAXSTREAM_S3_ENDPOINT" placeholder:"URL" help:"S3 service of --archive. Empty: Amazon."`
	S3Region        string `name:"s3-region" env:"FAXSTREAM_S3_REGION" default:"us-east-1" help:"Region of --archive."`
	S3AccessKeyFile string `name:"s3-access-key-file" env:"FAXSTREAM_S3_ACCESS_KEY_FILE" type:"path" placeholder:"FILE" help:"Access key of --archive. Empty: FAXSTREAM_S3_ACCESS_KEY or AWS_ACCESS_KEY_ID in the environment."`
	S3SecretKeyFile string `name:"s3-secret-key-file" env:"FAXSTREAM_S3_SECRET_KEY_FILE" type:"path" placeholder:"FILE" help:"Secret key of --archive. Empty: FAXSTREAM_S3_SECRET_KEY or AWS_SECRET_ACCESS_KEY in the environment."`
	S3Addressing    string `name:"s3-addressing" env:"FAXSTREAM_S3_ADDRESSING" default:"auto" enum:"auto,path,virtual-host" help:"Where requests name the bucket: ${enum}. path: https://host/bucket/key; virtual-host: https://bucket.host/key; auto: in the host at Amazon, else in the path."`
	S3CA            string `name:"s3-ca" env:"FAXSTREAM_S3_CA" type:"path" placeholder:"FILE" help:"PEM file of authorities to trust for --s3-endpoint besides the system's."`
}

// natsStore is where JetStream is.
type natsStore struct {
	NATSURL      string `name:"nats-url" placeholder:"URL" help:"External NATS servers, comma separated. Empty: an embedded server in --dir."`
	NATSCreds    string `name:"nats-creds" type:"path" placeholder:"FILE" help:"Credentials file for --nats-url."`
	NATSCA       string `name:"nats-ca" type:"path" placeholder:"FILE" help:"PEM file of the authorities that signed the certificates of --nats-url."`
	NATSReplicas int    `name:"nats-replicas" default:"1" help:"Copies of every stream on the servers of --nats-url: 1, 3 or 5. With 3, a webhook is answered when two servers have it."`
	MaxStore     int    `default:"10" help:"Disk space of the streams, in GiB; three quarters are reserved at the start. A full stream answers 503."`
}

// busConfig is that of the bus; dir is the embedded server's.
func (c natsStore) busConfig(dir string, log *slog.Logger) bus.Config {
	return bus.Config{
		URL: c.NATSURL, Creds: c.NATSCreds, CA: c.NATSCA, Replicas: c.NATSReplicas, MaxStore: int64(c.MaxStore) << 30, Log: log,
		Embedded: bus.EmbeddedConfig{Dir: dir},
	}
}

// check refuses what cannot work.
func (c natsStore) check() error {
	switch {
	case c.NATSURL == "" && (c.NATSCreds != "" || c.NATSCA != ""):
		return usagef("--nats-creds and --nats-ca need --nats-url")
	case c.NATSReplicas != 1 && (c.NATSURL == "" || c.NATSReplicas != 3 && c.NATSReplicas != 5):
		return usagef("--nats-replicas %d: want 1, or 3 or 5 with the --nats-url of a cluster", c.NATSReplicas)
	case c.MaxStore < 1:
		return usagef("--max-store %d: want 1 GiB or more", c.MaxStore)
	}
	return nil
}

// provider is how Fax.Plus is reached.
type provider struct {
	FaxplusURL       string `default:"https://restapi.fax.plus/v3" placeholder:"URL" help:"REST API of Fax.Plus. Default ${default}."`
	FaxplusTokenFile string `type:"path" placeholder:"FILE" help:"Personal access token, one line; read at every call, so that it can be replaced while running. Empty: none is sent."`
	FaxplusUser      string `default:"self" help:"User id in the API's paths."`
}

func (p provider) config() faxplus.Config {
	c := faxplus.Config{BaseURL: p.FaxplusURL, User: p.FaxplusUser}
	if p.FaxplusTokenFile != "" {
		c.Token = func() (string, error) { return readLine(p.FaxplusTokenFile) }
	}
	return c
}

// readLine reads a file of one line, such as a key.
func readLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%s: want exactly one line", file)
	}
	return s, nil
}

// readyLine is the first line on stdout, once everything listens.
type readyLine struct {
	Ready   bool   `json:"ready"`
	Webhook string `json:"webhook"`
	Admin   string `json:"admin"`
	NATS    string `json:"nats,omitempty"` // only with --nats-listen
}

// Run serves until the first signal.
func (c serveCmd) Run(ctx context.Context, e env) error {
	if err := c.check(); err != nil {
		return err
	}
	with := appEnv{getenv: e.getenv, log: e.logger()}
	a, err := startApp(ctx, c, with)
	if err != nil {
		return err
	}
	return c.serve(ctx, a, e, with)
}

// check refuses what cannot work or would let anybody in, before anything is started.
func (c serveCmd) check() error {
	if err := c.adminAccess.check(); err != nil {
		return err
	}
	switch {
	case c.FaxplusPagePath == "":
		return usagef("--faxplus-page-path is required: the path of a single page below --faxplus-url, such as " +
			"/accounts/{user_id}/files/{fax_id}/pages/{page} (ask Fax.Plus, no public document names it), or `none` to take every page from the whole file")
	case c.WebhookSecretFile == "" && !loopback(c.WebhookAddr):
		return usagef("--webhook-secret-file is required when --webhook-addr (%s) is not a loopback address: without a secret anybody can send faxes", c.WebhookAddr)
	case c.NATSURL != "" && c.NATSListen != "":
		return usagef("--nats-listen is for the embedded server, --nats-url for an external one: give one of them")
	case c.NATSListen != "" && !loopback(c.NATSListen):
		return usagef("--nats-listen %s is not a loopback address: the embedded server has no accounts; for subscribers on other machines run an external nats-server", c.NATSListen)
	case c.ListEvery < 0 || c.ListEvery > 0 && (c.ListOverlap <= 0 || c.ListGrace <= 0 || c.ListRate < 1):
		return usagef("--list-every must not be negative; --list-overlap, --list-grace and --list-rate must be positive")
	case c.CloseGrace < 0 || c.IdleAfter <= 0 || c.GiveUpAfter < 0 || c.PageDeadline < 0 || c.WholeFor < 0 || c.Fetches < 1:
		return usagef("--close-grace, --page-deadline and --whole-for must not be negative, --idle-after and --fetches must be positive")
	}
	if err := c.natsStore.check(); err != nil {
		return err
	}
	if err := c.archiveTerms.check(c.Archive); err != nil {
		return err
	}
	if c.FaxplusTokenFile != "" {
		if _, err := readLine(c.FaxplusTokenFile); err != nil {
			return usagef("--faxplus-token-file: %w", err)
		}
	}
	return nil
}

// loopback reports whether only this machine reaches an address. A name other than localhost may resolve to anything.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (c serveCmd) policy() session.Policy {
	return session.Policy{Grace: c.CloseGrace, Idle: c.IdleAfter, GiveUp: c.GiveUpAfter, Ask: true, WholeFor: c.WholeFor, Streaming: c.pagePath() != "", Reconcile: c.Reconcile}
}

func (c serveCmd) retry() pipeline.Retry {
	r := pipeline.DefaultRetry()
	r.Deadline = c.PageDeadline
	if c.retryDelays != nil {
		r.Delays = c.retryDelays
	}
	return r
}

func (c serveCmd) pagePath() string {
	if c.FaxplusPagePath == "none" {
		return ""
	}
	return c.FaxplusPagePath
}

func (c serveCmd) ingestConfig() (ingest.Config, error) {
	var cfg ingest.Config
	var err error
	if cfg.AllowFrom, err = prefixes("--allow-from", c.AllowFrom); err != nil {
		return cfg, err
	}
	if cfg.TrustedProxies, err = prefixes("--trusted-proxies", c.TrustedProxies); err != nil {
		return cfg, err
	}
	if c.WebhookSecretFile != "" {
		secrets, err := ingest.ReadSecrets(c.WebhookSecretFile)
		if err != nil {
			return cfg, usageError{err}
		}
		cfg.Secrets = func() []string { return secrets }
	}
	return cfg, nil
}

// prefixes reads CIDRs; a plain address is itself.
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

// path is a directory below --dir.
func (c archiveStore) path(name string) string { return filepath.Join(c.Dir, name) }
