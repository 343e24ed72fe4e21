package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/storage"
)

// moody is an archive whose writes have the result err.
type moody struct {
	store
	mu     sync.Mutex
	err    error // guarded by mu, as the rest
	hangs  bool
	checks int
}

// becomes sets the mood: the result of writes, and whether checks hang.
func (m *moody) becomes(err error, hangs bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.hangs = err, hangs
}

// checked returns how many checks there were since the last call.
func (m *moody) checked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.checks = 0 }()
	return m.checks
}

// stuck is an object that can never be written.
const stuck = "stuck"

func (m *moody) Create(_ context.Context, key string, _ io.ReadSeeker, _ int64, _ [sha256.Size]byte) error {
	if key == stuck {
		return storage.ErrRefused
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *moody) Open(context.Context, string) (io.ReadSeekCloser, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil, 0, m.err
}

func (m *moody) List(context.Context, string, string) iter.Seq2[string, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.err
	return func(yield func(string, error) bool) {
		if err != nil {
			yield("", err)
		}
	}
}

func (m *moody) Check(ctx context.Context) error {
	m.mu.Lock()
	m.checks++
	err, hangs := m.err, m.hangs
	m.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// watching runs f with a watched archive that is checked as in an App.
func watching(t *testing.T, f func(t *testing.T, w *watched, m *moody)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		w, err := watch(m, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.keepChecking(ctx)
		synctest.Wait()
		f(t, w, m)
	})
}

// failed are the reasons for which the metrics have failures.
func failed(t *testing.T, w *watched) (reasons []string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(w.failures)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetCounter().GetValue() > 0 {
			reasons = append(reasons, m.GetLabel()[0].GetValue())
		}
	}
	return reasons
}

func (w *watched) write() error {
	return w.Create(context.Background(), "x", strings.NewReader(""), 0, sha256.Sum256(nil))
}

// Nobody writes, and the archive begins to refuse: within a minute readiness says why, and so do the metrics; it is green again when
// writes work.
func TestARefusingArchiveIsFoundWithinAMinute(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		hangs  bool
		reason string
	}{
		"refused": {fmt.Errorf("%w: 403", storage.ErrRefused), false, "refused"},
		"full":    {fmt.Errorf("%w: 507", storage.ErrFull), false, "full"},
		"hanging": {nil, true, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, func(t *testing.T, w *watched, m *moody) {
				if err := w.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				m.becomes(tc.err, tc.hangs)
				began := time.Now()
				time.Sleep(time.Minute)
				synctest.Wait()
				if reasons := failed(t, w); !slices.Contains(reasons, tc.reason) {
					t.Errorf("the metrics have failures for the reasons %q, want %s", reasons, tc.reason)
				}
				if last := time.UnixMilli(int64(w.lastWrite() * 1000)); last.After(began) {
					t.Errorf("the last write that worked was at %s, after %s", last, began)
				}
				asked, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				if err := w.Check(asked); err == nil || tc.err != nil && !errors.Is(err, tc.err) {
					t.Errorf("after a minute: %v", err)
				}
				m.becomes(nil, false)
				time.Sleep(recheckAfter)
				if err := w.Check(t.Context()); err != nil {
					t.Errorf("when it works again: %v", err)
				}
			})
		})
	}
}

