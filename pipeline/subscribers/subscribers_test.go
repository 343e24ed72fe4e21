package subscribers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

func TestMain(m *testing.M) {
	ats.Register() // the server's access clock, outside of every synctest bubble
	code := m.Run()
	ats.Unregister()
	os.Exit(code)
}

// desk is a service on an embedded server.
type desk struct {
	*subscribers.Service
	t   *testing.T
	bus *bus.Bus
}

// withDesk runs a test in a bubble with a server. nats.go has a pool of timers, and one of another bubble must not be in it.
func withDesk(t *testing.T, test func(*testing.T, *desk)) {
	t.Helper()
	dir := t.TempDir()
	runtime.GC()
	runtime.GC() // a pool is empty after the second one
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		b, err := bus.Open(t.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: dir}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, &desk{&subscribers.Service{Bus: b, Key: func() ([]byte, error) { return []byte("key"), nil }}, t, b})
	})
}

func (d *desk) add(s subscribers.Subscriber) {
	d.t.Helper()
	if _, err := d.Add(d.t.Context(), s); err != nil {
		d.t.Fatal(err)
	}
}

// one settles one event.
func (d *desk) one(name, lease, as string, delay time.Duration) error {
	d.t.Helper()
	return d.Service.Settle(d.t.Context(), name, subscribers.Settlement{Lease: lease, As: as, Delay: delay})[0]
}

// publish publishes page events of a number. It waits until they can be claimed: nats-server 2.15.2 answers a publisher before the
// consumers of the stream have heard of the event.
func (d *desk) publish(to, name string, pages ...int) {
	d.t.Helper()
	for _, page := range pages {
		if _, err := d.bus.Record(d.t.Context(), session.PageArchived{Session: name, Page: page, ToToken: to}); err != nil {
			d.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// claim claims up to eight events without waiting, and gives them with the last tokens of their subjects.
func (d *desk) claim(name string) (events []subscribers.Event, pages string) {
	d.t.Helper()
	events, err := d.Claim(d.t.Context(), name, 8, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range events {
		parts := strings.Split(e.Subject, ".")
		pages += fmt.Sprintf("%s/%s#%d ", parts[5], parts[6], e.Tries)
	}
	return events, strings.TrimSpace(pages)
}

func (d *desk) settle(name string, e subscribers.Event, verdict string, delay time.Duration) {
	d.t.Helper()
	if err := d.one(name, e.Lease, verdict, delay); err != nil {
		d.t.Fatal(err)
	}
}

// Every event is claimed once by one of the workers, and again if it is not settled: when its lease is over, or later if the worker says
// so.
func TestEventsComeUntilTheyAreSettled(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.publish("1", "before", 1)
		d.add(subscribers.Subscriber{Name: "ocr", Lease: time.Minute})
		came := time.Now().UTC()
		d.publish("1", "fax", 1, 2, 3, 4)
		events, pages := d.claim("ocr")
		if pages != "fax/1#1 fax/2#1 fax/3#1 fax/4#1" || events[0].ID != "page.archived/fax/1" || len(events[0].Data) == 0 {
			t.Fatalf("claimed %s, want the four pages that came after it was added: %+v", pages, events)
		}
		if _, pages := d.claim("ocr"); pages != "" {
			t.Errorf("another worker gets %s too", pages)
		}
		d.settle("ocr", events[0], subscribers.Done, 0)
		d.settle("ocr", events[1], subscribers.Later, 10*time.Minute)
		torn := subscribers.Settlement{Lease: events[2].Lease, As: subscribers.Fail, Why: "torn"}
		if err := d.Settle(t.Context(), "ocr", torn)[0]; err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		d.settle("ocr", events[3], subscribers.Extend, 0)
		time.Sleep(50 * time.Second)
		if _, pages := d.claim("ocr"); pages != "" {
			t.Errorf("%s came while its lease ran", pages)
		}
		time.Sleep(20 * time.Second)
		again, pages := d.claim("ocr")
		if pages != "fax/4#2" {
			t.Fatalf("after the lease %s came, want page 4 again", pages)
		}
		d.settle("ocr", again[0], subscribers.Done, 0)
		if list, err := d.List(t.Context()); err != nil || !list[0].Oldest.Equal(came) {
			t.Errorf("the oldest that is not settled came %s: %+v, %v", came, list, err)
		}
		time.Sleep(10 * time.Minute)
		if again, pages = d.claim("ocr"); pages != "fax/2#2" {
			t.Fatalf("after the delay %s came, want page 2 again", pages)
		}
		d.settle("ocr", again[0], subscribers.Done, 0)
		list, err := d.List(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		s := list[0]
		if s.Waiting != 0 || s.InWork != 0 || s.Settled.IsZero() || !s.Oldest.IsZero() || s.Failed.Count != 1 || s.Failed.Why != "torn" {
			t.Errorf("nothing is left, and one event failed: %+v", s)
		}
	})
}

// A claim waits for an event, and ends with nothing if none comes.
func TestAClaimWaits(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "ocr"})
		began := time.Now()
		events, err := d.Claim(t.Context(), "ocr", 8, 20*time.Second)
		if err != nil || len(events) > 0 || time.Since(began) < 18*time.Second {
			t.Errorf("%d events after %s, %v", len(events), time.Since(began), err)
		}
		var publisher sync.WaitGroup
		publisher.Go(func() {
			time.Sleep(5 * time.Second)
			d.publish("1", "fax", 1)
		})
		defer publisher.Wait() // the event may be here before the answer to its publisher
		began = time.Now()
		events, err = d.Claim(t.Context(), "ocr", 8, 20*time.Second)
		if err != nil || len(events) != 1 || time.Since(began) > 6*time.Second {
			t.Errorf("%d events after %s, %v", len(events), time.Since(began), err)
		}
	})
}

