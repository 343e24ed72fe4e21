package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/storage/s3"
)

// serveCmd is the pipeline's configuration.
type serveCmd struct {
	archiveStore
	archiveTerms
	natsStore

	adminFlags
	WebhookAddr string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address that receives webhooks. Default ${default}; port 0 takes a free port. An address that is not loopback requires --webhook-secret-file."`

	NATSListen string `name:"nats-listen" placeholder:"HOST:PORT" help:"Loopback address on which the embedded NATS server listens for subscribers, with the login that faxstream nats-credentials shows. Empty: it does not listen."`

	NATSListenInsecure bool `name:"nats-listen-insecure" help:"No login on --nats-listen: every user and program of this machine can read, change and delete everything in JetStream."`

	provider

	FaxplusPagePath   string   `placeholder:"TEMPLATE|none" help:"Path of a single page below --faxplus-url, with {user_id}, {fax_id} and {page}; none: every page comes from the whole file. There is no default, because Fax.Plus documents no such path: ask Fax.Plus for it."`
	FaxplusZone       zone     `placeholder:"ZONE" help:"Time zone of the times in webhooks and lists, which name none: an offset from UTC such as -05:00, or a name such as America/New_York. Empty: it is learned from the webhooks, UTC until then."`
	AllowFrom         []string `placeholder:"CIDR,..." help:"Addresses that may send webhooks. Empty: the two that Fax.Plus documents, 34.65.253.117 and 34.65.146.131."`
	TrustedProxies    []string `placeholder:"CIDR,..." help:"Proxies whose X-Forwarded-For header is trusted. Empty: none."`
	WebhookSecretFile string   `type:"path" placeholder:"FILE" help:"File with the secret in the webhook's URL: one line, or two lines during a rotation. Read at every start."`

	CloseGrace   time.Duration `default:"30s" help:"How long a closed fax waits for pages that are still being fetched. Then the missing pages come from the whole file."`
	IdleAfter    time.Duration `default:"1h" help:"After this time without a webhook, faxstream asks the provider whether an open fax is over. A page takes 30 to 60 s on the line."`
	GiveUpAfter  time.Duration `default:"6h" help:"After this time without a webhook, an open fax that the provider does not know becomes a partial document."`
	PageDeadline time.Duration `default:"30m" help:"How long faxstream tries to fetch a page, counted from its announcement."`
	WholeFor     time.Duration `default:"10m" help:"How long faxstream tries to fetch the whole file when pages are missing."`
	Reconcile    string        `default:"all" enum:"off,missing,all" help:"After the close, compare streamed pages with the whole file, pixel by pixel: ${enum}. missing: only for faxes with missing pages, whose whole file is fetched anyway. No document waits for the comparison."`
	Fetches      int           `default:"24" help:"How many page files are fetched at the same time."`
	SignKey      string        `type:"path" placeholder:"FILE" help:"Private key that signs manifests and seals; faxstream keys makes one. Empty: they are not signed."`

	ListEvery   time.Duration `default:"15m" help:"How often faxstream compares the provider's lists with its own faxes, to find faxes whose webhooks were all lost. 0: never."`
	ListOverlap time.Duration `default:"2h" help:"How far a comparison looks back before the last one. Make it longer than nearly every call: the provider may list a fax by its start time, and only when the fax is over."`
	ListGrace   time.Duration `default:"10m" help:"How long after the end of a fax its webhook may be late. Then the fax is taken from the list."`
	ListRate    int           `default:"30" help:"Maximum number of list requests a minute. The provider does not allow abusive polling."`
}

// adminFlags say who may reach the admin listener, and how.
type adminFlags struct {
	AdminAddr      string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address of API, dashboard and metrics. Default ${default}; port 0 takes a free port. An address that is not loopback requires --admin-tokens and TLS."`
	AdminTokens    string `type:"path" placeholder:"FILE" help:"File that says who may use API and dashboard: lines as faxstream token prints them, read at every request. Empty (loopback only): everybody on this machine."`
	AdminCert      string `type:"path" placeholder:"FILE" help:"PEM certificate with its chain, for TLS on --admin-addr. Read again when the file changes."`
	AdminKey       string `type:"path" placeholder:"FILE" help:"PEM private key of --admin-cert."`
	AdminPlainHTTP bool   `name:"admin-plain-http" help:"No TLS on an --admin-addr that is not loopback. Use it only when a proxy in front does TLS and nobody can listen between the two."`
}

