package ingest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The result of a webhook: codes in answers and values of the label outcome.
const (
	codeRecorded     = "recorded"
	codeRepeated     = "repeated"
	codeUnknownEvent = "unknown_event"
	codeForbidden    = "forbidden_source"
	codeNotFound     = "not_found"
	codeMethod       = "method_not_allowed"
	codeTooLarge     = "too_large"
	codeIncomplete   = "incomplete"
	codeMalformed    = "malformed"
	codeBadField     = "bad_field"
	codeNotRecorded  = "not_recorded"
	codeReady        = "ready"
	codeSpooling     = "spooling"
	codeNotReady     = "not_ready"
)

type metrics struct {
	webhooks *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_webhooks_total",
			Help: "Webhooks by result.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "faxstream_webhook_seconds",
			Help:    "Time from the headers of a webhook to its answer with 200 or 503.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // to 4 s; the recorder gives up at 5 s
		}),
	}
	for _, code := range []string{
		codeRecorded, codeRepeated, codeUnknownEvent, codeForbidden, codeNotFound, codeMethod,
		codeTooLarge, codeIncomplete, codeMalformed, codeBadField, codeNotRecorded,
	} {
		m.webhooks.WithLabelValues(code) // alerts need a series that exists from the start
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.webhooks, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("ingest: metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(rep reply, took time.Duration) {
	m.webhooks.WithLabelValues(rep.code).Inc()
	if rep.status == http.StatusOK || rep.status == http.StatusServiceUnavailable {
		m.seconds.Observe(took.Seconds())
	}
}
