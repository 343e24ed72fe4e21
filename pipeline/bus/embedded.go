package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedConfig configures the server inside the process.
type EmbeddedConfig struct {
	Dir    string // its store; created if missing
	Listen string // host:port on loopback for subscribers; port 0: any free port; empty: it does not listen

	// Password is that of the user Subscriber, who may read pages and documents, and nothing else. Required with Listen, except with Insecure.
	Password string
	Insecure bool // whoever connects to Listen may do everything, without a login
}

const (
	maxPayload   = 1 << 20 // bytes of one message; facts are below 64 KiB, dead letters contain a webhook body
	maxMemory    = 64 << 20
	readyTimeout = 30 * time.Second // opening a full store takes time
)

// Embedded is a running server. A nil *Embedded means that there is no server: its methods do nothing.
type Embedded struct {
	srv   *server.Server
	lock  *os.File // holds the store's flock until stop
	doors *doors   // nil: whoever reaches the server may do everything
}

func startEmbedded(cfg EmbeddedConfig, maxStore int64, log natsLogger) (*Embedded, error) {
	opts := &server.Options{
		ServerName:         "faxstream",
		DontListen:         cfg.Listen == "",
		NoSigs:             true,
		NoLog:              true,
		JetStream:          true,
		StoreDir:           cfg.Dir,
		SyncAlways:         true, // an ack means that the message is on disk
		MaxPayload:         maxPayload,
		JetStreamMaxMemory: maxMemory,
		JetStreamMaxStore:  maxStore,
	}
	var doors *doors
	if cfg.Dir == "" {
		return nil, errors.New("embedded NATS server: no store directory is configured")
	}
	if cfg.Listen != "" {
		host, port, err := loopback(cfg.Listen)
		if err != nil {
			return nil, err
		}
		opts.Host, opts.Port = host, port
		if !cfg.Insecure {
			if cfg.Password == "" {
				return nil, errors.New("embedded NATS server: it listens, and no password for subscribers is configured")
			}
			doors = newDoors(cfg.Password)
			opts.CustomClientAuthentication = doors
		}
	}
	lock, err := lockStore(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err)
	}
	e, err := runServer(opts, lock, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err), lock.Close())
	}
	e.doors = doors
	if err := doors.open(e.srv); err != nil {
		e.stop()
		return nil, fmt.Errorf("embedded NATS server in %s: account of the subscribers: %w", cfg.Dir, err)
	}
	return e, nil
}

func runServer(opts *server.Options, lock *os.File, log natsLogger) (*Embedded, error) {
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !s.ReadyForConnections(readyTimeout) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("not ready after %s; see its log lines above", readyTimeout)
	}
	return &Embedded{srv: s, lock: lock}, nil
}

// lockStore locks the store: two servers in one store damage it, and nats-server has no lock of its own. The system
// releases the lock when the process ends, for any reason.
func lockStore(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another faxstream uses this directory: stop that process first; a second server needs a directory of its own")
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// loopback splits an address. It refuses an address that other machines can reach: this listener has no TLS.
func loopback(listen string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: %w", listen, err)
	}
	if port, err = strconv.Atoi(portText); err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: the port is not a number", listen)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("NATS listen address %q: only a loopback address such as 127.0.0.1 is allowed; "+
			"for subscribers on other machines run an external nats-server with accounts", listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

func (e *Embedded) clientURL() string {
	if e == nil || e.srv.Addr() == nil {
		return ""
	}
	return "nats://" + e.srv.Addr().String()
}

func (e *Embedded) healthy() error {
	if e == nil {
		return nil
	}
	if h := e.srv.Healthz(&server.HealthzOptions{}); h.Status != "ok" {
		return fmt.Errorf("embedded NATS server: %s %s", h.Status, h.Error)
	}
	return nil
}

func (e *Embedded) stop() {
	if e == nil {
		return
	}
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
	_ = e.lock.Close() // nothing was written to it
}

// natsLogger logs the server's warnings and errors as such, its notices at level debug, and drops the rest.
type natsLogger struct {
	log  *slog.Logger
	told func(line string) // called with every line of an error, except those about clients
}

func (l natsLogger) line(format string, v []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, v...))
}

func (l natsLogger) Noticef(format string, v ...any) {
	l.log.Debug("NATS server", "line", l.line(format, v))
}

func (l natsLogger) Warnf(format string, v ...any) {
	l.log.Warn("NATS server", "line", l.line(format, v))
}

func (l natsLogger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l natsLogger) Errorf(format string, v ...any) {
	line := l.line(format, v)
	if strings.Contains(line, " - cid:") { // about a client, who chose a part of the text: it says nothing about the store
		l.log.Warn("NATS server", "line", line)
		return
	}
	l.log.Error("NATS server", "line", line)
	l.told(line)
}

func (l natsLogger) Debugf(string, ...any) {}
func (l natsLogger) Tracef(string, ...any) {}
