package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// atOnce lets copies begin without waiting.
func atOnce(context.Context) (release func(), err error) { return func() {}, nil }

// Copies are handled in the order newest first. A full lane loses its older half, and what the durable itself delivered is not handled
// early any more.
func TestALaneIsNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lane
		handled := make(chan uint64, 2*laneHolds)
		begin := make(chan struct{})
		end := l.run(t.Context(), Consumer{Workers: 1, Overtake: atOnce}, testTime, func(_ context.Context, ds []Delivery) []error {
			<-begin
			handled <- ds[0].Sequence
			return []error{errors.New("what a handler says of a copy has no effect")}
		})
		l.push(Delivery{Sequence: 1})
		synctest.Wait() // the worker has it
		for n := range uint64(laneHolds + 1) {
			l.push(Delivery{Sequence: n + 2})
		}
		l.reach(&Delivery{Sequence: laneHolds, Time: testTime})
		close(begin)
		synctest.Wait()
		end(laneHolds + 2)
		close(handled)
		var got []uint64
		for n := range handled {
			got = append(got, n)
		}
		if want := []uint64{1, laneHolds + 2, laneHolds + 1}; !slices.Equal(got, want) {
			t.Errorf("handled %v, want %v", got, want)
		}
	})
}

// A message may have been handled early if a copy of it may exist: a handler must look then.
func TestAMessageWithACopyComesAgain(t *testing.T) {
	var l lane
	l.began = 3
	end := l.run(t.Context(), Consumer{Workers: 1, Overtake: atOnce}, testTime, nil)
	again := func(sequence uint64, age time.Duration) (again, behind bool) {
		d := Delivery{Sequence: sequence, Time: testTime.Add(-age)}
		l.reach(&d)
		return d.Again, d.Behind
	}
	for _, row := range []struct {
		name          string
		sequence      uint64
		age           time.Duration
		closed        bool
		again, behind bool
	}{
		{"from before this process, which may have had a lane", 3, time.Hour, false, true, true},
		{"from before the lane", 4, time.Second, false, false, true},
		{"with a copy", 5, 0, false, true, true},
		{"with a copy, after the lane was closed", 9, 0, true, true, false},
		{"after the lane was closed", 10, 0, true, false, false},
	} {
		if row.closed {
			end(9)
		}
		if again, behind := again(row.sequence, row.age); again != row.again || behind != row.behind {
			t.Errorf("%s: again %t, behind %t", row.name, again, behind)
		}
	}
}

// copiesOf is the consumer of the copies of pageConsumer; nil: there is none.
func copiesOf(t *testing.T, b *Bus) *jetstream.ConsumerInfo {
	t.Helper()
	cons, err := b.js.Consumer(t.Context(), StreamIn, pageConsumer.Durable+laneEnding)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return cons.CachedInfo()
}

// New messages overtake a backlog, also after somebody deletes the consumer of the copies. Every message is settled once all the same, and
// after the backlog the consumer is removed.
func TestNewMessagesOvertakeABacklog(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		const old, fresh = 3 * laneOpens, 10
		for n := range old {
			mustRecord(t, b, page("old", n+1))
		}
		var mu sync.Mutex
		times, settled := map[string]int{}, 0
		early := make(chan string, 4*fresh)
		c := pageConsumer
		c.Workers, c.Overtake = 4, atOnce
		consume(t, b, c, func(_ context.Context, d Delivery) error {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case d.Early:
				early <- d.Subject
				return errors.New("this has no effect")
			case d.Sequence > old && !d.Again:
				t.Errorf("%s may have been handled early, and its handler is not told", d.Subject)
			}
			times[d.Subject]++
			settled++
			return nil
		})
		time.Sleep(2 * laneEvery)
		for round := range 2 {
			info := copiesOf(t, b)
			if info == nil {
				t.Fatalf("round %d: there is no consumer of copies", round)
			}
			if info.Config.Durable != "" || info.Config.InactiveThreshold != laneIdle || info.Config.AckPolicy != jetstream.AckNonePolicy {
				t.Errorf("the server never removes it: %+v", info.Config)
			}
			id := fmt.Sprint("fresh", round)
			for n := range fresh {
				mustRecord(t, b, page(id, n+1))
			}
			for range fresh {
				receive(t, early)
			}
			mu.Lock()
			if settled > old/2 {
				t.Errorf("%d messages of the backlog were settled before the new ones", settled)
			}
			mu.Unlock()
			if round == 0 {
				if err := b.js.DeleteConsumer(t.Context(), StreamIn, info.Name); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * laneEvery)
			}
		}
		time.Sleep(time.Minute)
		if copiesOf(t, b) != nil {
			t.Error("the consumer of copies is there after the backlog")
		}
		if pending, waiting := outstanding(t, b, c); pending > 0 || waiting > 0 || len(times) != old+2*fresh || settled != len(times) {
			t.Errorf("%d and %d messages are left; %d were settled %d times, want %d", pending, waiting, len(times), settled, old+2*fresh)
		}
		if err := b.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		closeBus(t, b)
	})
}
