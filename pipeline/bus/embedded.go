package bus

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// EmbeddedConfig configures the server inside the process.
type EmbeddedConfig struct {
	Dir    string // its store; created if missing
	Listen string // host:port for subscribers; port 0: any free port; empty: it does not listen

	TLS  *tls.Config // of Listen; nil: none, and only a loopback address is allowed
	Name string      // host in the URL for subscribers, which the certificate has; empty: that of Listen

	// Password is that of the user Subscriber, who may read pages and documents, and nothing else. Required with Listen, except with Insecure.
	Password string
	Insecure bool // whoever connects to Listen may do everything, without a login; on a loopback address only

	// Spool is for a store of what other servers are to get: it has FAX_IN and FAX_DLQ alone, which share Config.MaxStore and forget
	// nothing. A directory that was one of a spool is not one of all streams, and the other way round.
	Spool bool
}

const (
	maxPayload = 1 << 20 // bytes of one message; facts are below 64 KiB, dead letters contain a webhook body
	maxMemory  = 64 << 20

	maxConnections = 1024     // the own one included
	maxUnsent      = 32 << 20 // bytes that a connection does not read: it is closed then

	readyTimeout = 30 * time.Second // opening a full store takes time
)

// Embedded is a running server. A nil *Embedded means that there is no server: its methods do nothing.
type Embedded struct {
	srv   *server.Server
	lock  *os.File // holds the store's flock until stop
	doors *doors   // nil: whoever reaches the server may do everything
	dir   string   // its store
	tls   bool     // of its listener
	name  string   // in the URL for subscribers; empty: the address
	stage string   // directory in memory for unfinished batches; empty: they are in the store
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
		MaxConn:            maxConnections,
		MaxPending:         maxUnsent,
		JetStreamMaxMemory: maxMemory,
		JetStreamMaxStore:  maxStore,
	}
	var doors *doors
	if cfg.Dir == "" {
		return nil, errors.New("embedded NATS server: no store directory is configured")
	}
	if cfg.Listen != "" {
		var err error
		if opts.Host, opts.Port, err = cfg.address(); err != nil {
			return nil, err
		}
		opts.TLSConfig = cfg.TLS
		if !cfg.Insecure {
			if cfg.Password == "" {
				return nil, errors.New("embedded NATS server: it listens, and no password for subscribers is configured")
			}
			doors = newDoors(cfg.Password)
			opts.CustomClientAuthentication = doors
		}
	}
	if err := notOfCluster(cfg.Dir); err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err)
	}
	lock, err := lockStore(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err)
	}
	if err := claimStore(cfg.Dir, cfg.Spool); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err), lock.Close())
	}
	left := stages(cfg.Dir) // a process that was killed left them, and its unfinished batches in them
	e, err := runServer(opts, lock, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded NATS server in %s: %w", cfg.Dir, err), lock.Close())
	}
	for _, dir := range left {
		_ = os.RemoveAll(dir) // the server has finished their batches; what stays is a little memory
	}
	e.doors, e.tls, e.name = doors, cfg.TLS != nil, cfg.Name
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
	return &Embedded{srv: s, lock: lock, dir: opts.StoreDir}, nil
}

// Linux has files in memory here: tmpfs, see statfs(2).
const memoryDir, tmpfsMagic = "/dev/shm", 0x01021994

// stageInMemory keeps the unfinished batches of these streams in memory. It returns an error where this is not possible.
//
// nats-server makes a store of its own for each atomic batch, and copies the batch from there into its stream. Version 2.15.2 syncs four
// files and directories of that store: on a disk a batch costs as much as 16 messages, in memory as much as one. The server reads that
// store again only to finish a batch that a kill interrupted, and what is in memory outlives a kill. A power cut may leave a part of a
// batch in the stream, as if some of its messages were published and the others not: no caller has an answer yet.
func (e *Embedded) stageInMemory(streams []string) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(memoryDir, &disk); err != nil {
		return fmt.Errorf("%s: %w", memoryDir, err)
	}
	if int64(disk.Type) != tmpfsMagic {
		return fmt.Errorf("%s is not in memory", memoryDir)
	}
	var err error
	if e.stage, err = os.MkdirTemp(memoryDir, stagePrefix); err != nil {
		return err
	}
	for _, s := range streams {
		if err := e.stageStream(s); err != nil {
			return err
		}
	}
	return nil
}

// stagePrefix begins the names of our directories in memory.
const stagePrefix = "faxstream-batches-"

// batchesOf is where the server has the unfinished batches of a stream.
func batchesOf(store, stream string) string {
	return filepath.Join(store, server.JetStreamStoreDir, server.DEFAULT_GLOBAL_ACCOUNT, "streams", stream, "batches")
}