// A subscriber with numbers gets the pages of these, and no more at once than it can work on. Subscribers do not take from each other.
func TestWhatASubscriberGets(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "all"})
		d.add(subscribers.Subscriber{Name: "desk", Numbers: []string{"13343040000"}, Concurrency: 2})
		d.publish("13343040000", "mine", 1, 2, 3)
		d.publish("222", "other", 1)
		if _, pages := d.claim("desk"); pages != "mine/1#1 mine/2#1" {
			t.Errorf("desk gets %s, want its number's pages, two at once", pages)
		}
		if _, pages := d.claim("all"); pages != "mine/1#1 mine/2#1 mine/3#1 other/1#1" {
			t.Errorf("all gets %s", pages)
		}
		list, err := d.List(t.Context())
		if err != nil || len(list) != 2 || list[0].Name != "all" || list[1].InWork != 2 || list[1].Waiting != 1 ||
			!slices.Equal(list[1].Numbers, []string{"13343040000"}) || list[1].Concurrency != 2 || list[1].Lease != time.Minute {
			t.Errorf("the list is %+v, %v", list, err)
		}
	})
}

// A subscriber that is rewound gets again what it has settled, and goes on where it is; one that is removed is gone, and its leases with
// it.
func TestRewindAndRemove(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.publish("1", "old", 1)
		time.Sleep(time.Hour)
		since := time.Now()
		d.publish("1", "fax", 1, 2)
		d.add(subscribers.Subscriber{Name: "ocr", Since: since})
		events, pages := d.claim("ocr")
		if pages != "fax/1#1 fax/2#1" {
			t.Fatalf("from an hour on it gets %s", pages)
		}
		d.settle("ocr", events[0], subscribers.Done, 0)
		time.Sleep(time.Second)
		if s, err := d.Rewind(t.Context(), "ocr", since.Add(-2*time.Hour)); err != nil || s.Waiting != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
		d.settle("ocr", events[1], subscribers.Done, 0)
		again, pages := d.claim("ocr")
		if pages != "old/1#1 fax/1#1 fax/2#1" {
			t.Errorf("after the rewind it gets %s", pages)
		}
		time.Sleep(time.Second) // leases know a durable by the time when it was made
		began, err := d.Began(t.Context(), "fax")
		if err != nil {
			t.Fatal(err)
		}
		if s, err := d.Rewind(t.Context(), "ocr", began); err != nil || s.Waiting != 2 {
			t.Errorf("rewound to the first page of a fax it has %d events to come, %v", s.Waiting, err)
		}
		if err := d.one("ocr", again[0].Lease, subscribers.Done, 0); !errors.Is(err, subscribers.ErrBad) {
			t.Errorf("settled with a lease of a rewind that another one replaced: %v", err)
		}
		for _, id := range []string{"unknown", "*", ""} {
			if _, err := d.Began(t.Context(), id); !errors.Is(err, subscribers.ErrBad) {
				t.Errorf("session %q: %v", id, err)
			}
		}
		if err := d.Remove(t.Context(), "ocr"); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"remove": d.Remove(t.Context(), "ocr"), "settle": d.one("ocr", events[0].Lease, subscribers.Done, 0),
		} {
			if !errors.Is(err, subscribers.ErrNone) {
				t.Errorf("%s a subscriber that is gone: %v", what, err)
			}
		}
		if n := d.durables(); n != 0 {
			t.Errorf("%d durables are left", n)
		}
	})
}

