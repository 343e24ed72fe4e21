package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/cmd/faxstream/health"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/events"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/spool"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/subscribers"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// App is one running faxstream: the parts, plugged together.
type App struct {
	webhookURL, adminURL, pprofURL string

	cfg     Config
	began   time.Time // of the start
	log     *slog.Logger
	bus     *bus.Bus
	archive *watched // nil: it takes only webhooks
	disks   []*disk
	spool   *spool.Spool   // nil: only the NATS servers store webhooks
	closers []func() error // in the order of starting
	// listeners are closed before all others: with a spool they are opened before what they need. The first one runs the spool.
	listeners []func() error
	early     *replaceable    // serves on the admin listener; nil: it was not opened early
	gate      *access.Gate    // of the admin listener
	failed    chan error      // a server or the board ended by itself
	stopped   atomic.Value    // of stoppage: why fetching is stopped
	resumed   atomic.Value    // of time.Time: when fetching went on last
	doubted   atomic.Value    // of stoppage: why single pages may never come
	sealing   atomic.Value    // of stoppage: why sealing fails
	skew      string          // a sentence about the clock of the S3 service; empty: it is right, or not known
	hooks     *ingest.Handler // takes in webhooks
	zone      *ingest.Zone    // of the provider's times
	memory    *intake.Memory  // of all work on pages
	tracer    *trace.Tracer   // nil: off
	running   sync.WaitGroup
}

// stoppage wraps an error, nil too, for an atomic.Value.
type stoppage struct{ error }

// Start starts the parts; on an error it stops what it started. A ConfigError says that c is wrong.
func Start(ctx context.Context, c Config) (*App, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return start(ctx, c)
}

// start starts the parts in the order in which they need each other.
func start(ctx context.Context, c Config) (_ *App, err error) {
	a := &App{
		cfg:   c,
		began: time.Now(), log: c.Log, disks: c.disks(), failed: make(chan error, 4), memory: intake.NewMemory(c.budget(), c.path("spool")),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop())
		}
	}()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if err := a.startProfiles(c); err != nil { // first: a slow start can be profiled too
		return nil, err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.startTraces(c, reg); err != nil { // first, so that it ends last
		return nil, err
	}
	if c.Spool.Dir != "" {
		if err := a.startSpool(ctx, c, reg); err != nil {
			return nil, err
		}
	}
	if err := a.openStores(ctx, c, reg); err != nil {
		return nil, err
	}
	if a.spool != nil {
		a.spool.Join(a.bus)
	} else if err := a.startWebhooks(c, reg, a.bus, a.bus.Takes); err != nil {
		return nil, err
	}
	a.startZone(ctx)
	a.startNotingOutages(ctx)
	if err := a.startWork(ctx, c, reg); err != nil {
		return nil, err
	}
	if !c.has(RoleWebhook) || a.webhookURL != "" {
		return a, nil
	}
	if a.webhookURL, err = a.listen("webhook", c.WebhookAddr, a.hooks, nil); err != nil { // last: work on a webhook begins at once
		return nil, err
	}
	return a, nil
}

// startWork starts everything but what takes webhooks.
func (a *App) startWork(ctx context.Context, c Config, reg *prometheus.Registry) error {
	if c.OnlyWebhooks() {
		return a.listenHealth(c, reg)
	}
	client, err := a.provider(c)
	if err != nil {
		return &ConfigError{err}
	}
	if err := a.startPipeline(ctx, c, reg, client); err != nil {
		return err
	}
	if c.has(RoleReconciler) {
		a.startSealer(ctx, c) // before what records reads: at the stop it ends after that
	}
	if !c.has(RoleReconciler, RoleOCR, RoleAdmin) {
		return a.listenHealth(c, reg)
	}
	open := &ingest.OpenSessions{}
	reconciler, err := a.reconciler(c, ingest.ReconcilerConfig{Provider: client, Open: open, Registerer: reg})
	if err != nil {
		return &ConfigError{err}
	}
	if err := a.startAdmin(ctx, c, reg, open.Put, reconciler); err != nil {
		return err
	}
	if c.has(RoleReconciler) {
		a.startReconciler(ctx, c, reconciler)
	}
	return nil
}

