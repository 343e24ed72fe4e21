package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/pipeline"
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
			Help:    "Time that one step of a stage took, in seconds; its count is the number of steps that succeeded.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12), // 0.5 ms to 12 s
		}, []string{"stage"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_stage_failures_total",
			Help: "Attempts of a stage that gave no page, by reason.",
		}, []string{"stage", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.seconds, m.failures} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *stageMetrics) observe(s pipeline.Step) {
	if s.Reason != "" {
		m.failures.WithLabelValues(s.Stage, string(s.Reason)).Inc()
		return
	}
	if s.Took == 0 {
		return // an instant, such as an announcement: the webhooks' own counter has it
	}
	m.seconds.WithLabelValues(s.Stage).Observe(s.Took.Seconds())
}
