package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/spool"
)

// startSpool opens the spool, and takes webhooks before the NATS servers do: they may be away. Until the rest is started the admin listener
// serves health and metrics.
func (a *App) startSpool(ctx context.Context, c Config, reg *prometheus.Registry) (err error) {
	cfg := c.Spool
	cfg.Log = c.Log
	if a.spool, err = spool.Open(ctx, cfg); err != nil {
		return err
	}
	a.closers = append(a.closers, a.spool.Close)
	a.runSpool(ctx)
	if err := errors.Join(reg.Register(spoolCollector{a.spool}), gaugeDisks(reg, []*disk{{name: "spool", dir: cfg.Dir}})); err != nil {
		return err
	}
	if err := a.startWebhooks(c, reg, a.spool, a.spoolTakes); err != nil {
		return err
	}
	early, err := a.health(c, reg)
	if err != nil {
		return err
	}
	early.Narrow, early.Warnings = true, nil
	early.Ready = func(context.Context) error {
		return c.waiting(errors.New("the start waits for the NATS servers; webhooks are stored in the spool"), Roles()...)
	}
	before := len(a.closers)
	a.early = &replaceable{}
	if err := a.listenAdmin(c, dashboard.NewHandler(early)); err != nil {
		return err
	}
	if a.webhookURL, err = a.listen("webhook", c.WebhookAddr, a.hooks, nil); err != nil {
		return err
	}
	a.listeners, a.closers = append(a.listeners, a.closers[before:]...), a.closers[:before:before]
	a.log.Info("webhooks are taken", "webhook", a.webhookURL, "admin", a.adminURL, "spool", cfg.Dir)
	return nil
}

// replaceable is a handler that another one may replace while it serves.
type replaceable struct{ atomic.Pointer[http.Handler] }

// replace reports whether there was a handler before.
func (r *replaceable) replace(h http.Handler) bool { return r.Swap(&h) != nil }

func (r *replaceable) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	(*r.Load()).ServeHTTP(w, req)
}

// spoolTakes says at /readyz of the webhook listener that webhooks go into the spool.
func (a *App) spoolTakes(ctx context.Context) error {
	err := a.spool.Takes(ctx)
	if errors.Is(err, spool.ErrSpooling) {
		return ingest.ErrSpooling
	}
	return err
}

// orSpooling adds to why the NATS servers are not ready that webhooks are stored nevertheless.
func (a *App) orSpooling(ctx context.Context, why error) error {
	if a.spool != nil && errors.Is(a.spool.Takes(ctx), spool.ErrSpooling) {
		return fmt.Errorf("%w; webhooks are stored in the spool", why)
	}
	return why
}

const (
	joinEvery = time.Second // between two tries to reach NATS servers that are away

	nearlyFullSpool = 80 // percent, from which it is warned of
)

// errStopped: the process was told to stop while it waited for the NATS servers.
var errStopped = errors.New("stopped while the NATS servers were away; what is in the spool is sent after the next start")

// join opens JetStream. With a spool it waits for NATS servers that are away.
func (a *App) join(ctx context.Context, cfg bus.Config) (*bus.Bus, error) {
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	for {
		b, err := bus.Open(ctx, cfg)
		if err == nil || a.spool == nil {
			return b, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errStopped, err)
		}
		if !errors.Is(err, bus.ErrAway) {
			return nil, err
		}
		a.spool.Away(err)
		select {
		case <-tick.C:
		case <-ctx.Done():
		case err := <-a.failed:
			return nil, err
		}
	}
}

// runSpool sends what is in the spool to the NATS servers, once they are known, until the listeners are closed: JetStream and the spool are
// still open then.
func (a *App) runSpool(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.spool.Run(ctx)
	}()
	a.listeners = append(a.listeners, func() error {
		cancel()
		<-done
		return nil
	})
}

// spoolWarnings says what a person must look at in the spool.
func (a *App) spoolWarnings(ctx context.Context) (warnings []string) {
	if a.spool == nil {
		return nil
	}
	state, err := a.spool.State(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	if state.Kept > 0 {
		warnings = append(warnings, fmt.Sprintf("%d events of webhooks are in the spool of %s, and the NATS servers never take them as they are "+
			"configured: the log says why; they are tried again at the next start", state.Kept, a.cfg.Spool.Dir))
	}
	if state.Bytes > state.Max/100*nearlyFullSpool {
		warnings = append(warnings, fmt.Sprintf("the spool in %s is %d %% full; when it is full, webhooks that the NATS servers do not take "+
			"are answered 503: give it more room with --spool-max", a.cfg.Spool.Dir, state.Bytes*100/max(state.Max, 1)))
	}
	return warnings
}

// spoolCollector shows what waits in the spool; of the disk nothing while it cannot be read.
type spoolCollector struct{ spool *spool.Spool }

var (
	spoolEvents = spoolDesc("faxstream_spool_events", "Events of webhooks in the spool that the NATS servers do not have yet.")
	spoolKept   = spoolDesc("faxstream_spool_kept_events",
		"Events in the spool that the NATS servers never take as they are configured; faxstream_spool_events counts them too.")
	spoolBytes = spoolDesc("faxstream_spool_bytes", "Bytes of events in the spool.")
	spoolLimit = spoolDesc("faxstream_spool_limit_bytes",
		"Bytes that the spool takes (--spool-max); a tenth of it is for bodies that are not webhooks: at nine tenths webhooks are refused.")
	spoolOldest = spoolDesc("faxstream_spool_oldest_seconds", "How long the oldest event is in the spool, in seconds; 0: it is empty.")
	spoolActive = spoolDesc("faxstream_spool_active", "1 while webhooks go into the spool, because the NATS servers do not take them.")
	spoolTotal  = spoolDesc("faxstream_spool_stored_total", "Events that this process has stored in the spool.")
)

func spoolDesc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

func (spoolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{spoolEvents, spoolKept, spoolBytes, spoolLimit, spoolOldest, spoolActive, spoolTotal} {
		ch <- d
	}
}

func (c spoolCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
	defer cancel()
	s, err := c.spool.State(ctx)
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(spoolActive, map[bool]float64{true: 1}[s.Away])
	gauge(spoolKept, float64(s.Kept))
	ch <- prometheus.MustNewConstMetric(spoolTotal, prometheus.CounterValue, float64(s.Spooled))
	if err != nil {
		return // absent; the log says why
	}
	gauge(spoolEvents, float64(s.Events+s.Letters))
	gauge(spoolBytes, float64(s.Bytes))
	gauge(spoolLimit, float64(s.Max))
	oldest := 0.0
	if !s.Oldest.IsZero() {
		oldest = time.Since(s.Oldest).Seconds()
	}
	gauge(spoolOldest, oldest)
}

// DrainSpool sends what a process has left in the spool of a directory to NATS servers. It may be repeated.
func DrainSpool(ctx context.Context, cfg spool.Config, servers bus.Config) (d spool.Drained, err error) {
	left, err := spool.OpenLeft(ctx, cfg)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, left.Close()) }()
	servers.Log, servers.Join = cfg.Log, true
	b, err := bus.Open(ctx, servers)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return left.Drain(ctx, b)
}
