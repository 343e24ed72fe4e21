package app

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/spool"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// Config says what Start runs. Its zero value lacks Dir, the addresses, the times and a logger. A ConfigError names the flag of
// `faxstream serve` that sets the field which is wrong.
type Config struct {
	Dir       string     // of all local state: spool, key of links and, by default, JetStream and archive; made if it is not there
	Roles     []string   // of this process, some of Roles; empty: all, and OCR if it is set
	Archive   Archive    // where objects are archived; a process that takes only webhooks has none
	Retention Retention  // for how long the archive keeps new objects
	NATS      bus.Config // where JetStream is; Start sets Log, Buried, Marker, and the subscribers' password and TLS
	NATSCert  string     // PEM file of the certificate of NATS.Embedded.Listen, read again when it changes; empty: no TLS
	NATSKey   string     // PEM file of the private key of NATSCert

	Spool spool.Config // stores webhooks while the servers of NATS.URL do not; Start sets Log. Without Dir: they are answered 503

	WebhookAddr    string         // HOST:PORT where webhooks are taken; port 0: a free one
	AllowFrom      []netip.Prefix // who may send webhooks; empty: the addresses that Fax.Plus names
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is trusted; empty: none
	Secrets        []string       // in the webhook's URL, two while rotating; empty: none is demanded, on a loopback address only

	Admin Admin // API, dashboard and metrics

	PprofAddr string // HOST:PORT on loopback where profiles of this process are served; empty: nowhere

	Provider faxplus.Config // how Fax.Plus is reached; Start sets Logger and Zone
	Zone     *time.Location // of the provider's times; nil: learned from the webhooks, UTC until then

	CloseGrace   time.Duration // how long a closed fax waits for pages that are still being fetched
	IdleAfter    time.Duration // without a webhook for so long, the provider is asked whether the fax is over
	GiveUpAfter  time.Duration // without a webhook for so long, a fax that the provider does not know becomes a partial document
	PageDeadline time.Duration // since its announcement, how long a page is tried
	WholeFor     time.Duration // how long the whole file is tried
	Reconcile    string        // one of session.ReconcileOff, ReconcileMissing, ReconcileAll: which pages are compared with the whole file
	Fetches      int           // page files fetched at once, at most
	Memory       int64         // bytes that the process should stay within; 0: no limit. See budget.

	RetryDelays []time.Duration // between the tries of a page; nil: those of pipeline.DefaultRetry

	ListEvery   time.Duration // between comparisons with the provider's lists; 0: never
	ListOverlap time.Duration // how far a comparison reaches back beyond the last one
	ListGrace   time.Duration // after the end of a fax, how long its webhook may be late
	ListRate    int           // most requests for lists in a minute

	LedgerAge time.Duration // after its last change, when the ledger of an ended fax leaves JetStream; 0: never

	Names    map[string]string // of numbers, by their tokens (session.NumberToken): people see them beside the numbers
	Views    []dashboard.View  // that the list of the dashboard offers
	NoSearch bool              // no index for search is kept
	OCR      *OCR              // reads pages in this process; nil: nobody does

	Traces *trace.Config // where traces of faxes are sent; Start sets Version, Counted and Log. nil: nowhere

	SignKey  ed25519.PrivateKey // signs manifests and seals; nil: they are not signed
	Software string             // how this program calls itself in manifests and documents

	Log     *slog.Logger
	Observe func(stage.Step) // called with each step of the pipeline, beside the metrics; nil: nobody
}

// ConfigError is a mistake in a Config.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

func configErrorf(format string, a ...any) error { return &ConfigError{fmt.Errorf(format, a...)} }

// Check refuses a Config that cannot work or is open to everybody, with an error that names the flag. It starts nothing and asks nobody.
func (c Config) Check() error {
	if err := c.check(); err != nil {
		return err
	}
	var e bus.EmbeddedConfig
	if e.Listen = c.NATS.Embedded.Listen; e.Listen != "" {
		if err := c.listener(&e); err != nil {
			return err
		}
	}
	client, err := faxplus.NewClient(c.Provider)
	if err != nil {
		return &ConfigError{err}
	}
	client.Close()
	return nil
}