// A fax whose pages are missing asks whether the archive is away: the answer is not older than a second, although a write worked not long
// ago, and says when it came back.
func TestAnOutageIsKnownWhenItMatters(t *testing.T) {
	watching(t, func(t *testing.T, w *watched, m *moody) {
		if o := w.Outage(t.Context()); o != (session.Outage{}) {
			t.Errorf("an archive that always worked: %+v", o)
		}
		m.becomes(storage.ErrRefused, false)
		time.Sleep(2 * time.Second)
		if o := w.Outage(t.Context()); !o.Now || !o.Ended.IsZero() {
			t.Errorf("an archive that has refused for two seconds: %+v", o)
		}
		m.becomes(nil, true)
		time.Sleep(2 * time.Second)
		if o := w.Outage(t.Context()); !o.Now {
			t.Errorf("an archive that does not answer: %+v", o)
		}
		m.becomes(nil, false)
		time.Sleep(2 * time.Second)
		if err := w.write(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		time.Sleep(time.Hour)
		if o := w.Outage(t.Context()); o.Now || !o.Ended.Equal(back) {
			t.Errorf("an archive that works again since %s: %+v", back, o)
		}
	})
}

// Work on a page begins with a read: one that fails shows an outage as a write does. An object that is not there does not.
func TestAFailedReadShowsAnOutage(t *testing.T) {
	watching(t, func(t *testing.T, w *watched, m *moody) {
		list := func() (all error) {
			for _, err := range w.List(t.Context(), "", "") {
				all = errors.Join(all, err)
			}
			return all
		}
		m.becomes(fs.ErrNotExist, false)
		if err := list(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		synctest.Wait()
		m.checked()
		time.Sleep(2 * time.Second)
		if n := m.checked(); n != 0 {
			t.Errorf("%d test writes because of an object that is not there", n)
		}
		for name, read := range map[string]func() error{
			"list": list, "open": func() error { _, _, err := w.Open(t.Context(), "x"); return err },
		} {
			m.becomes(storage.ErrRefused, false)
			if err := read(); !errors.Is(err, storage.ErrRefused) {
				t.Fatal(err)
			}
			synctest.Wait()
			if o := w.lastKnown(); !o.Now {
				t.Errorf("%s fails, and the archive is not known to be away: %+v", name, o)
			}
			m.becomes(nil, false)
			time.Sleep(2 * time.Second)
			if o := w.Outage(t.Context()); o.Now || time.Since(o.Ended) > time.Second {
				t.Errorf("when it is back: %+v", o)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// An object that can never be written, and is tried again and again, is no outage: other faxes do not wait because of it.
func TestOneObjectIsNoOutage(t *testing.T) {
	watching(t, func(t *testing.T, w *watched, _ *moody) {
		for range 20 {
			if err := w.Create(t.Context(), stuck, strings.NewReader(""), 0, sha256.Sum256(nil)); !errors.Is(err, storage.ErrRefused) {
				t.Fatal(err)
			}
			if o := w.Outage(t.Context()); o != (session.Outage{}) {
				t.Fatalf("%+v", o)
			}
			time.Sleep(15 * time.Second)
			if err := w.write(); err != nil {
				t.Fatal(err)
			}
			if o := w.Outage(t.Context()); o != (session.Outage{}) {
				t.Fatalf("after a write that worked: %+v", o)
			}
		}
	})
}

// Work shows it at once, without a test write; and while work succeeds there are no test writes.
func TestWritesShowWhetherTheArchiveWorks(t *testing.T) {
	watching(t, func(t *testing.T, w *watched, m *moody) {
		m.checked()
		for range 60 {
			if err := w.write(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := m.checked(); n > 0 {
			t.Errorf("%d test writes while work succeeded", n)
		}
		m.becomes(storage.ErrFull, false)
		if err := w.write(); !errors.Is(err, storage.ErrFull) {
			t.Fatal(err)
		}
		if err := w.Check(t.Context()); !errors.Is(err, storage.ErrFull) {
			t.Errorf("right after a write failed: %v", err)
		}
		// An object that is there already does not show that there is room.
		m.becomes(fs.ErrExist, false)
		if err := w.write(); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		m.becomes(storage.ErrFull, false)
		if err := w.Check(t.Context()); !errors.Is(err, storage.ErrFull) {
			t.Errorf("after a repeat of a write: %v", err)
		}
		// However many ask, a failing archive is asked once a second.
		m.checked()
		for range 1000 {
			_ = w.Check(t.Context())
			time.Sleep(10 * time.Millisecond)
		}
		if n := m.checked(); n > 11 {
			t.Errorf("%d test writes in 10 s", n)
		}
	})
}

// Objects that are written together show too whether writes work.
func TestEveryWayToWriteShowsTheState(t *testing.T) {
	for name, write := range map[string]func(*watched) error{
		"together": func(w *watched) error {
			errs := w.CreateAll(t.Context(), storage.Item{Key: "x.json"}, storage.Item{Key: "x"})
			if len(errs) != 2 || !errors.Is(errs[1], errs[0]) {
				t.Errorf("the errors of two items are %v", errs)
			}
			return errs[0]
		},
		"committed": func(w *watched) error {
			errs := w.Commit(t.Context(), storage.Item{Key: "x.json"}, storage.Item{Key: "x"})
			if len(errs) != 2 || !errors.Is(errs[1], errs[0]) {
				t.Errorf("the errors of two items are %v", errs)
			}
			return errs[0]
		},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, func(t *testing.T, w *watched, m *moody) {
				began := time.Now()
				time.Sleep(time.Second)
				m.becomes(storage.ErrRefused, false)
				if err := write(w); !errors.Is(err, storage.ErrRefused) {
					t.Errorf("got %v", err)
				}
				if reasons := failed(t, w); !slices.Equal(reasons, []string{"refused"}) {
					t.Errorf("the metrics have failures for the reasons %q", reasons)
				}
				if known, err := w.known(); !known || !errors.Is(err, storage.ErrRefused) {
					t.Errorf("the state is %t, %v", known, err)
				}
				m.becomes(nil, false)
				if err := write(w); err != nil {
					t.Error(err)
				}
				if last := time.UnixMilli(int64(w.lastWrite() * 1000)); !last.After(began) {
					t.Errorf("the last write that worked was at %s", last)
				}
			})
		})
	}
}
