package subscribers_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/subscribers"
)

// BenchmarkTenSubscribers lets ten subscribers claim and settle the same events at once, as fast as they can: events/s is what each of them
// gets.
func BenchmarkTenSubscribers(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	open, err := bus.Open(b.Context(), bus.Config{Embedded: bus.EmbeddedConfig{Dir: b.TempDir()}, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := open.Close(); err != nil {
			b.Error(err)
		}
	})
	v := &subscribers.Service{Bus: open, Key: func() ([]byte, error) { return []byte("key"), nil }}
	const count = 10
	for i := range count {
		if _, err := v.Add(b.Context(), subscribers.Subscriber{Name: fmt.Sprint("s", i)}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range b.N {
		if _, err := open.Record(b.Context(), session.PageArchived{Session: fmt.Sprint("fax", n/10), Page: 1 + n%10, ToToken: "1"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { drain(b, v, fmt.Sprint("s", i), b.N) })
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// drain claims and settles so many events.
func drain(b *testing.B, v *subscribers.Service, name string, events int) {
	for events > 0 {
		claimed, err := v.Claim(b.Context(), name, 64, time.Second)
		if err != nil {
			b.Error(err)
			return
		}
		var done []subscribers.Settlement
		for _, e := range claimed {
			done = append(done, subscribers.Settlement{Lease: e.Lease, As: subscribers.Done})
		}
		if err := errors.Join(v.Settle(b.Context(), name, done...)...); err != nil {
			b.Error(err)
			return
		}
		events -= len(claimed)
	}
}