// openStores opens the archive and JetStream.
func (a *App) openStores(ctx context.Context, c Config, reg prometheus.Registerer) error {
	cfg := c.NATS
	if cfg.Join = c.OnlyWebhooks(); !cfg.Join {
		store, err := a.openArchive(ctx, c, reg)
		if err != nil {
			return err
		}
		cfg.Marker = marker{store}
		if a.skew, err = c.checkClock(ctx); err != nil {
			return err
		}
	}
	return a.openBus(ctx, c, cfg, reg)
}

func (a *App) openArchive(ctx context.Context, c Config, reg prometheus.Registerer) (store, error) {
	s, closeArchive, err := c.Archive.open(ctx, c.Retention, c.Log)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, closeArchive)
	if a.archive, err = watch(s, reg, c.Log); err != nil {
		return nil, err
	}
	a.archive.tracer = a.tracer
	a.startChecking(ctx)
	return s, nil
}

func (a *App) openBus(ctx context.Context, c Config, cfg bus.Config, reg prometheus.Registerer) (err error) {
	if cfg.Buried, err = countLetters(reg); err != nil {
		return err
	}
	cfg.Log, cfg.Trace = c.Log, a.tracer
	if cfg.Outward == nil {
		cfg.Outward = events.Outward("")
	}
	if server := &cfg.Embedded; server.Listen != "" && !server.Insecure {
		if server.Password, err = access.SubscriberPassword(c.Dir); err != nil {
			return err
		}
	}
	if err := c.listener(&cfg.Embedded); err != nil {
		return err
	}
	profiled(ctx, "nats", func(ctx context.Context) { a.bus, err = a.join(ctx, cfg) })
	if errors.Is(err, bus.ErrWeak) {
		return configErrorf("--strict: %w", err)
	}
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.bus.Close)
	if !cfg.Join {
		err = a.bus.BuryAbandoned(ctx)
	}
	return errors.Join(
		err, gaugeLetters(reg, a.bus), gaugeDisks(reg, a.disks),
		reg.Register(fillCollector{a.bus}), reg.Register(backlogCollector{a.bus}), gaugeRoles(reg, c, a.bus),
	)
}

// startChecking keeps testing whether the archive accepts writes.
func (a *App) startChecking(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.archive.keepChecking(ctx)
	}()
	a.closers = append(a.closers, func() error {
		cancel()
		<-done // before the archive is closed
		return nil
	})
}

// startPipeline starts what makes documents of the facts in JetStream.
func (a *App) startPipeline(ctx context.Context, c Config, reg prometheus.Registerer, client *faxplus.Client) error {
	stages, err := newStageMetrics(reg)
	if err != nil {
		return err
	}
	cleaned, err := newCleanedMetrics(reg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx) // when a new App starts in this process, nothing of the old one may run
	a.closers = append(a.closers, func() error { stop(); return nil })
	return pipeline.Start(ctx, pipeline.Config{
		Bus: a.bus, Archive: a.archive, Remover: remover{a.archive}, Retention: c.Retention.time, Provider: client,
		Policy: c.policy(), Retry: c.retry(), ScratchDir: c.path("spool"), Memory: a.memory,
		Software: c.Software, SignKey: c.SignKey, Fetches: c.Fetches, Parts: c.parts(), Log: c.Log,
		Ingest:  a.hooks.Again,
		Stopped: a.fetchingStopped,
		Doubted: func(err error) { a.doubted.Store(stoppage{err}) },
		Outage:  func(ctx context.Context) session.Outage { return a.archive.Outage(ctx).And(a.elsewhere(ctx)) },

		LedgerAge: c.LedgerAge, Busy: a.busy, Cleaned: cleaned.count,
		Observe: func(ctx context.Context, s stage.Step) {
			stages.observe(s)
			traceStep(ctx, a.tracer, s)
			if c.Observe != nil {
				c.Observe(s)
			}
		},
	})
}

// muchWaits is how many messages wait for a consumer when it has more to do than single faxes.
const muchWaits = 20

// busy reports whether fresh work waits: what can be done at any time is done later.
func (a *App) busy() bool {
	return slices.ContainsFunc(a.bus.Backlogs(), func(b bus.Backlog) bool { return b.Pending > muchWaits })
}

// WebhookURL is where webhooks are taken, without the path and the secret.
func (a *App) WebhookURL() string { return a.webhookURL }

// AdminURL is where API, dashboard and metrics are served.
func (a *App) AdminURL() string { return a.adminURL }

