package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// Config says how to reach JetStream.
type Config struct {
	URL      string // external servers, comma separated; empty: start the embedded server
	Creds    string // credentials file for URL; empty: none
	CA       string // PEM file with the certificate authorities for URL; empty: the system's
	Cert     string // PEM file of the certificate that this process shows to URL, read at every connect; empty: none
	Key      string // PEM file of the private key of Cert
	Embedded EmbeddedConfig
	Replicas int                      // copies of every stream; 0: as they are, and of a new one as many as FAX_IN has, 1 at first
	MaxStore int64                    // bytes on disk for all streams together; 0: DefaultMaxStore
	Marker   Marker                   // remembers which streams exist; nil: only FAX_SESSIONS does
	Join     bool                     // another process creates the streams: wait for them (not for those of a spool), and change none
	Strict   bool                     // servers of URL that are weaker than what faxstream promises are an error that matches ErrWeak
	Recreate bool                     // streams that existed and are lost may be created again, empty: a person said so
	Log      *slog.Logger             // required
	Buried   func(session.DeadLetter) // called with each new dead letter; nil: not called
	Outward  func(session.Fact) any   // gives what is published for a fact: its fields, and others for subscribers; nil: the fact itself
	Trace    *trace.Tracer            // of what is published and handled; nil: off

	settings int // revision of the settings of streams and consumers; 0: settingsRevision. Tests are another version with it.
}

// DefaultMaxStore is enough for about ten million facts, in bytes. If a stream reaches its share, it refuses new messages
// (webhooks get 503) and drops nothing.
const DefaultMaxStore = 10 << 30

const (
	requestTimeout = 5 * time.Second // of one publish or read; after it JetStream counts as gone
	setupTimeout   = time.Minute     // of one stream or consumer at the start: a busy disk is slow, and a restart does not help
	reconnectWait  = 500 * time.Millisecond

	answersAtOnce = 1024             // messages of one answer; more than any read asks for
	joinInbox     = "_INBOX.webhook" // where a process that only takes webhooks is answered
)

// Bus is the connection of one process to JetStream. Its methods may be called concurrently.
type Bus struct {
	cfg      Config
	log      *slog.Logger
	nc       *nats.Conn
	js       jetstream.JetStream
	server   *Embedded // nil when external
	health   *health
	sessions jetstream.KeyValue
	groups   map[string]*group // by stream; fixed after Open
	stopping context.CancelFunc
	life     context.Context // ends when Close begins
	watched  *watched
	binding  singleflight.Group // by session and number
	first    precedence         // of facts from outside

	mu      sync.Mutex
	line    context.Context       // ends when the connection is lost; guarded by mu
	hangUp  context.CancelFunc    // ends line; guarded by mu
	bound   map[string]string     // session: bound number token; guarded by mu
	replied map[string]settlement // by durable; guarded by mu
	forgets map[string]span       // the last Forget, by stream; guarded by mu
	weak    []Weakness            // of the servers, as the last ensure found them; guarded by mu
	running sync.WaitGroup        // consumers
	copies  int                   // of a stream that is new; set by ensure
	said    bool                  // ensure has named the weaknesses of the servers
}

// JetStream is the connection itself, for rooms that make consumers of their own.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Open starts the embedded server or connects to an external one, and creates or updates every stream. The caller must
// call Close once. After an error everything is closed.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.MaxStore == 0 {
		cfg.MaxStore = DefaultMaxStore
	}
	b := &Bus{
		cfg: cfg, log: cfg.Log, bound: map[string]string{}, replied: map[string]settlement{}, forgets: map[string]span{},
		groups: map[string]*group{}, watched: &watched{},
	}
	b.life, b.stopping = context.WithCancel(context.WithoutCancel(ctx))
	b.line, b.hangUp = context.WithCancel(context.WithoutCancel(b.life))
	b.health = newHealth(b.life)
	if err := b.connect(); err != nil {
		b.stopping()
		return nil, err
	}
	err := b.ensurePatiently(ctx)
	if b.server == nil {
		err = awayOr(err)
	}
	if err == nil {
		err = b.admit(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	worth := b.batches()
	for _, s := range b.grouped() {
		b.groups[s] = newGroup(b.js, s, b.health, b.connection, worth)
	}
	b.running.Go(b.watch)
	return b, nil
}

// options returns the options of every connection. They do not say which server.
func (b *Bus) options() []nats.Option {
	opts := []nats.Option{
		nats.Name("faxstream"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.SyncQueueLen(answersAtOnce), // its default takes half a megabyte for each read of several messages
		nats.ReconnectBufSize(-1),        // a publish without a connection fails at once: the webhook is answered 503
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if b.life.Err() == nil {
				b.log.Warn("the connection to the NATS servers is lost: work waits, and goes on by itself when they are back; look at the servers",
					"err", err)
				b.lineLost()
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.log.Warn("the NATS servers report an error to this process: if it is about permissions, look at the rights of its login",
				"err", err)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.log.Info("the NATS servers are connected again: work goes on", "server", nc.ConnectedAddr())
		}),
	}
	if b.cfg.Join { // with an inbox of its own, its login needs no right to hear what others are answered
		opts = append(opts, nats.CustomInboxPrefix(joinInbox))
	}
	if b.cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.Creds))
	}
	if b.cfg.CA != "" {
		opts = append(opts, nats.RootCAs(b.cfg.CA))
	}
	if b.cfg.Cert != "" {
		opts = append(opts, nats.ClientCert(b.cfg.Cert, b.cfg.Key))
	}
	return opts
}

