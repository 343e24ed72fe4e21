package subscribers_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// durables counts the durables of subscribers.
func (d *desk) durables() (n int) {
	d.t.Helper()
	stream, err := d.bus.JetStream().Stream(d.t.Context(), bus.StreamPages)
	if err != nil {
		d.t.Fatal(err)
	}
	for name := range stream.ConsumerNames(d.t.Context()).Name() {
		if strings.HasPrefix(name, "sub-") {
			n++
		}
	}
	return n
}

func span(n int) (pages []int) {
	for i := range n {
		pages = append(pages, i+1)
	}
	return pages
}

// work claims one event after another and settles each as done, as an OCR worker does, until nothing is left. It gives the ids in their
// order.
func (d *desk) work(name string) (ids []string) {
	d.t.Helper()
	for {
		events, err := d.Claim(d.t.Context(), name, 1, 0)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(events) == 0 {
			return ids
		}
		ids = append(ids, events[0].ID)
		d.settle(name, events[0], subscribers.Done, 0)
	}
}

// Behind a burst of 600 pages of one number, the three pages of another one do not wait for the end of the burst. Each page comes once.
// When the burst is over, the subscriber is one durable again. An event that comes while the share is closed may come from both.
func TestABurstOfOneNumberKeepsNobodyWaiting(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "ocr"})
		d.publish("222", "burst", span(600)...)
		d.publish("1", "small", 1, 2, 3)
		ids := d.work("ocr")
		seen, last := map[string]bool{}, 0
		for i, id := range ids {
			seen[id] = true
			if strings.Contains(id, "small") {
				last = i + 1
			}
		}
		if len(ids) != 603 || len(seen) != 603 {
			t.Errorf("%d events came, %d different ones, want 603", len(ids), len(seen))
		}
		if last > 300 {
			t.Errorf("the last page of the small fax was event %d: it waited for the burst", last)
		}
		time.Sleep(2 * time.Minute)
		d.publish("222", "later", 1)
		if ids := d.work("ocr"); fmt.Sprint(slices.Compact(ids)) != "[page.archived/later/1]" {
			t.Errorf("after the burst came %s", ids)
		}
		time.Sleep(2 * time.Minute)
		ids = d.work("ocr") // the share is closed
		time.Sleep(time.Minute)
		if ids = append(ids, d.work("ocr")...); len(ids) != 0 || d.durables() != 1 {
			t.Errorf("then came %s, and there are %d durables", ids, d.durables())
		}
	})
}

// A burst of a subscriber that works on two events at once does not give it more.
func TestABurstDoesNotRaiseConcurrency(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "ocr", Concurrency: 2})
		d.publish("222", "burst", span(300)...)
		for range 100 {
			d.settle("ocr", d.next("ocr"), subscribers.Done, 0)
		}
		if d.durables() != 2 {
			t.Fatalf("%d durables, want one and a share", d.durables())
		}
		d.next("ocr")
		d.next("ocr")
		if events, err := d.Claim(t.Context(), "ocr", 8, time.Second); err != nil || len(events) > 0 {
			t.Errorf("with two in work it gets %d more, %v", len(events), err)
		}
	})
}

// next claims one event.
func (d *desk) next(name string) subscribers.Event {
	d.t.Helper()
	events, err := d.Claim(d.t.Context(), name, 1, 0)
	if err != nil || len(events) != 1 {
		d.t.Fatalf("%d events, %v", len(events), err)
	}
	return events[0]
}