// NATSURL is where subscribers reach the embedded server; empty where it does not listen.
func (a *App) NATSURL() string { return a.bus.ClientURL() }

func (a *App) provider(c Config) (*faxplus.Client, error) {
	cfg := c.Provider
	cfg.Logger, cfg.Zone, cfg.Wrap = a.log, a.zone.Location, a.tracer.Client
	client, err := faxplus.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { client.Close(); return nil })
	return client, nil
}

// startAdmin returns when the board and seen have seen every ledger.
func (a *App) startAdmin(ctx context.Context, c Config, reg *prometheus.Registry, seen func(session.State), r *ingest.Reconciler) error {
	board := &dashboard.Board{}
	c.NoSearch = c.NoSearch || !c.has(RoleAdmin) // nobody searches here
	found, err := a.startSearch(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	caught := make(chan struct{})
	a.running.Go(func() {
		all := func(st session.State) { seen(st); found.seen(st) }
		if err := board.Follow(ctx, teed{a.bus, all}, func() { close(caught) }); err != nil && ctx.Err() == nil {
			a.fail(err)
		}
	})
	a.closers = append(a.closers, func() error { cancel(); return nil })
	select {
	case <-caught:
		debug.FreeOSMemory() // the streams and ledgers that a start reads leave more garbage than they are
	case err := <-a.failed:
		return err
	}
	if err := gaugeDiffering(reg, board); err != nil {
		return err
	}
	services := &subscribers.Service{Bus: a.bus, Key: c.linkKey}
	if err := services.Admit(ctx); err != nil {
		return err
	}
	if c.has(RoleOCR) && c.OCR != nil {
		if err := gaugeRole(reg, RoleOCR, unread(services)); err != nil {
			return err
		}
	}
	past := health.New(reg)
	a.running.Go(func() { past.Run(ctx) })
	guarded := &hold.Guard{Store: a.archive, Remover: remover{a.archive}, Log: a.log}
	small := intake.NewThumbnails(a.memory)
	cfg, err := a.health(c, reg)
	if err != nil {
		return err
	}
	if err := a.shareLogins(ctx, c); err != nil {
		return err
	}
	handler := dashboard.NewHandler(dashboard.Config{
		Roles: cfg.Roles, Narrow: !c.has(RoleAdmin), Ready: cfg.Ready, Warnings: cfg.Warnings, Log: cfg.Log, Gate: cfg.Gate, Metrics: cfg.Metrics,
		Board: board, Ledgers: a.ledgers(), Letters: a.bus, Archive: a.archive, PageKey: archive.NamedPageKey,
		Thumbnail: small.PNG, BadRows: badRows(small), Audit: a.bus, Trail: a.trail,
		Older: recovery.Catalog{Archive: a.archive}, Events: a.bus.Follow, Refused: a.refused,
		Facts:       a.bus.Facts,
		Texts:       &ocr.Results{Facts: a.bus, Archive: guarded},
		Search:      found.asSearch(),
		Names:       c.Names,
		Views:       c.Views,
		PNGScale:    events.PNGScale,
		Desk:        desks{desk.Logs{Archive: guarded}},
		Derived:     derivations{&document.Derivations{Archive: a.archive}},
		Subscribers: services,
		Holds:       a.rules(c), Images: a.images, FaxForm: a.faxForm(c, a.memory), Verify: a.prove(c),
		Health:    past.Now,
		Reconcile: func(ctx context.Context, since time.Time, dry bool) any { return r.Check(ctx, since, dry) },
	})
	err = a.listenAdmin(c, handler)
	if err == nil && c.has(RoleAdmin) {
		err = a.startTexts(ctx, handler, services)
	}
	if err != nil || !c.has(RoleOCR) {
		return err
	}
	return a.startOCR(ctx, c, handler, a.began)
}

// images reads the two images of each page that a report found different.
func (a *App) images(ctx context.Context, report session.Object) (map[int]map[string]session.PageArchived, error) {
	r, err := archive.ReadReport(ctx, a.archive, report)
	return r.Images(), err
}

// rules say what may not be deleted.
func (a *App) rules(c Config) hold.Rules {
	return hold.Rules{Archive: a.archive, Remover: remover{a.archive}, Retention: c.Retention.time}
}

// ready fails when webhooks cannot be recorded or objects cannot be archived. It says for which roles of the process this is.
func (a *App) ready(ctx context.Context) error {
	if err := a.bus.Ready(ctx); err != nil {
		return a.cfg.waiting(a.orSpooling(ctx, err), Roles()...)
	}
	for _, d := range a.disks {
		if err := d.check(); err != nil {
			return a.cfg.waiting(err, Roles()...)
		}
	}
	if a.archive != nil {
		if err := a.archive.Check(ctx); err != nil {
			return a.cfg.waiting(err, RoleWorker, RoleCollector, RoleAssembler, RoleReconciler, RoleOCR, RoleAdmin)
		}
	}
	if s, _ := a.stopped.Load().(stoppage); s.error != nil {
		return a.cfg.waiting(fmt.Errorf("fetching is stopped, because the provider cannot be used: %w", s.error), RoleWorker)
	}
	return nil
}

// warnings are problems that will soon stop the work, or that make it slower or less safe.
func (a *App) warnings(ctx context.Context) ([]string, error) {
	warnings, err := a.bus.Warnings(ctx)
	for _, d := range a.disks {
		if w := d.warning(); w != "" {
			warnings = append(warnings, w)
			break // another directory is usually on the same disk
		}
	}
	if a.skew != "" {
		warnings = append(warnings, a.skew)
	}
	if d, _ := a.doubted.Load().(stoppage); d.error != nil {
		warnings = append(warnings, d.Error())
	}
	if u, _ := a.sealing.Load().(stoppage); u.error != nil {
		warnings = append(warnings, "sealing the audit fails, and entries that are not sealed within 30 days are lost: "+u.Error())
	}
	return slices.Concat(warnings, a.hooks.Warnings(), a.zone.Warnings(), a.spoolWarnings(ctx)), err
}

// refused are the addresses whose webhooks were refused last.
func (a *App) refused() []api.Refusal {
	list := []api.Refusal{}
	for _, r := range a.hooks.Refused() {
		list = append(list, api.Refusal(r))
	}
	return list
}

// startWebhooks makes the handler of webhooks, and the zone of their times; nothing reaches it before it listens.
func (a *App) startWebhooks(c Config, reg prometheus.Registerer, to ingest.Recorder, takes func(context.Context) error) (err error) {
	a.zone, err = ingest.NewZone(ingest.ZoneConfig{Configured: c.Zone, Notes: notes{a}, Logger: a.log, Registerer: reg})
	if err != nil {
		return err
	}
	cfg := ingest.Config{
		AllowFrom: c.AllowFrom, TrustedProxies: c.TrustedProxies, Recorder: to, Ready: takes, Zone: a.zone, Logger: a.log, Registerer: reg,
	}
	if a.tracer != nil {
		cfg.Trace = a.tracer.Webhook
	}
	if len(c.Secrets) > 0 {
		cfg.Secrets = func() []string { return c.Secrets }
	}
	a.hooks, err = ingest.NewHandler(cfg)
	return err
}

// stopTimeout is how long requests in flight may go on after a signal.
const stopTimeout = 5 * time.Second

// listen serves h on addr, with TLS where it is configured, and returns its URL.
func (a *App) listen(name, addr string, h http.Handler, secure *tls.Config) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("--%s-addr %s: %w (stop the program that listens there, or give another address)", name, addr, err)
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
		var err error
		profiled(ctx, name, func(context.Context) { err = serve(srv, l) })
		if !errors.Is(err, http.ErrServerClosed) {
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

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default: // the first reason to stop is enough
	}
}

// Wait runs until ctx ends or a part fails, and stops in order. When the embedded server has lost its disk it goes on to answer
// 503, red, until there is room, and ends with errStoreDied.
func (a *App) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping: current work is finished now or at the next start")
	case err = <-a.failed:
	case died := <-a.bus.Failed():
		a.log.Error("the disk is not writable: webhooks are answered 503 until it is; make room or repair the disk", "err", died)
		a.disks[0].fill()
		a.disks[0].await(ctx)
		err = fmt.Errorf("%w: %w", errStoreDied, died)
	}
	return errors.Join(err, a.Stop())
}

// Stop ends the parts in the reverse order of their start: first nothing comes in any more, then work in flight is finished.
func (a *App) Stop() error {
	var errs []error
	for _, closer := range slices.Backward(append(a.closers, a.listeners...)) {
		errs = append(errs, closer())
	}
	a.closers, a.listeners = nil, nil
	a.running.Wait()
	return errors.Join(errs...)
}