// connect connects to the external servers, or starts the embedded one and connects to it.
func (b *Bus) connect() error {
	opts := b.options()
	servers := b.cfg.URL
	if servers != "" {
		if err := checkURLs(servers); err != nil {
			return fmt.Errorf("connect to NATS: %w", err)
		}
	} else {
		limit := b.cfg.MaxStore
		if b.cfg.Embedded.Spool {
			limit = math.MaxInt64 // its streams have limits, which may be lower than those that its store was made with
		}
		s, err := startEmbedded(b.cfg.Embedded, limit, natsLogger{b.log, b.health.told})
		if err != nil {
			return err
		}
		b.server = s
		opts = append(opts, nats.InProcessServer(s.srv), s.doors.login())
	}
	var err error
	if b.nc, err = nats.Connect(servers, opts...); err == nil {
		b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(requestTimeout))
	}
	if err != nil {
		if b.nc != nil {
			b.nc.Close()
		}
		if b.server == nil {
			err = awayOr(err)
		}
		b.server.stop()
		return fmt.Errorf("connect to NATS at %s: %w", hosts(servers), err)
	}
	return nil
}

// ErrAway means that external NATS servers do not answer, or have no streams yet: Open may succeed later, although nobody changes anything
// about this process.
var ErrAway = errors.New("the NATS servers cannot be used at the moment")

// awayOr makes an error of external servers match ErrAway where it can go away by itself.
func awayOr(err error) error {
	gone := errors.As(err, new(*net.OpError)) || errors.As(err, new(*net.DNSError)) || slices.ContainsFunc([]error{
		nats.ErrNoServers, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		io.EOF, context.DeadlineExceeded, errNotCreated,
	}, func(of error) bool { return errors.Is(err, of) })
	if refusal, ok := errors.AsType[jetstream.JetStreamError](err); ok && refusal.APIError() != nil {
		gone = gone || refusal.APIError().Code == http.StatusServiceUnavailable // such as a cluster without a leader
	}
	if err == nil || !gone {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// connection returns a context that ends when the present connection is lost.
func (b *Bus) connection() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.line
}

// lineLost ends the pulls and publishes of the lost connection: they get no answer, and would delay those of the next one.
func (b *Bus) lineLost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangUp()
	b.line, b.hangUp = context.WithCancel(context.WithoutCancel(b.life))
}

// checkURLs refuses a list of server URLs that nats.Connect cannot read. The errors of nats.Connect and url.Parse show the
// URLs with their passwords and tokens; this one does not.
func checkURLs(list string) error {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if !strings.Contains(p, "://") {
			p = "nats://" + p
		}
		u, err := url.Parse(p)
		if err != nil || u.Host == "" || strings.HasSuffix(u.Host, ":") {
			return fmt.Errorf("URL %d of %d is malformed (it is not shown because it may contain a password): want "+
				"nats://[user:password@]host[:port]; escape special characters in the password, such as %%40 for @", i+1, len(parts))
		}
	}
	return nil
}

// hosts returns a list of URLs, which checkURLs has accepted, without users, passwords, tokens, paths and queries.
func hosts(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if !strings.Contains(p, "://") {
			p = "nats://" + p
		}
		parts[i] = "(malformed URL)"
		if u, err := url.Parse(p); err == nil {
			parts[i] = u.Scheme + "://" + u.Host
		}
	}
	return strings.Join(parts, ",")
}

// ClientURL returns the URL of the embedded server for other programs; empty if it does not listen.
func (b *Bus) ClientURL() string {
	return b.server.clientURL()
}

// ListenAddr is the address on which the embedded server listens, host:port; empty if it does not listen.
func (b *Bus) ListenAddr() string { return b.server.listens() }

// Close stops the consumers, waits for their handlers (after 5 s it cancels their contexts), and stops the embedded server.
// Its error means that acknowledgements were lost: the messages are delivered again after the next start.
func (b *Bus) Close() error {
	b.stopping()
	b.running.Wait()
	var err error
	if !b.nc.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		if err = b.nc.FlushWithContext(ctx); err == nil && b.server != nil {
			err = b.syncReplies(ctx)
		}
		cancel()
		b.nc.Close()
	}
	b.server.stop()
	if err != nil && b.cfg.URL == "" {
		return fmt.Errorf("send the last acknowledgements to NATS: %w", err)
	}
	return nil // an external server that is gone gets no acknowledgements: it delivers again
}
