package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/local"
	"github.com/faxstream/faxstream/storage/s3"
)

// appEnv is what an app uses of its process.
type appEnv struct {
	getenv  func(string) string
	log     *slog.Logger
	observe func(pipeline.Step) // beside the metrics; nil: nobody
}

// app is one running faxstream: the parts, plugged together.
type app struct {
	webhookURL, adminURL string

	log     *slog.Logger
	state   string // directory
	bus     *bus.Bus
	archive store
	closers []func() error // in the order of starting
	failed  chan error     // a server or the board ended by itself
	stopped atomic.Value   // of stoppage: why fetching stands still
	doubted atomic.Value   // of stoppage: why single pages may never come
	sealing atomic.Value   // of stoppage: why the audit cannot be sealed
	running sync.WaitGroup
}

// store is an archive that can also hold and delete.
type store interface {
	storage.Archive
	storage.Remover
}

// stoppage wraps an error, nil too, for an atomic.Value.
type stoppage struct{ error }

// startApp starts the parts in the order in which they need each other; on an error it stops what it started.
func startApp(ctx context.Context, c serveCmd, e appEnv) (a *app, err error) {
	a = &app{log: e.log, state: c.Dir, failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop())
		}
	}()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return a, fmt.Errorf("make the state directory: %w", err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	stages, err := newStageMetrics(reg)
	if err != nil {
		return a, err
	}
	buried, err := countLetters(reg)
	if err != nil {
		return a, err
	}
	if a.archive, err = a.openArchive(ctx, c, e.getenv); err != nil {
		return a, err
	}
	cfg := c.busConfig(c.path("nats"), e.log)
	cfg.Buried, cfg.Embedded.Listen = buried, c.NATSListen
	a.bus, err = bus.Open(ctx, cfg)
	if err != nil {
		return a, err
	}
	a.closers = append(a.closers, a.bus.Close)
	if err := errors.Join(a.bus.BuryAbandoned(ctx), gaugeLetters(reg, a.bus), reg.Register(fillCollector{a.bus})); err != nil {
		return a, err
	}
	webhooks, err := a.webhooks(c, reg)
	if err != nil {
		return a, err
	}
	client, err := a.provider(c)
	if err != nil {
		return a, usageError{err}
	}
	signKey, err := c.signKey()
	if err != nil {
		return a, usagef("--sign-key: %w", err)
	}
	working, stop := context.WithCancel(ctx) // an app that is started anew in this process leaves nothing of the old one running
	a.closers = append(a.closers, func() error { stop(); return nil })
	err = pipeline.Start(working, pipeline.Config{
		Bus: a.bus, Archive: a.archive, Keeper: a.keeping(c).Keeper, Retention: c.Retention.time, Provider: client, Policy: c.policy(), Retry: c.retry(), SpoolDir: c.path("spool"),
		Software: softwareName(), SignKey: signKey, Fetches: c.Fetches, Log: e.log,
		Letters: a.bus, Ingest: webhooks.Again,
		Stopped: func(err error) { a.stopped.Store(stoppage{err}) },
		Doubted: func(err error) { a.doubted.Store(stoppage{err}) },
		Observe: func(s pipeline.Step) {
			stages.observe(s)
			if e.observe != nil {
				e.observe(s)
			}
		},
	})
	if err != nil {
		return a, err
	}
	open := &ingest.OpenSessions{}
	reconciler, err := a.reconciler(c, ingest.ReconcilerConfig{Provider: client, Open: open, Registerer: reg})
	if err != nil {
		return a, usageError{err}
	}
	if err := a.startAdmin(ctx, c, reg, open.Put, reconciler); err != nil {
		return a, err
	}
	a.startReconciler(ctx, c, reconciler)
	a.startSealer(ctx, c, pipeline.Sealer{Key: signKey})
	a.webhookURL, err = a.listen("webhook", c.WebhookAddr, webhooks, nil) // last: what it takes in is worked on at once
	return a, err
}

func (a *app) openArchive(ctx context.Context, c serveCmd, getenv func(string) string) (store, error) {
	if c.Archive == "" {
		s, err := local.Open(c.path("archive"))
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, s.Close)
		return s, nil
	}
	cfg := s3.Config{Endpoint: c.S3Endpoint, Region: c.S3Region, Addressing: s3.Addressing(strings.TrimPrefix(c.S3Addressing, "auto"))}
	c.put(&cfg, a.log)
	var err error
	if cfg.Bucket, cfg.Prefix, err = s3.ParseURL(c.Archive); err != nil {
		return nil, usageError{fmt.Errorf("--archive: %w", err)}
	}
	if cfg.AccessKey, err = secret(getenv, c.S3AccessKeyFile, "FAXSTREAM_S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"); err != nil {
		return nil, usageError{fmt.Errorf("access key of --archive: %w", err)}
	}
	if cfg.SecretKey, err = secret(getenv, c.S3SecretKeyFile, "FAXSTREAM_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"); err != nil {
		return nil, usageError{fmt.Errorf("secret key of --archive: %w", err)}
	}
	if c.S3CA != "" {
		if cfg.CA, err = os.ReadFile(c.S3CA); err != nil {
			return nil, usageError{fmt.Errorf("--s3-ca: %w", err)}
		}
	}
	return s3.Open(ctx, cfg)
}

// secret reads a key from its file, else from the first variable that has it.
func secret(getenv func(string) string, file string, names ...string) (string, error) {
	if file != "" {
		return readLine(file)
	}
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v, nil
		}
	}
	return "", fmt.Errorf("neither a file is given nor %s or %s in the environment", names[0], names[1])
}