// Subscribers are added and removed while pages flow: each of them gets every page that is published while it is there, and only those.
func TestSubscribersComeAndGoWhilePagesFlow(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		const pages = 120
		var (
			all sync.WaitGroup
			mu  sync.Mutex
			got = map[string][]string{} // pages by subscriber; guarded by mu
		)
		work := func(name string) {
			for {
				events, err := d.Claim(t.Context(), name, 4, 10*time.Second)
				if errors.Is(err, subscribers.ErrNone) || err == nil && len(events) == 0 {
					return
				}
				d.report(err)
				for _, e := range events {
					err := d.one(name, e.Lease, subscribers.Done, 0)
					if errors.Is(err, subscribers.ErrNone) {
						return
					}
					d.report(err)
					mu.Lock()
					got[name] = append(got[name], e.ID)
					mu.Unlock()
				}
			}
		}
		come := func(name string) {
			d.add(subscribers.Subscriber{Name: name})
			all.Go(func() { work(name) })
		}
		come("always")
		for page := 1; page <= pages; page++ {
			switch page {
			case 40:
				come("short")
			case 60:
				come("late")
			case 80:
				d.report(d.Remove(t.Context(), "short"))
			}
			d.publish("1", "fax", page)
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
		for name, from := range map[string]int{"always": 1, "late": 60} {
			seen := map[string]bool{}
			for _, id := range got[name] {
				seen[id] = true
			}
			if len(seen) != pages-from+1 || len(got[name]) != len(seen) || !seen[fmt.Sprint("page.archived/fax/", from)] {
				t.Errorf("%s got %d events, %d pages; want each from page %d on once", name, len(got[name]), len(seen), from)
			}
		}
		if n := len(got["short"]); n < 30 || n > 40 || d.durables() != 2 {
			t.Errorf("short got %d of 40 pages, and there are %d durables", n, d.durables())
		}
	})
}

// What nobody can ask for gets a sentence; a lease of another subscriber settles nothing; a durable of a room is no subscriber.
func TestWhatIsRefused(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "ocr"})
		d.add(subscribers.Subscriber{Name: "thief"})
		d.publish("1", "fax", 1)
		events, _ := d.claim("ocr")
		room := bus.Consumer{Stream: bus.StreamPages, Durable: "sub-room", Filter: []string{session.TypePageFailed + ".>"}}
		err := d.bus.Consume(t.Context(), room, func(context.Context, bus.Delivery) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		_, there := d.Add(t.Context(), subscribers.Subscriber{Name: "ocr"})
		_, name := d.Add(t.Context(), subscribers.Subscriber{Name: "a.b"})
		_, lease := d.Add(t.Context(), subscribers.Subscriber{Name: "x", Lease: time.Second})
		_, atOnce := d.Add(t.Context(), subscribers.Subscriber{Name: "x", Concurrency: 1001})
		_, number := d.Add(t.Context(), subscribers.Subscriber{Name: "x", Numbers: []string{"*"}})
		_, most := d.Claim(t.Context(), "ocr", 0, 0)
		_, wait := d.Claim(t.Context(), "ocr", 1, time.Hour)
		_, none := d.Claim(t.Context(), "nobody", 1, 0)
		_, ours := d.Claim(t.Context(), "room", 1, 0)
		_, path := d.Claim(t.Context(), "../x", 1, 0)
		for what, row := range map[string]struct{ err, want error }{
			"a second of the name":   {there, subscribers.ErrThere},
			"a name":                 {name, subscribers.ErrBad},
			"a short lease":          {lease, subscribers.ErrBad},
			"too many at once":       {atOnce, subscribers.ErrBad},
			"a wildcard":             {number, subscribers.ErrBad},
			"no events":              {most, subscribers.ErrBad},
			"an endless wait":        {wait, subscribers.ErrBad},
			"nobody":                 {none, subscribers.ErrNone},
			"a durable of a room":    {ours, subscribers.ErrNone},
			"a path":                 {path, subscribers.ErrNone},
			"a stolen lease":         {d.one("thief", events[0].Lease, subscribers.Done, 0), subscribers.ErrBad},
			"a lease that is none":   {d.one("ocr", "x", subscribers.Done, 0), subscribers.ErrBad},
			"another verdict":        {d.one("ocr", events[0].Lease, "drop", 0), subscribers.ErrBad},
			"a delay where none can": {d.one("ocr", events[0].Lease, subscribers.Done, time.Second), subscribers.ErrBad},
		} {
			if !errors.Is(row.err, row.want) {
				t.Errorf("%s: %v, want %v", what, row.err, row.want)
			}
		}
		if s, err := d.Get(t.Context(), "ocr"); err != nil || s.InWork != 1 {
			t.Errorf("the event is still claimed: %+v, %v", s, err)
		}
	})
}
