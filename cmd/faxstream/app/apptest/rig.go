package apptest

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
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/local"
)

// Rig is the pipeline in this process on real embedded stores, with a simulated provider; tests put faults between the parts.
type Rig struct {
	Dir    string
	Bus    *bus.Bus
	Store  *local.Store
	Sim    *faxplustest.Server
	Client *faxplus.Client
	Dead   atomic.Bool        // the provider refuses everything
	Asked  atomic.Int64       // requests to the provider
	Key    ed25519.PrivateKey // signs manifests; nil: they are not

	stopped, doubted atomic.Value // of reason
}

// reason wraps an error, nil too, for an atomic.Value.
type reason struct{ error }

// Stopped is why fetching is stopped; nil: it is not.
func (r *Rig) Stopped() error {
	why, _ := r.stopped.Load().(reason)
	return why.error
}

// Doubted is why single pages may never come; nil: they do.
func (r *Rig) Doubted() error {
	why, _ := r.doubted.Load().(reason)
	return why.error
}

// ImpatientPolicy has waits that are short, but long against what the pipeline itself needs: the outcome does not hang on them.
func ImpatientPolicy() session.Policy {
	return session.Policy{Grace: 2 * time.Second, Idle: time.Hour, WholeFor: 3 * time.Second, Streaming: true}
}

// ImpatientRetry goes with ImpatientPolicy.
func ImpatientRetry() fetch.Retry {
	return fetch.Retry{Delays: []time.Duration{200 * time.Millisecond}, Deadline: 3 * time.Second}
}

// NewRig opens the stores; Start starts the pipeline on them.
func NewRig(t testing.TB) *Rig {
	t.Helper()
	r := &Rig{Dir: t.TempDir(), Sim: faxplustest.New(faxplustest.Config{})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.Asked.Add(1)
		if r.Dead.Load() {
			http.Error(w, `{"error":"unauthorized","description":"the token is not valid"}`, http.StatusUnauthorized)
			return
		}
		r.Sim.ServeHTTP(w, req)
	}))
	var err error
	r.Client, err = faxplus.NewClient(faxplus.Config{
		BaseURL: srv.URL, PagePath: faxplustest.PagePath, RetryWaitMin: time.Millisecond, RetryWaitMax: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Bus, err = bus.Open(t.Context(), bus.Config{
		Embedded: bus.EmbeddedConfig{Dir: filepath.Join(r.Dir, "nats")}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Store, err = local.Open(filepath.Join(r.Dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Bus.Close(), r.Store.Close()); err != nil {
			t.Error(err)
		}
		r.Client.Close()
		srv.Close()
		r.Sim.Close()
	})
	return r
}

// noHolds is a store of which nothing is held or removed.
type noHolds struct{}

func (noHolds) Protection(context.Context, string) (hold.Protection, error) {
	return hold.Protection{}, errors.ErrUnsupported
}

func (noHolds) Hold(context.Context, string, bool) error { return errors.ErrUnsupported }

func (noHolds) Delete(context.Context, string) error { return errors.ErrUnsupported }

// Start starts the pipeline on a bus and an archive, which may have faults.
func (r *Rig) Start(t testing.TB, b pipeline.Bus, a archive.Store, p session.Policy, retry fetch.Retry) {
	t.Helper()
	err := pipeline.Start(t.Context(), pipeline.Config{
		Bus: b, Archive: a, Remover: noHolds{}, Provider: r.Client, Policy: p, Retry: retry,
		Stopped:    func(err error) { r.stopped.Store(reason{err}) },
		Doubted:    func(err error) { r.doubted.Store(reason{err}) },
		ScratchDir: filepath.Join(r.Dir, "spool"), Software: "test", SignKey: r.Key, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Record stores the fact of a webhook body.
func (r *Rig) Record(t testing.TB, body []byte) {
	t.Helper()
	e, err := faxplus.ParseEvent(body)
	if err != nil {
		t.Fatal(err)
	}
	fact, _ := e.Fact(fmt.Sprintf("%x", sha256.Sum256(body)))
	if _, err := r.Bus.Record(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
}

// Await waits until a session's ledger is as wanted, and returns it.
func (r *Rig) Await(t testing.TB, id string, want func(session.State) bool) session.State {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), Patience, errors.New("the ledger did not become as wanted"))
	defer cancel()
	var last session.State
	done := false
	err := r.Bus.Ledgers(ctx, func(s session.State) {
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
