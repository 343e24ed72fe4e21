package app

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/recovery"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/subscribers"
	"github.com/faxstream/faxstream/pipeline/trace"
)

// stageMetrics counts the pipeline's steps. Registered per instance, so that several run in one process.
type stageMetrics struct {
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec
}

func newStageMetrics(r prometheus.Registerer) (*stageMetrics, error) {
	m := &stageMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "faxstream_stage_seconds",
			Help:    "Duration of one step of a stage, in seconds; its count is the number of steps that succeeded.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12), // 0.5 ms to 12 s
		}, []string{"stage"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_stage_failures_total",
			Help: "Failed attempts of a stage, by reason.",
		}, []string{"stage", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.seconds, m.failures} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *stageMetrics) observe(s stage.Step) {
	if s.Reason != "" {
		m.failures.WithLabelValues(s.Stage, string(s.Reason)).Inc()
		return
	}
	if s.Took == 0 {
		return // an instant, such as an announcement: the webhooks' own counter has it
	}
	m.seconds.WithLabelValues(s.Stage).Observe(s.Took.Seconds())
}

// traceStep adds a step to the trace of its fax. The span of the work says how long a stage takes, or a request or a write in it, but for
// decoding, which gets a span of its own.
func traceStep(ctx context.Context, t *trace.Tracer, s stage.Step) {
	step := trace.Step{Stage: s.Stage, Page: s.Page, Attempt: s.Attempt, Reason: string(s.Reason)}
	if s.Stage == stage.Decode {
		step.Took = s.Took
	}
	t.Step(ctx, step)
}

// startTraces begins to send traces, where the Config names a receiver.
func (a *App) startTraces(c Config, r prometheus.Registerer) error {
	if c.Traces == nil {
		return nil
	}
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "faxstream_trace_spans_total",
		Help: "Spans of traces by what became of them: sent, failed (the receiver did not take them), dropped (too many waited for it).",
	}, []string{"outcome"})
	for _, outcome := range []string{trace.Sent, trace.Failed, trace.Dropped} {
		spans.WithLabelValues(outcome) // 0, not absent: an increase from nothing is seen
	}
	cfg := *c.Traces
	cfg.Version, cfg.Log = c.Software, c.Log
	cfg.Counted = func(outcome string, n int) { spans.WithLabelValues(outcome).Add(float64(n)) }
	var err error
	if a.tracer, err = trace.New(cfg); err != nil {
		return &ConfigError{err}
	}
	a.closers = append(a.closers, func() error { a.tracer.Close(); return nil })
	return r.Register(spans)
}

// countLetters counts the dead letters that this process stores.
func countLetters(r prometheus.Registerer) (func(session.DeadLetter), error) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "faxstream_dead_letters_total",
		Help: "Dead letters that this process has stored, by reason.",
	}, []string{"reason"})
	return func(d session.DeadLetter) { total.WithLabelValues(string(d.Reason)).Inc() }, r.Register(total)
}

// cleanedMetrics say what became of the ledgers of old faxes.
type cleanedMetrics struct {
	removed prometheus.Counter
	stay    prometheus.Gauge
}

func newCleanedMetrics(r prometheus.Registerer) (*cleanedMetrics, error) {
	m := &cleanedMetrics{
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "faxstream_ledgers_removed_total",
			Help: "Ledgers of faxes that ended long ago which this process has removed from JetStream; the archive has them: see --ledger-age.",
		}),
		stay: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "faxstream_ledgers_staying",
			Help: "Ledgers of faxes that ended long ago which stay in JetStream, because the archive would not give back the same; " +
				"as of the last run of this process.",
		}),
	}
	return m, errors.Join(r.Register(m.removed), r.Register(m.stay))
}

func (m *cleanedMetrics) count(done recovery.Cleaned) {
	m.removed.Add(float64(done.Removed))
	stay := 0
	for _, n := range done.Stay {
		stay += n
	}
	m.stay.Set(float64(stay))
}

// gaugeTimeout is how long a scrape waits for JetStream.
const gaugeTimeout = 2 * time.Second

// gaugeLetters shows how many dead letters wait for a person, from all processes; NaN while JetStream does not answer.
func gaugeLetters(r prometheus.Registerer, letters interface {
	LiveLetters(ctx context.Context) (uint64, error)
},
) error {
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_dead_letters",
		Help: "Dead letters that nobody has acted on yet: see faxstream dlq ls.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
		defer cancel()
		n, err := letters.LiveLetters(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}

// gaugeDiffering shows how many pages wait for a person who chooses one of two images, in the faxes of all processes.
func gaugeDiffering(r prometheus.Registerer, board interface{ Differing() int }) error {
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_differing_pages",
		Help: "Pages that differ from the same page of the whole file, and of which nobody has chosen an image yet: see faxstream ls --differs.",
	}, func() float64 { return float64(board.Differing()) }))
}