// stages returns the directories in memory that a store's streams have links to.
func stages(store string) []string {
	links, _ := filepath.Glob(batchesOf(store, "*")) // the pattern is valid
	var dirs []string
	for _, link := range links {
		target, err := os.Readlink(link)
		dir := filepath.Dir(target)
		if err == nil && filepath.Dir(dir) == memoryDir && strings.HasPrefix(filepath.Base(dir), stagePrefix) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// stageStream makes a stream's directory of unfinished batches a link into memory. No batch of the stream may be unfinished.
func (e *Embedded) stageStream(stream string) error {
	link := batchesOf(e.dir, stream)
	if err := os.RemoveAll(link); err != nil {
		return err
	}
	target := filepath.Join(e.stage, stream)
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	return os.Symlink(target, link)
}

// useFile says in a store what it is for. With newFile after its name, it is not complete.
const useFile, newFile, useSpool, useStreams = "use", ".new", "spool", "streams"

// IsSpool reports whether a directory is the store of a spool.
func IsSpool(dir string) (bool, error) {
	use, err := os.ReadFile(filepath.Join(dir, useFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.TrimSpace(string(use)) == useSpool, err
}

// claimStore writes into a new store what it is for, and refuses one that is for something else. A store of a version that did not write
// this has all streams.
func claimStore(dir string, spool bool) error {
	want := map[bool]string{true: useSpool, false: useStreams}[spool]
	name := filepath.Join(dir, useFile)
	has, err := os.ReadFile(name)
	if err == nil {
		if use := strings.TrimSpace(string(has)); use != want {
			return fmt.Errorf("this directory is for %.20q, as its file %s says, and cannot be for %q: give another directory", use, useFile, want)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ours := []string{lockFile, useFile + newFile} // a process that is killed here leaves both
	if other := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !slices.Contains(ours, e.Name()) }); other && spool {
		return errors.New("this directory has files that are not of a spool: give an empty one, or one that does not exist")
	}
	return writeUse(dir, want)
}

// writeUse returns when a power cut does not undo it: a store without this file would be taken for another one.
func writeUse(dir, use string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Join(dir, useFile)
	f, err := os.OpenFile(name+newFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(use + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return d.Sync()
}

const lockFile = "lock"

// errOfCluster: a server that is alone cannot read what a cluster has agreed on, and deletes what it does not know.
var errOfCluster = errors.New("a nats-server of a cluster has used this directory, and a server that is alone may delete its streams: " +
	"use another directory, and fill it with `faxstream rebuild`, or go on with the cluster (--nats-url)")

// notOfCluster refuses a store that a server of a cluster has used: there it keeps what its cluster agrees on, in its system account. That
// account has another name where its configuration says so; and a server that was killed early has made its directory and no more.
func notOfCluster(dir string) error {
	accounts, err := os.ReadDir(filepath.Join(dir, server.JetStreamStoreDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, account := range accounts {
		_, err := os.Stat(filepath.Join(dir, server.JetStreamStoreDir, account.Name(), "_js_"))
		if err == nil || account.Name() == server.DEFAULT_SYSTEM_ACCOUNT {
			return errOfCluster
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
	return nil
}

// lockStore locks the store: two servers in one store damage it, and nats-server has no lock of its own. The system
// releases the lock when the process ends, for any reason.
func lockStore(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
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

// address splits Listen. It refuses an address that other machines can reach, unless there are TLS and logins.
func (cfg EmbeddedConfig) address() (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: %w", cfg.Listen, err)
	}
	if port, err = strconv.Atoi(portText); err != nil {
		return "", 0, fmt.Errorf("NATS listen address %q: the port is not a number", cfg.Listen)
	}
	ip, err := netip.ParseAddr(host)
	if local := host == "localhost" || err == nil && ip.IsLoopback(); !local && (cfg.TLS == nil || cfg.Insecure) {
		return "", 0, fmt.Errorf("NATS listen address %q: other machines reach it, so TLS and logins are needed; "+
			"without them only a loopback address such as 127.0.0.1 is allowed", cfg.Listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// clientURL is where subscribers reach the server; empty: nowhere.
func (e *Embedded) clientURL() string {
	addr := e.listens()
	if addr == "" {
		return ""
	}
	if !e.tls {
		return "nats://" + addr
	}
	if _, port, err := net.SplitHostPort(addr); err == nil && e.name != "" {
		addr = net.JoinHostPort(e.name, port)
	}
	return "tls://" + addr
}

// listens is the address of the listener; empty: there is none.
func (e *Embedded) listens() string {
	if e == nil || e.srv.Addr() == nil {
		return ""
	}
	return e.srv.Addr().String()
}

func (e *Embedded) healthy() error {
	if e == nil {
		return nil
	}
	h := e.srv.Healthz(&server.HealthzOptions{})
	// nats-server 2.15.2 looks at its listeners for a millisecond there, which a busy machine may use up before the first look.
	if h.Status != "ok" && e.srv.ReadyForConnections(time.Second) {
		h = e.srv.Healthz(&server.HealthzOptions{})
	}
	if h.Status != "ok" {
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
	if e.stage != "" {
		_ = os.RemoveAll(e.stage) // what stays is a little memory
	}
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

// serverWarns says what a warning of nats-server is mostly about.
const serverWarns = "the embedded NATS server reports a warning: if it is about time, the disk is slow or the machine is busy"

func (l natsLogger) Noticef(format string, v ...any) {
	l.log.Debug("the embedded NATS server reports something", "line", l.line(format, v))
}

func (l natsLogger) Warnf(format string, v ...any) {
	l.log.Warn(serverWarns, "line", l.line(format, v))
}

func (l natsLogger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l natsLogger) Errorf(format string, v ...any) {
	line := l.line(format, v)
	if strings.Contains(line, " - cid:") { // about a client, who chose a part of the text: it says nothing about the store
		l.log.Warn(serverWarns, "line", line)
		return
	}
	l.log.Error("the embedded NATS server reports an error: if it is about writing, look at the disk of --dir", "line", line)
	l.told(line)
}

func (l natsLogger) Debugf(string, ...any) {}
func (l natsLogger) Tracef(string, ...any) {}