func (a *app) provider(c serveCmd) (*faxplus.Client, error) {
	cfg := c.config()
	cfg.PagePath, cfg.Logger = c.pagePath(), a.log
	client, err := faxplus.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { client.Close(); return nil })
	return client, nil
}

// startAdmin returns once the board has seen every ledger, and so has seen.
func (a *app) startAdmin(ctx context.Context, c serveCmd, reg *prometheus.Registry, seen func(session.State), r *ingest.Reconciler) error {
	board := &dashboard.Board{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	caught := make(chan struct{})
	a.running.Go(func() {
		if err := board.Follow(ctx, teed{a.bus, seen}, func() { close(caught) }); err != nil && ctx.Err() == nil {
			a.fail(err)
		}
	})
	a.closers = append(a.closers, func() error { cancel(); return nil })
	select {
	case <-caught:
	case err := <-a.failed:
		return err
	}
	refused, err := countRefused(reg)
	if err != nil {
		return err
	}
	handler := dashboard.NewHandler(dashboard.Config{
		Board: board, Ledgers: a.bus, Letters: a.bus, Archive: a.archive, Thumbnail: pipeline.NewThumbnails().PNG, Audit: a.bus, Trail: a.trail, Older: pipeline.Catalog{Archive: a.archive}, Events: a.bus.Follow, Ready: a.ready, Warnings: a.warnings, Log: a.log,
		Holds: a.keeping(c),
		Gate: access.New(access.Config{
			Tokens: c.tokens(), Refused: refused, BehindTLS: c.AdminPlainHTTP, Log: a.log,
			LinkKey: func() ([]byte, error) { return access.LinkKey(c.path("link.key")) },
		}),
		Metrics:   promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		Reconcile: func(ctx context.Context, since time.Time, dry bool) any { return r.Check(ctx, since, dry) },
	})
	a.adminURL, err = a.listen("admin", c.AdminAddr, handler, c.tls(a.log))
	return err
}

// keeping is the rules of what must be kept.
func (a *app) keeping(c serveCmd) pipeline.Keeping {
	return pipeline.Keeping{Archive: a.archive, Keeper: keeper{a.archive}, Retention: c.Retention.time}
}

// ready says whether webhooks can be recorded and objects archived.
func (a *app) ready(ctx context.Context) error {
	if err := a.bus.Ready(ctx); err != nil {
		return err
	}
	if s, ok := a.archive.(interface{ Check(context.Context) error }); ok {
		if err := s.Check(ctx); err != nil {
			return err
		}
	}
	if s, _ := a.stopped.Load().(stoppage); s.error != nil {
		return fmt.Errorf("fetching stands still, the provider cannot be used: %w", s.error)
	}
	return nil
}

// warnings says what will soon keep us from working, or lets us work worse than we could.
func (a *app) warnings(ctx context.Context) ([]string, error) {
	warnings, err := a.bus.Warnings(ctx)
	if d, _ := a.doubted.Load().(stoppage); d.error != nil {
		warnings = append(warnings, d.Error())
	}
	if u, _ := a.sealing.Load().(stoppage); u.error != nil {
		warnings = append(warnings, "the audit cannot be sealed, and what is not sealed within 30 days is lost: "+u.Error())
	}
	return warnings, err
}

// webhooks makes the handler of webhooks; nothing reaches it before it listens.
func (a *app) webhooks(c serveCmd, reg prometheus.Registerer) (*ingest.Handler, error) {
	cfg, err := c.ingestConfig()
	if err != nil {
		return nil, err
	}
	cfg.Recorder, cfg.Logger, cfg.Registerer = a.bus, a.log, reg
	return ingest.NewHandler(cfg)
}

// stopTimeout is how long requests in flight may go on after a signal.
const stopTimeout = 5 * time.Second

// listen serves h on addr, with TLS where it is configured, and returns its URL.
func (a *app) listen(name, addr string, h http.Handler, secure *tls.Config) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("--%s-addr %s: %w (stop what listens there, another faxstream maybe, or give another address)", name, addr, err)
	}
	serve, scheme := (*http.Server).Serve, "http://"
	if secure != nil {
		scheme = "https://"
		serve = func(s *http.Server, l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{
		Handler:           h,
		TLSConfig:         secure,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      5 * time.Minute, // a large document to a slow reader
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	a.running.Go(func() {
		if err := serve(srv, l); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	})
	a.closers = append(a.closers, func() error {
		// Streams end at once, requests get their time.
		timeout, stop := context.WithTimeout(context.Background(), stopTimeout)
		defer stop()
		defer cancel()
		if name == "admin" {
			cancel()
		}
		if err := srv.Shutdown(timeout); err != nil {
			return errors.Join(fmt.Errorf("stop serving %s: %w", name, err), srv.Close())
		}
		return nil
	})
	return scheme + l.Addr().String(), nil
}

func (a *app) fail(err error) {
	select {
	case a.failed <- err:
	default: // one reason to stop is enough
	}
}

// wait runs until ctx ends or a part fails, and stops in order. When the embedded server has lost its disk it goes on to answer
// 503, red, until there is room, and ends with errStoreDied.
func (a *app) wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping: work in flight is finished or left to the next start")
	case err = <-a.failed:
	case died := <-a.bus.Failed():
		a.log.Error("webhooks are answered 503 until the disk can be written again", "err", died)
		awaitRoom(ctx, a.state)
		err = fmt.Errorf("%w: %w", errStoreDied, died)
	}
	return errors.Join(err, a.stop())
}

// stop ends the parts in the reverse order of their start: first nothing comes in any more, then work in flight is finished.
func (a *app) stop() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	a.running.Wait()
	return errors.Join(errs...)
}
