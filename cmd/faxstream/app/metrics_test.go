package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

type fixedBacklogs []bus.Backlog

func (f fixedBacklogs) Backlogs() []bus.Backlog { return f }

type fixedList struct {
	all []subscribers.Status
	err error
}

func (f fixedList) List(context.Context) ([]subscribers.Status, error) { return f.all, f.err }

// gauges are the values of a registry, by metric and role.
func gauges(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return all
}

// A role has the sum of what waits for its consumers, and the age of the oldest; a process shows its own roles.
func TestBacklogByRole(t *testing.T) {
	now := time.Now()
	waits := fixedBacklogs{
		{Consumer: "page", Part: string(pipeline.Fetching), Pending: 7, Oldest: time.Minute, Seen: now},
		{Consumer: "retry", Part: string(pipeline.Fetching), Pending: 2, Oldest: time.Hour, Seen: now},
		{Consumer: "assemble", Part: string(pipeline.Assembling), Pending: 3, Oldest: time.Second, Seen: now},
		{Consumer: "collect-in", Part: string(pipeline.Collecting), Seen: now},
		{Consumer: "abandoned", Pending: 9, Oldest: 2 * time.Hour, Seen: now},
	}
	r := prometheus.NewRegistry()
	if err := gaugeRoles(r, Config{Roles: []string{RoleWebhook, RoleWorker, RoleCollector}}, waits); err != nil {
		t.Fatal(err)
	}
	list := fixedList{all: []subscribers.Status{
		{Subscriber: subscribers.Subscriber{Name: "other"}, Waiting: 100},
		{Subscriber: subscribers.Subscriber{Name: ocrName}, Waiting: 4, InWork: 1, Oldest: time.Now().Add(-time.Hour)},
	}}
	if err := gaugeRole(r, RoleOCR, unread(list)); err != nil {
		t.Fatal(err)
	}
	got := gauges(t, r)
	for name, want := range map[string]float64{
		"faxstream_backlog_pages worker": 9, "faxstream_backlog_oldest_seconds worker": 3600,
		"faxstream_backlog_pages collector": 0, "faxstream_backlog_oldest_seconds collector": 0,
		"faxstream_backlog_pages ocr": 5,
	} {
		if v, ok := got[name]; v != want || !ok {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if age := got["faxstream_backlog_oldest_seconds ocr"]; age < 3600 || len(got) != 6 {
		t.Errorf("the oldest unread page waits %v s, want an hour; all: %v", age, got)
	}
}

// What is not known is not shown: 0 would take processes away.
func TestAnUnknownBacklogIsAbsent(t *testing.T) {
	r := prometheus.NewRegistry()
	if err := gaugeRole(r, RoleOCR, unread(fixedList{err: errors.New("no answer")})); err != nil {
		t.Fatal(err)
	}
	// The collector's consumers are not made yet, and the worker's servers have not answered for an hour.
	old := fixedBacklogs{{Consumer: "page", Part: string(pipeline.Fetching), Pending: 7, Seen: time.Now().Add(-time.Hour)}}
	if err := gaugeRoles(r, Config{Roles: []string{RoleWorker, RoleCollector}}, old); err != nil {
		t.Fatal(err)
	}
	if got := gauges(t, r); len(got) > 0 {
		t.Errorf("shown: %v", got)
	}
}
