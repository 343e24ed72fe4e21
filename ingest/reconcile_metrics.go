package ingest

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type reconcileMetrics struct {
	faxes  *prometheus.CounterVec
	passes *prometheus.CounterVec
}

func newReconcileMetrics(reg prometheus.Registerer, lag func() float64) (*reconcileMetrics, error) {
	m := &reconcileMetrics{
		faxes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_reconciled_faxes_total",
			Help: "Faxes in the provider's lists by decision; a fax counts in every pass that sees it.",
		}, []string{"outcome"}),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faxstream_reconcile_passes_total",
			Help: "Comparisons with the provider's lists; failed: not read completely, the next pass reads the same time window again.",
		}, []string{"outcome"}),
	}
	for _, outcome := range outcomes() {
		m.faxes.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"complete", "failed"} {
		m.passes.WithLabelValues(outcome)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.faxes, m.passes, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "faxstream_reconcile_lag_seconds",
		Help: "Age of the last complete comparison with the provider's lists; 0 while none is known or if it is off.",
	}, lag)} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("ingest: metrics: %w", err)
		}
	}
	return m, nil
}

// pass counts a pass. If its caller ended it (cutOff), it counts neither as complete nor as failed.
func (m *reconcileMetrics) pass(r Report, cutOff bool) {
	for _, f := range r.Faxes {
		m.faxes.WithLabelValues(f.Outcome).Inc()
	}
	switch {
	case r.err == nil:
		m.passes.WithLabelValues("complete").Inc()
	case !cutOff:
		m.passes.WithLabelValues("failed").Inc()
	}
}
