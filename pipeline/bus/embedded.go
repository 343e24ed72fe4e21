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

// EmbeddedConfig is the server inside the process.
type EmbeddedConfig struct {
	Dir    string // its store; created
	Listen string // host:port on loopback for subscribers; empty: it does not listen
}

const (
	maxPayload   = 1 << 20 // bytes of one message; facts stay under 64 KiB, dead letters hold a webhook body
	maxMemory    = 64 << 20
	readyTimeout = 30 * time.Second // recovering a full store takes a while
)

// Embedded is a running server. The nil *Embedded is "none": its methods do nothing.
type Embedded struct {
	srv  *server.Server
	lock *os.File // holds the store's flock until stop
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
	if cfg.Dir == "" {
		return nil, errors.New("embedded NATS server: no directory given (an empty one would mean the temporary directory)")
	}
	if cfg.Listen != "" {
		host, port, err := loopback(cfg.Listen)
		if err != nil {
			return nil, err
		}
		opts.Host, opts.Port = host, port
	}
	lock, err := lockStore(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err)
	}
	e, err := runServer(opts, lock, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err), lock.Close())
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
		return nil, fmt.Errorf("not ready after %s; its log lines above say why", readyTimeout)
	}
	return &Embedded{s, lock}, nil
}

// lockStore keeps a second server from the same store, which would spoil it: nats-server has no lock of its own.
// The system releases the lock however the process ends.
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
			err = errors.New("another faxstream uses this directory: stop it, or give this one a directory of its own")
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// loopback splits an address and refuses one that other machines could reach: this server has no accounts.
func loopback(listen string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: %w", listen, err)
	}
	if port, err = strconv.Atoi(portText); err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: the port is not a number", listen)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("NATS listen address %q: only a loopback address such as 127.0.0.1; "+
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

// natsLogger passes the server's warnings and errors on; its notices are its own business.
type natsLogger struct {
	log  *slog.Logger
	told func(line string) // gets every line of an error
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
	l.log.Error("NATS server", "line", line)
	l.told(line)
}

func (l natsLogger) Debugf(string, ...any) {}
func (l natsLogger) Tracef(string, ...any) {}