// fillCollector shows how full the streams are; nothing while JetStream does not answer.
type fillCollector struct {
	streams interface {
		Fill(ctx context.Context) ([]bus.Fill, error)
	}
}

var (
	fillBytes = prometheus.NewDesc("faxstream_stream_bytes", "Bytes in a stream of JetStream.", []string{"stream"}, nil)
	fillLimit = prometheus.NewDesc("faxstream_stream_limit_bytes",
		"Bytes at which a stream is full; then webhooks or work must wait.", []string{"stream"}, nil)
)

func (fillCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- fillBytes
	ch <- fillLimit
}

func (c fillCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
	defer cancel()
	fills, err := c.streams.Fill(ctx)
	if err != nil {
		return // absent; /readyz says why
	}
	for _, f := range fills {
		ch <- prometheus.MustNewConstMetric(fillBytes, prometheus.GaugeValue, float64(f.Bytes), f.Stream)
		ch <- prometheus.MustNewConstMetric(fillLimit, prometheus.GaugeValue, float64(f.Limit), f.Stream)
	}
}

// backlogCollector shows the work that waits for each durable consumer of this process.
type backlogCollector struct {
	consumers interface{ Backlogs() []bus.Backlog }
}

var (
	backlogPending = prometheus.NewDesc(
		"faxstream_consumer_pending", "Messages that a consumer has not handled yet.", []string{"consumer"}, nil,
	)
	backlogOldest = prometheus.NewDesc(
		"faxstream_consumer_oldest_seconds", "How long the oldest message of a consumer waits to be handled, in seconds.", []string{"consumer"},
		nil,
	)
)

func (backlogCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- backlogPending
	ch <- backlogOldest
}

func (c backlogCollector) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.consumers.Backlogs() {
		ch <- prometheus.MustNewConstMetric(backlogPending, prometheus.GaugeValue, float64(l.Pending), l.Consumer)
		ch <- prometheus.MustNewConstMetric(backlogOldest, prometheus.GaugeValue, l.Oldest.Seconds(), l.Consumer)
	}
}

// roleCollector shows the work of one role that waits, in all processes: so many more of the role are useful. Absent while it is unknown.
type roleCollector struct {
	pages, oldest *prometheus.Desc
	ask           func(ctx context.Context) (waiting uint64, oldest time.Duration, err error)
}

func (c roleCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.pages
	ch <- c.oldest
}

func (c roleCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
	defer cancel()
	waiting, oldest, err := c.ask(ctx)
	if err != nil {
		return // absent; /readyz says why
	}
	ch <- prometheus.MustNewConstMetric(c.pages, prometheus.GaugeValue, float64(waiting))
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds())
}

// gaugeRole shows the work that waits for a role.
func gaugeRole(r prometheus.Registerer, role string, ask func(context.Context) (uint64, time.Duration, error)) error {
	of := prometheus.Labels{"role": role}
	return r.Register(roleCollector{
		pages: prometheus.NewDesc("faxstream_backlog_pages",
			"What waits for a role, or is in work there, in all processes: pages and whole files to fetch (worker), facts (collector), "+
				"documents and orders of people (assembler), pages to read (ocr).", nil, of),
		oldest: prometheus.NewDesc("faxstream_backlog_oldest_seconds", "How long the oldest of them waits, in seconds.", nil, of),
		ask:    ask,
	})
}

// backlogAtMost is how old a figure may be: an outage of the servers must not look like little work, or like much.
const backlogAtMost = time.Minute

var errUnknownBacklog = errors.New("the NATS servers have not said lately what waits")

// gaugeRoles shows the work that waits for the roles of this process that read streams.
func gaugeRoles(r prometheus.Registerer, c Config, consumers interface{ Backlogs() []bus.Backlog }) error {
	var errs []error
	for role, part := range partOf {
		if !c.has(role) {
			continue
		}
		errs = append(errs, gaugeRole(r, role, func(context.Context) (waiting uint64, oldest time.Duration, _ error) {
			known := false
			for _, l := range consumers.Backlogs() {
				if l.Part != string(part) {
					continue
				}
				if known = true; time.Since(l.Seen) > backlogAtMost {
					return 0, 0, errUnknownBacklog
				}
				waiting, oldest = waiting+l.Pending, max(oldest, l.Oldest)
			}
			if !known {
				return 0, 0, errUnknownBacklog
			}
			return waiting, oldest, nil
		}))
	}
	return errors.Join(errs...)
}

// unread asks for the pages that wait for the workers with Tesseract.
func unread(services interface {
	List(ctx context.Context) ([]subscribers.Status, error)
},
) func(context.Context) (uint64, time.Duration, error) {
	return func(ctx context.Context) (waiting uint64, oldest time.Duration, err error) {
		all, err := services.List(ctx)
		for _, s := range all {
			if s.Name != ocrName {
				continue
			}
			if waiting = uint64(s.Waiting + s.InWork); !s.Oldest.IsZero() {
				oldest = max(time.Since(s.Oldest), 0)
			}
		}
		return waiting, oldest, err
	}
}
