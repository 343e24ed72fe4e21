package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/local"
)

// rig is the pipeline in this process on real embedded stores, with a simulated provider; tests put faults between the parts.
type rig struct {
	dir    string
	bus    *bus.Bus
	store  *local.Store
	sim    *faxplustest.Server
	client *faxplus.Client
	dead   atomic.Bool // the provider refuses everything
	asked  atomic.Int64
	reason atomic.Value       // of stoppage
	doubt  atomic.Value       // of stoppage
	key    ed25519.PrivateKey // signs manifests; nil: they are not
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), sim: faxplustest.New(faxplustest.Config{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		if r.dead.Load() {
			http.Error(w, `{"error":"unauthorized","description":"the token is not valid"}`, http.StatusUnauthorized)
			return
		}
		r.sim.ServeHTTP(w, req)
	}))
	var err error
	r.client, err = faxplus.NewClient(faxplus.Config{BaseURL: srv.URL, PagePath: faxplustest.PagePath, RetryWaitMin: time.Millisecond, RetryWaitMax: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.bus, err = bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: filepath.Join(r.dir, "nats")}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.store, err = local.Open(filepath.Join(r.dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.bus.Close(), r.store.Close()); err != nil {
			t.Error(err)
		}
		r.client.Close()
		srv.Close()
		r.sim.Close()
	})
	return r
}

// fullBus is all that the pipeline asks of a bus.
type fullBus interface {
	pipeline.Facts
	pipeline.Ledgers
	pipeline.PageFacts
	pipeline.AllLedgers
	pipeline.Consumers
}

func (r *rig) start(t *testing.T, b fullBus, a pipeline.Archive, p session.Policy, retry pipeline.Retry) {
	t.Helper()
	err := pipeline.Start(t.Context(), pipeline.Config{
		Bus: b, Archive: a, Provider: r.client, Policy: p, Retry: retry,
		Stopped:  func(err error) { r.reason.Store(stoppage{err}) },
		Doubted:  func(err error) { r.doubt.Store(stoppage{err}) },
		SpoolDir: filepath.Join(r.dir, "spool"), Software: "test", SignKey: r.key, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// record stores the fact of a webhook body.
func (r *rig) record(t *testing.T, body []byte) {
	t.Helper()
	e, err := faxplus.ParseEvent(body)
	if err != nil {
		t.Fatal(err)
	}
	fact, _ := e.Fact(fmt.Sprintf("%x", sha256.Sum256(body)))
	if _, err := r.bus.Record(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
}

// await waits until a session's ledger is as wanted, and returns it.
func (r *rig) await(t *testing.T, id string, want func(session.State) bool) session.State {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the ledger did not become as wanted"))
	defer cancel()
	var last session.State
	done := false
	err := r.bus.Ledgers(ctx, func(s session.State) {
		if s.Session != id || done {
			return
		}
		if last = s; want(s) {
			done = true
			cancel()
		}
	}, func() {})
	if err != nil || !done {
		t.Fatalf("session %s: %v, %v; it is %+v", id, err, context.Cause(ctx), last)
	}
	return last
}
