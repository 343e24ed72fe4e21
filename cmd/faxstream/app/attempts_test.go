package app

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/app/apptest"
	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage/local"
)

// How often a file is asked for that can never be had, with the delays of a real deployment, in virtual time. Tries within a
// call, calls by schedule and redeliveries must add up to this and not multiply further:
//
//	requests = tries of a call (1 where the answer is "not yet", 3 where the provider fails) x calls
//	calls    = one at once, and one after each delay (5 s, 15 s, 1 min, 5 min, 15 min, 15 min, …) until the deadline, the last one at it
func TestRequestsForWhatIsNeverThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		page, file int // requests
	}{
		// A page has two minutes here: calls at 0, 5 s, 20 s, 80 s and 120 s. The whole file has one: at 0, 5 s, 20 s and 60 s.
		"not found":          {http.StatusNotFound, 5, 4},
		"provider's failure": {http.StatusServiceUnavailable, 3 * 5, 3 * 4},
	} {
		t.Run(name, func(t *testing.T) {
			sim := faxplustest.New(faxplustest.Config{})
			srv := httptest.NewUnstartedServer(sim)
			srv.Config.SetKeepAlivesEnabled(false) // no connection stays, on which the bubble would wait
			srv.Start()
			defer srv.Close()
			f := faxplustest.Fax{Session: "never", Streamed: true, Pages: [][]byte{apptest.Tiny(t)}}
			sim.Add(f)
			for page := range 2 {
				sim.Script(f.Session, page, apptest.AnswerStatus(c.status, nil))
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := newVirtualRig(t, dir, srv.URL)
				cfg := Config{
					Provider: faxplus.Config{PagePath: faxplustest.PagePath}, Reconcile: session.ReconcileAll,
					CloseGrace: 30 * time.Second, IdleAfter: time.Hour, PageDeadline: 2 * time.Minute, WholeFor: time.Minute,
				}
				r.Start(t, r.Bus, r.Store, cfg.policy(), cfg.retry())
				for _, body := range apptest.Bodies(f, "http://x") {
					r.Record(t, body)
				}
				time.Sleep(6 * time.Minute)
				s, _, err := r.Bus.Load(t.Context(), f.Session)
				if err != nil || s.Document == nil || s.Status() != session.StatusPartial {
					t.Errorf("the fax is %+v, %v; want it partial", s, err)
				}
			})
			if page, file := sim.Tries(f.Session, 1), sim.Tries(f.Session, 0); page != c.page || file != c.file {
				t.Errorf("%d requests for the page and %d for the whole file, want %d and %d", page, file, c.page, c.file)
			}
		})
	}
}

// newVirtualRig is a rig in a bubble, whose provider is outside.
func newVirtualRig(t *testing.T, dir, url string) *rig {
	t.Helper()
	r := &rig{&apptest.Rig{Dir: dir}}
	var err error
	if r.Client, err = faxplus.NewClient(faxplus.Config{BaseURL: url, PagePath: faxplustest.PagePath}); err != nil {
		t.Fatal(err)
	}
	r.Bus, err = bus.Open(
		t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: filepath.Join(dir, "nats")}, Log: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		t.Fatal(err)
	}
	if r.Store, err = local.Open(filepath.Join(dir, "archive")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Bus.Close(), r.Store.Close()); err != nil {
			t.Error(err)
		}
		r.Client.Close()
	})
	return r
}