// A rewind repeats events after the new ones, also after those that come while it runs.
func TestNewEventsComeBeforeThoseOfARewind(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		since := time.Now()
		d.add(subscribers.Subscriber{Name: "ocr"})
		d.publish("1", "old", 1, 2, 3)
		d.work("ocr")
		d.publish("1", "waits", 1)
		if _, err := d.Rewind(t.Context(), "ocr", since); err != nil {
			t.Fatal(err)
		}
		if events, pages := d.claim("ocr"); pages != "waits/1#1 old/1#1 old/2#1 old/3#1" {
			t.Errorf("after a rewind came %s", pages)
		} else {
			d.settle("ocr", events[0], subscribers.Done, 0)
			for _, e := range events[1:] {
				d.settle("ocr", e, subscribers.Later, 0)
			}
		}
		time.Sleep(time.Second)
		d.publish("1", "new", 1)
		if ids := d.work("ocr"); fmt.Sprint(ids) != "[page.archived/new/1 page.archived/old/1 page.archived/old/2 page.archived/old/3]" {
			t.Errorf("then came %s", ids)
		}
		if ids := d.work("ocr"); len(ids) != 0 || d.durables() != 1 {
			t.Errorf("after the rewind is over %s came, and there are %d durables", ids, d.durables())
		}
	})
}

