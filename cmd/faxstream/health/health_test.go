package health

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The report has the rates, levels and latencies of the last hour, and nothing of before.
func TestTheLastHour(t *testing.T) {
	reg := prometheus.NewRegistry()
	webhooks := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "faxstream_webhooks_total"}, []string{"result"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "faxstream_stage_seconds", Buckets: []float64{0.001, 0.01, 0.1, 1},
	}, []string{"stage"})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "faxstream_stage_failures_total"}, []string{"stage", "reason"})
	pending := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "faxstream_consumer_pending"}, []string{"consumer"})
	free := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "faxstream_disk_free_bytes"}, []string{"disk"})
	reg.MustRegister(webhooks, took, failed, pending, free)
	free.WithLabelValues("state").Set(5e9)

	r := New(reg)
	start := time.Now().Add(-2 * time.Hour)
	for i := range 240 { // two hours
		if i == 119 { // before the last hour
			webhooks.WithLabelValues("recorded").Add(1000)
			took.WithLabelValues("publish").Observe(0.5)
			failed.WithLabelValues("fetch", "not_ready").Inc()
		}
		webhooks.WithLabelValues("recorded").Add(2)
		webhooks.WithLabelValues("repeated").Add(1)
		took.WithLabelValues("publish").Observe(0.002)
		took.WithLabelValues("fetch").Observe(0.05)
		pending.WithLabelValues("page").Set(float64(i))
		r.take(start.Add(time.Duration(i) * every))
	}
	webhooks.WithLabelValues("recorded").Add(3)
	for range 5 {
		took.WithLabelValues("publish").Observe(0.9)
	}
	failed.WithLabelValues("fetch", "not_ready").Inc()
	failed.WithLabelValues("fetch", "empty").Inc()
	report := r.Now()

	if got := time.Since(report.Since); got < 55*time.Minute || got > 65*time.Minute {
		t.Errorf("the report begins %s ago, want an hour", got)
	}
	for i, want := range []Plot{{Now: "6", Most: "6"}, {Now: "2"}, {Now: "239", Most: "239"}, {Now: "0", Most: "0"}} {
		got := report.Plots[i]
		if got.Now != want.Now && i != 1 || want.Most != "" && got.Most != want.Most || len(strings.Fields(got.Points)) < 100 {
			t.Errorf("%s: now %s, most %s, %d points, want %+v", got.Title, got.Now, got.Most, len(strings.Fields(got.Points)), want)
		}
	}
	if len(report.Stages) != 2 {
		t.Fatalf("stages %+v", report.Stages)
	}
	if s := report.Stages[0]; s.Name != "fetch" || s.Failures != 2 || s.P50 != 100*time.Millisecond {
		t.Errorf("fetch is %+v", s)
	}
	if s := report.Stages[1]; s.Count < 120 || s.Count > 130 || s.P50 != 10*time.Millisecond || s.P99 != time.Second {
		t.Errorf("publish is %+v", s)
	}
	if len(report.Waiting) != 1 || report.Waiting[0].Messages != 239 || len(report.Rooms) != 1 ||
		!strings.Contains(report.Rooms[0].Text, "5.0 GB") {
		t.Errorf("waiting %+v, rooms %+v", report.Waiting, report.Rooms)
	}
}

// A process that has just begun, and one without metrics, have a report too.
func TestABeginning(t *testing.T) {
	if report := New(prometheus.NewRegistry()).Now(); len(report.Plots) != 4 || report.Plots[0].Points != "" || len(report.Stages) > 0 {
		t.Errorf("%+v", report)
	}
}

// A bound is short enough for people, and stays a bound that they recognize.
func TestBoundsHaveThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 19531250: "19.5ms", 762939453: "763ms", 1907348632: "1.91s", time.Second / 10: "100ms", 90 * time.Second: "1m30s",
	} {
		if got := threeDigits(d).String(); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}
