package hold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// page is a page with its sidecar.
func page(id string) []archive.Item {
	var items []archive.Item
	for _, key := range []string{archive.FaxPrefix(id) + "pages/0002.bb.tiff.json", archive.FaxPrefix(id) + "pages/0002.bb.tiff"} {
		items = append(items, archive.Item{Key: key, Body: bytes.NewReader(nil), Sum: sha256.Sum256(nil)})
	}
	return items
}

// An order that was carried out before or while several objects are written together, or a file is adopted, means all of them.
func TestTheGuardWatchesEveryWayToWrite(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, write := range map[string]func(*Guard) []error{
		"together": func(g *Guard) []error { return g.CreateAll(t.Context(), page("s")...) },
		"adopted": func(g *Guard) []error {
			p := page("s")[1]
			return g.CreateAll(t.Context(), archive.Item{Key: p.Key, Body: f, Sum: p.Sum, Adopt: true})
		},
		"committed": func(g *Guard) []error { return g.Commit(t.Context(), page("s")...) },
	} {
		for _, kind := range []string{session.ActionHeld, session.ActionPurged} {
			for _, before := range []bool{true, false} {
				v := newSafe(t)
				v.fill("s")
				c := v.custodian(0)
				order := func() {
					if err := v.carryOut(c, orderOf(t, kind, "s", 1)); err != nil {
						t.Fatal(err)
					}
				}
				if before {
					order()
				} else {
					c.Guard.Store = slow{v, sync.OnceFunc(order)}
				}
				for _, err := range write(c.Guard) {
					if errors.Is(err, archive.ErrPurged) != (kind == session.ActionPurged) {
						t.Errorf("%s, %s, before the write %t: %v", name, kind, before, err)
					}
				}
				left := v.keys(archive.FaxPrefix("s"))
				if kind == session.ActionPurged && len(left) > 0 {
					t.Errorf("%s, before the write %t: of the purged fax there is %q", name, before, left)
				}
				for _, p := range page("s") {
					if kind == session.ActionHeld && name != "adopted" && !v.held[p.Key] {
						t.Errorf("%s is not held", p.Key)
					}
				}
			}
		}
	}
}

// asked counts the reads of logs; each waits for a signal.
type asked struct {
	archive.Store
	n    atomic.Int32
	turn chan struct{}
}

func (a *asked) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		a.n.Add(1)
		select {
		case <-a.turn:
		case <-ctx.Done():
			yield("", ctx.Err())
		}
	}
}

// Pages of a new fax arrive together: they share one read of its log. A reader that is stopped stops nobody else, and what was read before
// an order does not count after it.
func TestWritersShareAReadOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{turn: make(chan struct{})}
		g := &Guard{Store: a, Log: slog.New(slog.DiscardHandler)}
		ask := func(ctx context.Context, want error) {
			if _, err := g.state(ctx, "s"); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		reads := func(want int32) {
			t.Helper()
			synctest.Wait()
			if n := a.n.Load(); n != want {
				t.Fatalf("%d reads, want %d", n, want)
			}
		}
		stopped, stop := context.WithCancel(t.Context())
		go ask(stopped, context.Canceled)
		reads(1)
		for range 24 {
			go ask(t.Context(), nil)
		}
		reads(1)
		stop()
		reads(2)
		g.forget("s") // an order
		go ask(t.Context(), nil)
		reads(3)
		close(a.turn)
		ask(t.Context(), nil)
		reads(3)
	})
}
