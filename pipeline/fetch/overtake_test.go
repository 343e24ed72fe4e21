package fetch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/fetch"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/raster"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

func TestMain(m *testing.M) {
	ats.Register() // the server's access clock, outside of every synctest bubble
	code := m.Run()
	ats.Unregister()
	os.Exit(code)
}

// bubble runs a test in a bubble with a server. nats.go has a pool of timers, and one of another bubble must not be in it.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	runtime.GC()
	runtime.GC() // a pool is empty after the second one
	synctest.Test(t, test)
}

// line is a page worker on an embedded server, and a provider that needs a while for each page.
type line struct {
	t    testing.TB
	bus  *bus.Bus
	desk *pipelinetest.Desk
	page []byte
	took time.Duration // for a page, of the provider
	late int           // the provider says "not yet" to so many first requests of each page
	gate chan struct{} // the provider answers nothing before it is closed; nil: it answers

	mu        sync.Mutex
	asked     map[string]int // requests, by session; guarded by mu
	published []string       // sessions in the order of their pages; guarded by mu
	changed   chan struct{}  // gets a value after one was published
}

// newLine opens the server and starts nothing.
func newLine(t testing.TB, took time.Duration) *line {
	t.Helper()
	l := &line{t: t, took: took, asked: map[string]int{}, changed: make(chan struct{}, 1)}
	l.desk = &pipelinetest.Desk{Objects: map[string][]byte{}}
	l.page = smallPage(t)
	var err error
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if l.bus, err = bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: t.TempDir()}, Log: log}); err != nil {
		t.Fatal(err)
	}
	return l
}