// archiveStore is where objects are archived.
type archiveStore struct {
	Dir string `default:"./faxstream-data" type:"path" help:"Directory of all local state: JetStream, archive, spool. It is created when it does not exist."`

	Archive         string `placeholder:"s3://BUCKET/PREFIX" help:"Where objects are archived. Empty: plain files in --dir."`
	S3Endpoint      string `name:"s3-endpoint" env:"FAXSTREAM_S3_ENDPOINT" placeholder:"URL" help:"S3 service of --archive. Empty: Amazon."`
	S3Region        string `name:"s3-region" env:"FAXSTREAM_S3_REGION" default:"us-east-1" help:"Region of --archive."`
	S3AccessKeyFile string `name:"s3-access-key-file" env:"FAXSTREAM_S3_ACCESS_KEY_FILE" type:"path" placeholder:"FILE" help:"Access key of --archive. Empty: FAXSTREAM_S3_ACCESS_KEY or AWS_ACCESS_KEY_ID in the environment."`
	S3SecretKeyFile string `name:"s3-secret-key-file" env:"FAXSTREAM_S3_SECRET_KEY_FILE" type:"path" placeholder:"FILE" help:"Secret key of --archive. Empty: FAXSTREAM_S3_SECRET_KEY or AWS_SECRET_ACCESS_KEY in the environment."`
	S3Addressing    string `name:"s3-addressing" env:"FAXSTREAM_S3_ADDRESSING" default:"auto" enum:"auto,path,virtual-host" help:"Where requests name the bucket: ${enum}. path: https://host/bucket/key; virtual-host: https://bucket.host/key; auto: in the host at Amazon, else in the path."`
	S3CA            string `name:"s3-ca" env:"FAXSTREAM_S3_CA" type:"path" placeholder:"FILE" help:"PEM file of certificate authorities to trust for --s3-endpoint, in addition to the system's."`
}

// archiveTerms is how the S3 service of the archive treats new objects.
type archiveTerms struct {
	S3SSE         string        `name:"s3-sse" env:"FAXSTREAM_S3_SSE" default:"none" placeholder:"none|s3|kms:KEYID" help:"How the S3 service encrypts new objects. none: as the bucket is configured; s3: with the service's own keys; kms:KEYID: with this key of its key management."`
	Retention     app.Retention `default:"auto" placeholder:"TIME" help:"How long a fax cannot be purged after its last object was written: a number with h, d or y (of 366 days), such as 6y. With --archive s3://... the bucket must have Object Lock, which also stops everybody else from deleting the objects; faxstream tests this at the start. auto: 6y, with only a warning when the bucket has no Object Lock. 0: none."`
	RetentionMode string        `default:"governance" enum:"governance,compliance" help:"Who must obey --retention: ${enum}. governance: everybody except users with the permission to bypass it. compliance: everybody, with no way out before the end; try it first on a bucket that you do not need."`
}

// natsStore is where JetStream is.
type natsStore struct {
	NATSURL      string `name:"nats-url" placeholder:"URL" help:"External NATS servers, comma separated. Empty: an embedded server in --dir."`
	NATSCreds    string `name:"nats-creds" type:"path" placeholder:"FILE" help:"Credentials file for --nats-url."`
	NATSCA       string `name:"nats-ca" type:"path" placeholder:"FILE" help:"PEM file of the certificate authorities for --nats-url."`
	NATSReplicas int    `name:"nats-replicas" default:"1" help:"Number of copies of every stream on the servers of --nats-url: 1, 3 or 5. With 3, a webhook is answered when two servers have stored it."`
	MaxStore     int    `default:"10" help:"Disk space for all streams, in GiB; three quarters are reserved at the start. When a stream is full, webhooks are answered 503."`
}

// config is the configuration of the bus; dir is the directory of the embedded server.
func (c natsStore) config(dir string) bus.Config {
	return bus.Config{
		URL: c.NATSURL, Creds: c.NATSCreds, CA: c.NATSCA, Replicas: c.NATSReplicas, MaxStore: int64(c.MaxStore) << 30,
		Embedded: bus.EmbeddedConfig{Dir: dir},
	}
}

// check refuses flags that cannot work together.
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
	FaxplusTokenFile string `type:"path" placeholder:"FILE" help:"File with the personal access token, one line. It is read at every call, so you can replace it while faxstream runs. Empty: no token is sent."`
	FaxplusUser      string `default:"self" help:"User id in the paths of the REST API."`
}

func (p provider) config() faxplus.Config {
	c := faxplus.Config{BaseURL: p.FaxplusURL, User: p.FaxplusUser}
	if p.FaxplusTokenFile != "" {
		c.Token = func() (string, error) { return readLine(p.FaxplusTokenFile) }
	}
	return c
}

// zone is a time zone on the command line.
type zone struct{ *time.Location }