// No event is lost, whatever bursts, processes, rewinds, lost leases and restarts do to the durables of a subscriber.
func TestNoEventIsLostByShares(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			withDesk(t, func(t *testing.T, d *desk) { new(shareTrial).run(t, d, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

// All workers die with all that they may have, in a burst and while a rewind runs. When the leases are over, others get everything.
func TestWorkersDieInABurst(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		began := time.Now()
		d.add(subscribers.Subscriber{Name: "ocr", Concurrency: 40})
		d.publish("222", "burst", span(300)...)
		d.publish("1", "small", span(20)...)
		for range 150 {
			d.settle("ocr", d.next("ocr"), subscribers.Done, 0)
		}
		if _, err := d.Rewind(t.Context(), "ocr", began); err != nil {
			t.Fatal(err)
		}
		other := &subscribers.Service{Bus: d.bus, Key: d.Key}
		for _, v := range []*subscribers.Service{d.Service, other, d.Service, other} {
			if _, err := v.Claim(t.Context(), "ocr", 32, 0); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		seen := map[string]bool{}
		for _, id := range d.work("ocr") {
			seen[id] = true
		}
		if len(seen) != 320 {
			t.Errorf("%d events came, want each of 320 again or for the first time", len(seen))
		}
	})
}

// A rewind repeats also what a share has given before the main durable came there.
func TestARewindRepeatsWhatSharesGave(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		began := time.Now()
		d.add(subscribers.Subscriber{Name: "ocr"})
		d.publish("222", "burst", span(250)...)
		for page := 1; page <= 100; page++ {
			d.publish("222", "mixed", page)
			d.publish("1", "other", page)
		}
		before := []string{}
		for range 350 {
			e := d.next("ocr")
			before = append(before, e.ID)
			d.settle("ocr", e, subscribers.Done, 0)
		}
		if d.durables() < 2 {
			t.Fatalf("%d durables, want one and a share", d.durables())
		}
		if _, err := d.Rewind(t.Context(), "ocr", began); err != nil {
			t.Fatal(err)
		}
		again := map[string]int{}
		for _, id := range d.work("ocr") {
			again[id]++
		}
		for _, id := range before {
			if again[id] != 1 {
				t.Errorf("%s was settled before the rewind, and came %d times after it", id, again[id])
			}
		}
		if len(again) != 450 {
			t.Errorf("%d events came after the rewind, want 450", len(again))
		}
	})
}

// Workers of three processes claim at the same time, while a burst of one number gets a share. Each event is done, nearly all once.
func TestWorkersOfSeveralProcesses(t *testing.T) {
	withDesk(t, func(t *testing.T, d *desk) {
		d.add(subscribers.Subscriber{Name: "ocr"})
		d.publish("222", "burst", span(500)...)
		d.publish("1", "small", span(20)...)
		var (
			all  sync.WaitGroup
			mu   sync.Mutex
			done = map[string]int{} // guarded by mu
		)
		for range 3 {
			v := &subscribers.Service{Bus: d.bus, Key: d.Key}
			for worker := range 3 {
				all.Go(func() {
					for {
						events, err := v.Claim(t.Context(), "ocr", 1+worker, time.Second)
						if err != nil || len(events) == 0 {
							d.report(err)
							return
						}
						for _, e := range events {
							d.report(v.Settle(t.Context(), "ocr", subscribers.Settlement{Lease: e.Lease, As: subscribers.Done})[0])
							mu.Lock()
							done[e.ID]++
							mu.Unlock()
						}
					}
				})
			}
		}
		all.Wait()
		again := 0
		for _, n := range done {
			again += n - 1
		}
		if len(done) != 520 || again > 20 {
			t.Errorf("%d events were done, %d of them again; want 520, and hardly one again", len(done), again)
		}
	})
}

func (d *desk) report(err error) {
	if err != nil {
		d.t.Error(err)
	}
}

// shareTrial is one random history of a subscriber.
type shareTrial struct {
	published, done map[string]bool
	faxes, doubled  int
}

func (r *shareTrial) run(t *testing.T, d *desk, rnd *rand.Rand) {
	r.published, r.done = map[string]bool{}, map[string]bool{}
	d.add(subscribers.Subscriber{Name: "ocr", Lease: 5 * time.Second, Concurrency: 1 + rnd.IntN(40)})
	began := time.Now()
	processes := []*subscribers.Service{d.Service, {Bus: d.bus, Key: d.Key}, {Bus: d.bus, Key: d.Key}}
	for range 150 {
		at := rnd.IntN(len(processes))
		switch n := rnd.IntN(20); {
		case n == 0: // a burst
			r.publish(d, fmt.Sprint(1+rnd.IntN(2)), 150)
		case n < 3:
			r.publish(d, fmt.Sprint(1+rnd.IntN(5)), 1+rnd.IntN(3))
		case n == 3:
			time.Sleep(time.Duration(rnd.IntN(90)) * time.Second)
		case n == 4: // a restart
			processes[at] = &subscribers.Service{Bus: d.bus, Key: d.Key}
		case n == 5 && rnd.IntN(4) == 0:
			if _, err := processes[at].Rewind(t.Context(), "ocr", began.Add(time.Duration(rnd.Int64N(int64(time.Since(began)+1))))); err != nil {
				t.Fatal(err)
			}
		default:
			r.claim(t, processes[at], rnd, 1+rnd.IntN(16))
		}
	}
	for quiet := 0; quiet < 3; quiet++ {
		for _, v := range processes {
			for r.claim(t, v, nil, 64) > 0 {
				quiet = 0
			}
		}
		time.Sleep(2 * time.Minute)
	}
	for id := range r.published {
		if !r.done[id] {
			t.Errorf("%s is lost", id)
		}
	}
	if n := d.durables(); n != 1 {
		t.Errorf("%d durables at the end", n)
	}
	t.Logf("%d events, %d came again after they were done", len(r.published), r.doubled)
}

func (r *shareTrial) publish(d *desk, to string, pages int) {
	r.faxes++
	name := fmt.Sprint("fax", r.faxes)
	d.publish(to, name, span(pages)...)
	for _, p := range span(pages) {
		r.published[fmt.Sprintf("page.archived/%s/%d", name, p)] = true
	}
}

// claim claims events and settles each in some way, or leaves it to its lease; without rnd all are done.
func (r *shareTrial) claim(t *testing.T, v *subscribers.Service, rnd *rand.Rand, most int) int {
	events, err := v.Claim(t.Context(), "ocr", most, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		s := subscribers.Settlement{Lease: e.Lease, As: subscribers.Done}
		if rnd != nil && rnd.IntN(8) == 0 {
			s.As = subscribers.Later
		} else if rnd != nil && rnd.IntN(12) == 0 {
			continue
		}
		if err := v.Settle(t.Context(), "ocr", s)[0]; err != nil {
			t.Fatal(err)
		}
		if s.As == subscribers.Done {
			if r.done[e.ID] {
				r.doubled++
			}
			r.done[e.ID] = true
		}
	}
	return len(events)
}