// smallPage is a TIFF with one white page of 24 by 8 pixels.
func smallPage(t testing.TB) []byte {
	t.Helper()
	p := raster.New(24, 8)
	var file bytes.Buffer
	w := tiff.NewWriter(&file)
	_, err := w.AddPage(tiff.PageMeta{Width: p.Width, Height: p.Height, XRes: 204, YRes: 98, Page: 1, Pages: 1},
		tiff.G4Strip(ccitt.AppendG4(nil, p.Pix, p.Width, p.Height, p.Stride)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func (l *line) close() {
	l.t.Helper()
	if err := l.bus.Close(); err != nil {
		l.t.Error(err)
	}
}

// start starts the page worker.
func (l *line) start(fetches int) {
	l.t.Helper()
	w := fetch.New(fetch.Config{
		Bus: l.bus, Provider: l, Retry: fetch.DefaultRetry(), Log: slog.New(slog.DiscardHandler),
		Pages: intake.Pages{Facts: l.bus, Archive: l.desk, Decoder: intake.NewDecoder(decoding), Observe: l.observe},
	})
	for _, c := range w.Consumptions(fetches) {
		if err := l.bus.Consume(l.t.Context(), c.Consumer, c.Handle); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *line) observe(_ context.Context, s stage.Step) {
	if s.Stage != stage.Publish || s.Reason != "" {
		return
	}
	l.mu.Lock()
	l.published = append(l.published, s.Session)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// announce stores the announcements of n faxes of one page.
func (l *line) announce(name string, n int) {
	l.t.Helper()
	var group errgroup.Group
	group.SetLimit(256)
	for i := range n {
		group.Go(func() error {
			_, err := l.bus.Record(l.t.Context(), session.PageAnnounced{Session: fmt.Sprint(name, "-", i), Page: 1, To: "+15550100"})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.t.Fatal(err)
	}
}

// await waits until n different pages of a name are published, and returns how many of others are.
func (l *line) await(name string, n int) (others int) {
	for {
		mine, other := map[string]bool{}, map[string]bool{}
		l.mu.Lock()
		for _, id := range l.published {
			if strings.HasPrefix(id, name+"-") {
				mine[id] = true
			} else {
				other[id] = true
			}
		}
		l.mu.Unlock()
		if len(mine) >= n {
			return len(other)
		}
		select {
		case <-l.changed:
		case <-l.t.Context().Done():
			l.t.Fatalf("the test ended with %d of %d pages", len(mine), n)
		}
	}
}

// notYet is the provider's "not yet".
type notYet struct{}

func (notYet) Error() string                  { return "not yet" }
func (notYet) FetchReason() session.Reason    { return session.ReasonNotYet }
func (notYet) FetchKept() bool                { return false }
func (notYet) FetchRetryAfter() time.Duration { return 0 }

func (l *line) Page(ctx context.Context, id string, _ int, into fetch.File) error {
	l.mu.Lock()
	l.asked[id]++
	late := l.asked[id] <= l.late
	l.mu.Unlock()
	if l.gate != nil {
		select {
		case <-l.gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case <-time.After(l.took):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if late {
		return notYet{}
	}
	_, err := into.Write(l.page)
	return err
}

func (*line) File(context.Context, string, fetch.File) error { return notYet{} }
func (*line) Probe(context.Context) error                    { return nil }

func (*line) Outcome(context.Context, string) (*session.Closed, bool, error) {
	return nil, false, notYet{}
}

// What another process did with the copy of an announcement is not done again, whether the page arrived or was not there yet.
func TestAnAnnouncementWhoseCopyWasHandledElsewhere(t *testing.T) {
	for _, late := range []int{0, 1} {
		l := &line{t: t, page: smallPage(t), late: late, asked: map[string]int{}}
		desk := &pipelinetest.Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}, Pages: map[int]session.PageArchived{}}
		body, err := json.Marshal(session.PageAnnounced{Session: "s", Page: 1, To: "+15550100"})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []bus.Delivery{{Early: true}, {Again: true}} {
			w := fetch.New(fetch.Config{
				Bus: claiming{desk}, Provider: l, Retry: fetch.DefaultRetry(), Log: slog.New(slog.DiscardHandler),
				Pages: intake.Pages{Facts: desk, Archive: desk, Decoder: intake.NewDecoder(1), Observe: func(context.Context, stage.Step) {}},
			})
			d.Data, d.Tries, d.Time = body, 1, time.Now()
			if err := w.Consumptions(1)[0].Handle(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if data, ok := desk.Events[(session.PageArchived{ToToken: "15550100", Session: "s", Page: 1}).Subject()]; ok {
				var f session.PageArchived
				if err := json.Unmarshal(data, &f); err != nil {
					t.Fatal(err)
				}
				desk.Pages[1] = f
			}
		}
		if l.asked["s"] != 1 || len(desk.Pages) != 1-late || len(desk.Wrong) > 0 {
			t.Errorf("late %d: fetched %d times, %d pages, %v", late, l.asked["s"], len(desk.Pages), desk.Wrong)
		}
	}
}

const (
	backlog = 5000
	burst   = 40
	fetches = 24

	decoding = 2 // pages at once
)

// Fresh pages behind a backlog of 5,000 slow ones are published before a tenth of the backlog is. The backlog goes on meanwhile.
func TestFreshPagesOvertakeABacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLine(t, 500*time.Millisecond)
		defer l.close()
		l.announce("old", backlog)
		l.start(fetches)
		before := l.await("old", 3*fetches) // the worker has seen its backlog by now
		l.announce("fresh", burst)
		if n := l.await("fresh", burst); n > backlog/10 || n <= before {
			t.Errorf("%d pages of the backlog were published before the last fresh one, want up to %d, and some", n, backlog/10)
		}
	})
}

// While the provider hangs, only as many pages of a backlog are in work as keep the decoder busy, so little of it goes before fresh pages
// when the provider answers again. Then the number grows, because the provider is slow and the decoder has nothing to do.
func TestLittleOfABacklogGoesBeforeFreshPagesAfterAHang(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const old, fetches = 1000, 96
		l := newLine(t, 500*time.Millisecond)
		defer l.close()
		l.gate = make(chan struct{})
		l.announce("old", old)
		l.start(fetches)
		time.Sleep(2 * time.Second)
		l.announce("fresh", burst)
		time.Sleep(time.Second)
		l.mu.Lock()
		asked := len(l.asked)
		l.mu.Unlock()
		if asked > fetches/4 {
			t.Errorf("%d pages of a backlog are in work while the provider hangs, want up to %d", asked, fetches/4)
		}
		close(l.gate)
		if n := l.await("fresh", burst); n > old/8 {
			t.Errorf("%d pages of the backlog were published before the last fresh one, want up to %d", n, old/8)
		}
		time.Sleep(30 * time.Second) // for 480 pages, eight at once
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.published) != old+burst {
			t.Errorf("%d pages are published, want %d: the number of fetches did not grow", len(l.published), old+burst)
		}
	})
}

// All pages of a backlog and those that overtook it are published, each is fetched once, and nothing is left. That is so too if the
// provider has no page at first.
func TestNothingIsLostOrFetchedTwiceWhenPagesOvertake(t *testing.T) {
	for _, late := range []int{0, 1} {
		bubble(t, func(t *testing.T) {
			l := newLine(t, 500*time.Millisecond)
			defer l.close()
			l.late = late
			l.announce("old", 400)
			l.start(fetches)
			time.Sleep(3 * time.Second)
			for i := range 4 {
				l.announce(fmt.Sprint("fresh", i), 50)
				time.Sleep(time.Second)
			}
			time.Sleep(time.Minute)
			for _, b := range l.bus.Backlogs() {
				if b.Pending > 0 {
					t.Errorf("%d messages of %s are left", b.Pending, b.Consumer)
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for id, n := range l.asked {
				if n != 1+late {
					t.Errorf("%s is fetched %d times, want %d", id, n, 1+late)
				}
			}
			if len(l.published) != 600 || len(l.asked) != 600 {
				t.Errorf("%d pages are published, %d were asked for, want 600", len(l.published), len(l.asked))
			}
		})
	}
}

// BenchmarkFreshPages: how much longer a burst of pages takes behind a backlog of 5,000 than without one, for a provider that answers at
// once and one that needs 100 ms.
func BenchmarkFreshPages(b *testing.B) {
	for _, took := range []time.Duration{0, 100 * time.Millisecond} {
		b.Run(took.String(), func(b *testing.B) {
			for b.Loop() {
				l := newLine(b, took)
				l.page = pipelinetest.Testdata(b, "a4-fine-g4.tiff")
				l.start(fetches)
				timed := func(name string) time.Duration {
					start := time.Now()
					l.announce(name, burst)
					l.await(name, burst)
					return time.Since(start)
				}
				alone := timed("alone")
				l.announce("old", backlog)
				l.await("old", 10*fetches)
				behind := timed("fresh")
				b.ReportMetric(alone.Seconds()*1000, "alone-ms")
				b.ReportMetric(behind.Seconds()*1000, "behind-ms")
				b.ReportMetric(behind.Seconds()/alone.Seconds(), "factor")
				b.ReportMetric(0, "ns/op")
				l.close()
			}
		})
	}
}
