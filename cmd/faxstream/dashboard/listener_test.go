package dashboard

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/access/accesstest"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// listener is an admin listener with tokens, and what it has recorded.
type listener struct {
	*accesstest.Desk
	mu       sync.Mutex
	recorded []session.Access // guarded by mu while requests are made
	lines    []string         // of tokens that were admitted
	refuse   error            // what recording gives
	ready    error
}

func (d *listener) RecordAccess(_ context.Context, a session.Access) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse == nil {
		d.recorded = append(d.recorded, a)
	}
	return d.refuse
}

func newListener(t *testing.T, change func(*Config)) *listener {
	return newListenerWith(t, nil, change)
}

// newListenerWith changes who is let in too.
func newListenerWith(t *testing.T, changeAccess func(*access.Config), change func(*Config)) *listener {
	t.Helper()
	d := &listener{}
	d.Desk = accesstest.Open(t, changeAccess, func(gate *access.Gate) http.Handler {
		cfg := listenerConfig(d, gate)
		if change != nil {
			change(&cfg)
		}
		return NewHandler(cfg)
	})
	return d
}

// listenerConfig serves two faxes.
func listenerConfig(d *listener, gate *access.Gate) Config {
	st := twoFaxes()
	return Config{
		Gate: gate, Board: &Board{}, Ledgers: st, Letters: st, Archive: st, Audit: d, Log: gate.Log,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		Ready:   func(context.Context) error { return d.ready },
		Events:  func(context.Context, *bus.Place, func(bus.Stored, bus.Place) bool) error { return nil },
		Reconcile: func(context.Context, time.Time, bool) any {
			return map[string]bool{"reconciled": true}
		},
	}
}

// local is a gate without tokens.
func local() *access.Gate { return access.New(access.Config{Log: slog.New(slog.DiscardHandler)}) }