func (z *zone) UnmarshalText(text []byte) (err error) {
	if len(text) > 0 {
		z.Location, err = ingest.ParseZone(string(text))
	}
	return err
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

// config is what a process that writes to the archive needs of it.
func (c archiveStore) config(getenv func(string) string) (app.Archive, error) {
	if c.Archive == "" {
		return app.Archive{Dir: c.path("archive")}, nil
	}
	cfg := s3.Config{Endpoint: c.S3Endpoint, Region: c.S3Region, Addressing: s3.Addressing(strings.TrimPrefix(c.S3Addressing, "auto"))}
	var err error
	if cfg.Bucket, cfg.Prefix, err = s3.ParseURL(c.Archive); err != nil {
		return app.Archive{}, usagef("--archive: %w", err)
	}
	if cfg.AccessKey, err = secret(getenv, c.S3AccessKeyFile, "FAXSTREAM_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"); err != nil {
		return app.Archive{}, usagef("access key of --archive: %w", err)
	}
	if cfg.SecretKey, err = secret(getenv, c.S3SecretKeyFile, "FAXSTREAM_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"); err != nil {
		return app.Archive{}, usagef("secret key of --archive: %w", err)
	}
	if c.S3CA != "" {
		if cfg.CA, err = os.ReadFile(c.S3CA); err != nil {
			return app.Archive{}, usagef("--s3-ca: %w", err)
		}
	}
	return app.Archive{S3: &cfg}, nil
}

// openReader opens the archive for reading. An --archive that is not an s3:// URL is a directory here.
func (c archiveStore) openReader(ctx context.Context, getenv func(string) string) (archive.Reader, func() error, error) {
	archive := app.Archive{Dir: c.where()}
	if strings.HasPrefix(c.Archive, "s3://") {
		var err error
		if archive, err = c.config(getenv); err != nil {
			return nil, nil, err
		}
	}
	return archive.OpenReader(ctx)
}

// where names the archive for people.
func (c archiveStore) where() string {
	if c.Archive != "" {
		return c.Archive
	}
	return c.path("archive")
}

// path is a directory below --dir.
func (c archiveStore) path(name string) string { return filepath.Join(c.Dir, name) }

// secret reads a key from its file, or else from the first variable that is set.
func secret(getenv func(string) string, file string, names ...string) (string, error) {
	if file != "" {
		return readLine(file)
	}
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v, nil
		}
	}
	return "", fmt.Errorf("no file is given, and neither %s nor %s is set in the environment", names[0], names[1])
}

// put sets the terms in the configuration of a bucket.
func (t archiveTerms) put(a app.Archive) error {
	switch {
	case a.S3 == nil && t.S3SSE != "none" && t.S3SSE != "":
		return usagef("--s3-sse needs --archive s3://BUCKET/PREFIX")
	case a.S3 == nil:
		return nil
	}
	a.S3.Mode = s3.Mode(t.RetentionMode)
	if t.S3SSE != "none" {
		a.S3.Encryption = t.S3SSE
	}
	return nil
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
	cfg, err := c.config(e)
	if err != nil {
		return err
	}
	return app.Run(ctx, cfg, func(a *app.App) error {
		return json.NewEncoder(e.stdout).Encode(readyLine{Ready: true, Webhook: a.WebhookURL(), Admin: a.AdminURL(), NATS: a.NATSURL()})
	})
}

// config reads the files that the flags name, and refuses flags that cannot work.
func (c serveCmd) config(e env) (app.Config, error) {
	cfg := app.Config{
		Dir: c.Dir, Retention: c.Retention, NATS: c.natsStore.config(c.path("nats")), WebhookAddr: c.WebhookAddr,
		Admin:    app.Admin{Addr: c.AdminAddr, Tokens: c.AdminTokens, Cert: c.AdminCert, Key: c.AdminKey, PlainHTTP: c.AdminPlainHTTP},
		Provider: c.provider.config(), Zone: c.FaxplusZone.Location,
		CloseGrace: c.CloseGrace, IdleAfter: c.IdleAfter, GiveUpAfter: c.GiveUpAfter, PageDeadline: c.PageDeadline, WholeFor: c.WholeFor,
		Reconcile: c.Reconcile, Fetches: c.Fetches,
		ListEvery: c.ListEvery, ListOverlap: c.ListOverlap, ListGrace: c.ListGrace, ListRate: c.ListRate,
		Software: softwareName(), Log: e.logger(),
	}
	cfg.NATS.Embedded.Listen, cfg.NATS.Embedded.Insecure = c.NATSListen, c.NATSListenInsecure
	if err := cfg.Admin.Check(); err != nil {
		return cfg, err
	}
	switch c.FaxplusPagePath {
	case "":
		return cfg, usagef("--faxplus-page-path is required: the path of a single page below --faxplus-url, such as " +
			"/accounts/{user_id}/files/{fax_id}/pages/{page} (ask Fax.Plus for it, no public document has it), " +
			"or `none` to take every page from the whole file")
	case "none":
	default:
		cfg.Provider.PagePath = c.FaxplusPagePath
	}
	if err := c.natsStore.check(); err != nil {
		return cfg, err
	}
	if c.FaxplusTokenFile != "" {
		if _, err := readLine(c.FaxplusTokenFile); err != nil {
			return cfg, usagef("--faxplus-token-file: %w", err)
		}
	}
	if err := c.keys(e, &cfg); err != nil {
		return cfg, err
	}
	return cfg, c.senders(&cfg)
}

// keys reads the keys of the archive and the one that signs.
func (c serveCmd) keys(e env, cfg *app.Config) (err error) {
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