// check is Check without what Start finds out by itself.
func (c Config) check() error {
	if err := c.Admin.Check(); err != nil {
		return err
	}
	if err := c.checkRoles(); err != nil {
		return err
	}
	if err := c.checkSpool(); err != nil {
		return err
	}
	listen := c.NATS.Embedded.Listen
	switch {
	case c.has(RoleWebhook) && len(c.Secrets) == 0 && !loopback(c.WebhookAddr):
		return configErrorf("--webhook-secret-file is required when --webhook-addr (%s) is not a loopback address: "+
			"without a secret anybody can send faxes", c.WebhookAddr)
	case c.PprofAddr != "" && !loopback(c.PprofAddr):
		return configErrorf("--pprof-addr %s is not a loopback address: profiles are served without a login, because they show what this "+
			"process does and can slow it down; give an address such as 127.0.0.1:6060, and reach it from elsewhere by ssh -L", c.PprofAddr)
	case c.NATS.URL != "" && listen != "":
		return configErrorf("--nats-listen is for the embedded server, --nats-url for an external one: give one of them")
	case c.NATS.Embedded.Insecure && listen == "":
		return configErrorf("--nats-listen-insecure has no effect without --nats-listen")
	case (c.NATSCert == "") != (c.NATSKey == ""):
		return configErrorf("--nats-cert and --nats-key need each other: give both or none")
	case c.NATSCert != "" && listen == "":
		return configErrorf("--nats-cert has no effect without --nats-listen or --nats-url")
	case listen != "" && !loopback(listen) && (c.NATSCert == "" || c.NATS.Embedded.Insecure):
		return configErrorf("--nats-listen %s is not a loopback address, so it needs TLS and logins: give --nats-cert and --nats-key, "+
			"and not --nats-listen-insecure", listen)
	case c.ListEvery < 0 || c.ListEvery > 0 && (c.ListOverlap <= 0 || c.ListGrace <= 0 || c.ListRate < 1):
		return configErrorf("--list-every must not be negative; --list-overlap, --list-grace and --list-rate must be positive")
	case c.CloseGrace < 0 || c.IdleAfter <= 0 || c.GiveUpAfter < 0 || c.PageDeadline < 0 || c.WholeFor < 0 || c.Fetches < 1:
		return configErrorf("--close-grace, --page-deadline and --whole-for must not be negative, " +
			"--idle-after and --fetches must be positive")
	case c.LedgerAge != 0 && c.LedgerAge < LeastLedgerAge:
		return configErrorf("--ledger-age %s: want %s or more, or 0: a ledger must be older than all events of its fax in the streams",
			c.LedgerAge, LeastLedgerAge)
	case c.Memory != 0 && c.Memory < LeastMemory:
		return configErrorf("--memory %d: want %d MB or more", c.Memory/1e6, LeastMemory/1_000_000)
	}
	if c.Traces != nil {
		if err := c.Traces.Check(); err != nil {
			return configErrorf("--otlp-endpoint, --otlp-sample: %w", err)
		}
	}
	return nil
}

// LeastLedgerAge is the smallest Config.LedgerAge: the streams have events for a day less.
const LeastLedgerAge = 31 * 24 * time.Hour

// leastSpool is the smallest Config.Spool.Max, in bytes.
const leastSpool = 1_000_000

// checkSpool refuses a spool that nothing would use, and one in a directory of something else.
func (c Config) checkSpool() error {
	dir := c.Spool.Dir
	switch {
	case dir == "":
		return nil
	case c.NATS.URL == "":
		return configErrorf("--spool needs --nats-url: the embedded NATS server is in this process and stores webhooks on this machine anyway")
	case !c.has(RoleWebhook):
		return configErrorf("--spool needs the role %s: this process takes no webhooks", RoleWebhook)
	case c.Spool.Max < leastSpool:
		return configErrorf("--spool-max %d: want %d MB or more", c.Spool.Max/1e6, leastSpool/1_000_000)
	case within(dir, c.Dir):
		return configErrorf("--spool %s: --dir is in it; give a directory that is for nothing else", dir)
	}
	for _, other := range []string{c.path("spool"), c.path("nats"), c.path("search"), c.Archive.Dir} {
		if other != "" && within(other, dir) {
			return configErrorf("--spool %s: %s is for something else; give a directory that is for nothing else", dir, other)
		}
	}
	return nil
}

// within reports whether path is dir or lies in it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// listener sets the TLS of the embedded server.
func (c Config) listener(e *bus.EmbeddedConfig) (err error) {
	if c.NATSCert == "" {
		return nil
	}
	pair := &certificate{cert: c.NATSCert, key: c.NATSKey, flags: "--nats-cert and --nats-key", log: c.Log}
	e.TLS = pair.config()
	if e.Name, err = pair.name(e.Listen); err != nil {
		return &ConfigError{err}
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

func (c Config) policy() session.Policy {
	return session.Policy{
		Grace: c.CloseGrace, Idle: c.IdleAfter, GiveUp: c.GiveUpAfter, Ask: true, WholeFor: c.WholeFor,
		Streaming: c.Provider.PagePath != "", Reconcile: c.Reconcile,
	}
}

func (c Config) retry() fetch.Retry {
	r := fetch.DefaultRetry()
	r.Deadline = c.PageDeadline
	if c.RetryDelays != nil {
		r.Delays = c.RetryDelays
	}
	return r
}

// disks are those that must have room: first that of Dir.
func (c Config) disks() []*disk {
	disks := []*disk{{name: "state", dir: c.Dir}}
	if c.Archive.S3 == nil && !c.OnlyWebhooks() {
		disks = append(disks, &disk{name: "archive", dir: c.Archive.Dir})
	}
	return disks
}

// path is a file or directory below Dir.
func (c Config) path(name string) string { return filepath.Join(c.Dir, name) }

// What a process takes beside the work on pages, in bytes: measured with the embedded server, 24 fetches and some thousand faxes.
const (
	program = 65_000_000 // its code, what the collector does not count, and by how much large pages pass the collector's limit
	resting = 35_000_000 // the embedded server, connections, the list of faxes
	garbage = 10_000_000 // memory that is not in use and not collected yet
)

// LeastMemory is the smallest Config.Memory, in bytes: pages of usual size are decoded one after the other.
const LeastMemory = program + resting + garbage + 20_000_000

// budget is the part of Memory that work on pages may have.
func (c Config) budget() int64 {
	if c.Memory == 0 {
		return 0
	}
	return c.Memory - program - resting - garbage
}

// LimitHeap makes the collector hold the heap within Memory: a process that waits for its garbage uses what it should not. It does nothing
// if there is no Memory, or if the environment has a GOMEMLIMIT. It is for the whole process, so only the command line calls it.
func (c Config) LimitHeap(getenv func(string) string) {
	if c.Memory > 0 && getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.Memory - program)
	}
}
