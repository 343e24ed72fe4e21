package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// account is the provider's side: it filters, sorts and cuts lists as the provider does.
type account struct {
	t        *testing.T
	mu       sync.Mutex
	records  map[string][]faxplus.Record // by category
	fail     func(request string) error  // asked before each request
	requests []string
	times    []time.Time
}

func (a *account) ask(request string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests, a.times = append(a.requests, request), append(a.times, time.Now())
	if a.fail != nil {
		return a.fail(request)
	}
	return nil
}

func (a *account) List(_ context.Context, category string, after, before time.Time, limit int) ([]faxplus.Record, error) {
	if err := a.ask(category); err != nil {
		return nil, err
	}
	if after.Nanosecond() != 0 || before.Nanosecond() != 0 || !after.Before(before) {
		a.t.Errorf("asked for %s to %s", after, before)
	}
	var found []faxplus.Record
	for _, r := range a.records[category] {
		if r.StartTime.IsZero() || r.StartTime.After(after) && r.StartTime.Before(before) { // the bounds do not belong to it
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(x, y faxplus.Record) int { return y.StartTime.Compare(x.StartTime) })
	return found[:min(limit, len(found))], nil
}

func (a *account) Record(_ context.Context, id string) (faxplus.Record, error) {
	if err := a.ask("record " + id); err != nil {
		return faxplus.Record{}, err
	}
	for _, list := range a.records {
		for _, r := range list {
			if r.ID == id {
				return r, nil
			}
		}
	}
	return faxplus.Record{}, &faxplus.Error{
		Op: "record", Reason: session.ReasonNotYet, Status: http.StatusNotFound, Err: errors.New("no such fax"),
	}
}

// here is our side: sessions, names and notes in memory.
type here struct {
	mu       sync.Mutex
	aliases  map[string]string
	ledgers  map[string]session.State
	facts    map[string]session.Closed
	order    []string // subjects as they were recorded
	fail     error
	far      time.Duration // the way from a note's store to its reader
	note     []byte
	revision uint64
}

func (h *here) Owner(_ context.Context, kind, value string) (string, error) {
	if value == "" {
		return "", errors.New("an empty name is nobody's")
	}
	return h.aliases[kind+" "+value], h.fail
}

func (h *here) Load(_ context.Context, id string) (session.State, uint64, error) {
	return h.ledgers[id], 1, h.fail
}

func (h *here) Record(_ context.Context, f session.Fact) (bool, error) {
	if h.fail != nil {
		return false, h.fail
	}
	_, repeat := h.facts[f.Subject()]
	if !repeat {
		h.facts[f.Subject()] = f.(session.Closed)
		h.order = append(h.order, f.SessionID())
	}
	return repeat, nil
}

func (h *here) Note(context.Context, string) ([]byte, uint64, error) {
	h.mu.Lock()
	note, revision := h.note, h.revision
	h.mu.Unlock()
	time.Sleep(h.far)
	return note, revision, h.fail
}

func (h *here) PutNote(_ context.Context, _ string, data []byte, revision uint64) (uint64, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return 0, false, h.fail
	}
	if revision != h.revision {
		return 0, false, nil
	}
	h.note, h.revision = data, h.revision+1
	return h.revision, true, nil
}

// bench is a reconciler with both sides.
type bench struct {
	*account
	*here
	open *ingest.OpenSessions
	reg  *prometheus.Registry
	log  *bytes.Buffer
	cfg  ingest.ReconcilerConfig
	*ingest.Reconciler
}

func newBench(t *testing.T, change func(*ingest.ReconcilerConfig)) *bench {
	t.Helper()
	b := &bench{
		account: &account{t: t, records: map[string][]faxplus.Record{}},
		here:    &here{aliases: map[string]string{}, ledgers: map[string]session.State{}, facts: map[string]session.Closed{}},
		open:    &ingest.OpenSessions{}, log: &bytes.Buffer{},
	}
	b.cfg = ingest.ReconcilerConfig{
		Provider: b.account, Sessions: b.here, Notes: b.here, Open: b.open, Logger: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	if change != nil {
		change(&b.cfg)
	}
	b.restart(t)
	return b
}

// restart is a new process.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	b.reg = prometheus.NewRegistry()
	b.cfg.Registerer = b.reg
	var err error
	if b.Reconciler, err = ingest.NewReconciler(b.cfg); err != nil {
		t.Fatal(err)
	}
}

// run lets the reconciler run for so long.
func (b *bench) run(t *testing.T, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	b.Run(ctx)
	synctest.Wait()
}

// metric gives a counter or gauge; for a vector that of one outcome.
func (b *bench) metric(t *testing.T, name, outcome string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (outcome == "" || m.GetLabel()[0].GetValue() == outcome) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, outcome)
	return 0
}

// listed is a fax that was over long ago.
func listed(id string, start time.Time) faxplus.Record {
	return faxplus.Record{
		ID: id, File: id + ".tiff", From: "+1 334-304-1111", To: "+1 334-304-2222", Status: "success", Pages: 3,
		StartTime: start, Direction: session.Incoming, SHA256: "sum of " + id,
	}
}

// opened is a session that has pages and no close, with the same numbers as listed.
func opened(id string, at time.Time) session.State {
	return session.State{
		Session: id, Direction: session.Incoming, Opened: at, From: "13343041111", To: "+1 334 304 2222", Announced: session.Span(1, 2),
	}
}
