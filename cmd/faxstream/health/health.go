// Package health remembers the last hour of a process's metrics, for the page that shows how it is. Begin with New and Run; Now is what the
// page shows. It stores nothing: after a start the hour begins anew.
package health

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	every = 30 * time.Second
	kept  = 121 // samples: an hour
)

// Recorder takes a sample of the metrics every half minute.
type Recorder struct {
	from prometheus.Gatherer

	mu      sync.Mutex
	samples []sample // guarded by mu; oldest first, at most kept
}

// New makes a recorder.
func New(from prometheus.Gatherer) *Recorder { return &Recorder{from: from} }

// Run takes samples until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		r.take(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// take takes a sample. Metrics that cannot be read are not in it.
func (r *Recorder) take(now time.Time) {
	families, _ := r.from.Gather() // what could be gathered is there also with an error
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, sampleOf(now, families))
	if len(r.samples) > kept {
		r.samples = slices.Clone(r.samples[1:])
	}
}

// sample is what the page needs of the metrics at one time.
type sample struct {
	at     time.Time
	values map[string]map[string]float64 // by metric and label; "" where there is none. Several labels of a counter are summed
	stages map[string]*dto.Histogram
}

func sampleOf(now time.Time, families []*dto.MetricFamily) sample {
	s := sample{at: now, values: map[string]map[string]float64{}, stages: map[string]*dto.Histogram{}}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "faxstream_") {
			continue
		}
		of := map[string]float64{}
		for _, m := range f.GetMetric() {
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[len(m.GetLabel())-1].GetValue() // labels are sorted by name: reason, stage
			}
			if h := m.GetHistogram(); h != nil && name == "faxstream_stage_seconds" {
				s.stages[label] = h
			}
			of[label] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		s.values[name] = of
	}
	return s
}

// sum is the sum of a metric over its labels.
func (s sample) sum(metric string) (total float64) {
	for _, v := range s.values[metric] {
		total += v
	}
	return total
}

// archived is how many pages were published.
func (s sample) archived() float64 { return float64(s.stages["publish"].GetSampleCount()) }

// Plot is a line over the last hour.
type Plot struct {
	Title  string
	Now    string
	Most   string
	Points string // of an SVG polyline in a box of 360 by 60
}

// Stage is a stage in the last hour.
type Stage struct {
	Name     string
	Count    uint64        // steps that succeeded
	P50, P99 time.Duration // upper bounds by the buckets of the histogram
	Failures int
}

// Waiting is what waits for a consumer.
type Waiting struct {
	Consumer string
	Messages int
	Oldest   time.Duration
}

// Room is how full something is.
type Room struct {
	Name string
	Text string
}

// Report is what the page shows.
type Report struct {
	Since   time.Time // of the first sample
	Plots   []Plot
	Stages  []Stage
	Waiting []Waiting
	Rooms   []Room
}

// Now is the report of the last hour, with the metrics as they are now.
func (r *Recorder) Now() Report {
	r.take(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	rate := func(of func(sample) float64) []float64 { return perMinute(r.samples, of) }
	level := func(of func(sample) float64) (all []float64) {
		for _, s := range r.samples {
			all = append(all, of(s))
		}
		return all
	}
	return Report{
		Since: first.at,
		Plots: []Plot{
			plot("Webhooks a minute", rate(func(s sample) float64 { return s.sum("faxstream_webhooks_total") })),
			plot("Pages archived a minute", rate(sample.archived)),
			plot("Messages that wait", level(func(s sample) float64 { return s.sum("faxstream_consumer_pending") })),
			plot("Dead letters", level(func(s sample) float64 { return s.sum("faxstream_dead_letters") })),
		},
		Stages: stages(first, last), Waiting: waiting(last), Rooms: rooms(last),
	}
}

// perMinute is by how much a counter rose a minute between samples. A sample that is right after another one is left out.
func perMinute(samples []sample, of func(sample) float64) []float64 {
	var rates []float64
	before := samples[0]
	for _, s := range samples[1:] {
		took := s.at.Sub(before.at)
		if took < every/2 {
			continue
		}
		rates = append(rates, max(0, of(s)-of(before))/took.Minutes())
		before = s
	}
	return rates
}

const plotWidth, plotHeight = 360, 60

func plot(title string, values []float64) Plot {
	p := Plot{Title: title, Now: "0", Most: "0"}
	if len(values) == 0 {
		return p
	}
	most := slices.Max(values)
	p.Now, p.Most = fmt.Sprintf("%.0f", values[len(values)-1]), fmt.Sprintf("%.0f", most)
	var points []string
	for i, v := range values {
		x := plotWidth - float64(len(values)-1-i)*plotWidth/(kept-2)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, plotHeight-1-v/max(most, 1)*(plotHeight-2)))
	}
	p.Points = strings.Join(points, " ")
	return p
}

func stages(first, last sample) (all []Stage) {
	for name, h := range last.stages {
		before := first.stages[name]
		count := h.GetSampleCount() - before.GetSampleCount()
		s := Stage{Name: name, Count: count, P50: quantile(before, h, 0.5), P99: quantile(before, h, 0.99)}
		s.Failures = int(last.values["faxstream_stage_failures_total"][name] - first.values["faxstream_stage_failures_total"][name])
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Stage) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// quantile is the upper bound of the bucket that has the q-th part of what a histogram got since before; 0: it got nothing, or it is above
// the last bound.
func quantile(before, now *dto.Histogram, q float64) time.Duration {
	total := now.GetSampleCount() - before.GetSampleCount()
	for i, b := range now.GetBucket() {
		old := uint64(0)
		if buckets := before.GetBucket(); i < len(buckets) {
			old = buckets[i].GetCumulativeCount()
		}
		if n := b.GetCumulativeCount() - old; total > 0 && float64(n) >= q*float64(total) {
			return threeDigits(time.Duration(b.GetUpperBound() * float64(time.Second)))
		}
	}
	return 0
}

// threeDigits rounds a time: the bounds of buckets have nine digits, which say no more.
func threeDigits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

func waiting(s sample) (all []Waiting) {
	for _, consumer := range slices.Sorted(maps.Keys(s.values["faxstream_consumer_pending"])) {
		all = append(all, Waiting{
			Consumer: consumer, Messages: int(s.values["faxstream_consumer_pending"][consumer]),
			Oldest: time.Duration(s.values["faxstream_consumer_oldest_seconds"][consumer] * float64(time.Second)).Round(time.Second),
		})
	}
	return all
}

func rooms(s sample) (all []Room) {
	for _, stream := range slices.Sorted(maps.Keys(s.values["faxstream_stream_bytes"])) {
		used, limit := s.values["faxstream_stream_bytes"][stream], s.values["faxstream_stream_limit_bytes"][stream]
		if limit > 0 {
			all = append(all, Room{"stream " + stream, fmt.Sprintf("%.1f %% of %.0f MB", 100*used/limit, limit/1e6)})
		}
	}
	for _, disk := range slices.Sorted(maps.Keys(s.values["faxstream_disk_free_bytes"])) {
		all = append(all, Room{"disk of " + disk, fmt.Sprintf("%.1f GB free", s.values["faxstream_disk_free_bytes"][disk]/1e9)})
	}
	return all
}
