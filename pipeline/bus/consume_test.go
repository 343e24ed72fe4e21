package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

var pageConsumer = Consumer{Stream: StreamIn, Durable: "page", Filter: []string{session.TypePageAnnounced + ".>"}}

func consume(t testing.TB, b *Bus, c Consumer, handle func(context.Context, Delivery) error) {
	t.Helper()
	if err := b.Consume(t.Context(), c, handle); err != nil {
		t.Fatal(err)
	}
}

// outstanding is how many messages a durable still owes: delivered and not settled, or not delivered.
func outstanding(t testing.TB, b *Bus, c Consumer) (pending int, waiting uint64) {
	t.Helper()
	cons, err := b.js.Consumer(t.Context(), c.Stream, c.Durable)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cons.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.NumAckPending, info.NumPending
}

func TestAHandledMessageIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		seen := make(chan Delivery, 16)
		consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error { seen <- d; return nil })
		seq := mustRecord(t, b, page("s", 1))
		mustRecord(t, b, session.Closed{Session: "s", Direction: session.Incoming}) // not for this consumer
		d := receive(t, seen)
		if d.Subject != "fax.v1.in.page.s.1" || d.Sequence != seq || d.Tries != 1 || d.Time.IsZero() || len(d.Data) == 0 {
			t.Errorf("delivered as %+v", d)
		}
		time.Sleep(time.Hour)
		if pending, waiting := outstanding(t, b, pageConsumer); pending != 0 || waiting != 0 || len(seen) != 0 {
			t.Errorf("%d messages unsettled, %d waiting, %d delivered again", pending, waiting, len(seen))
		}
		closeBus(t, b)
	})
}

// In an ordered consumer a message that fails holds up those behind it, and one whose time has not come too; otherwise it does not.
func TestAnOrderedConsumerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errors.New("the store refuses"), Later{time.Minute}} {
		for _, ordered := range []bool{true, false} {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := open(t, dir)
				c := pageConsumer
				c.Ordered = ordered
				seen := make(chan string, 16)
				for n := range 2 {
					mustRecord(t, b, page("s", n+1))
				}
				consume(t, b, c, func(_ context.Context, d Delivery) error {
					seen <- fmt.Sprint(d.Subject[len(d.Subject)-1:], " ", d.Tries)
					if d.Subject == "fax.v1.in.page.s.1" && d.Tries == 1 {
						return failure
					}
					return nil
				})
				got := fmt.Sprint(receive(t, seen), ", ", receive(t, seen), ", ", receive(t, seen))
				if want := map[bool]string{true: "1 1, 1 2, 2 1", false: "1 1, 2 1, 1 2"}[ordered]; got != want {
					t.Errorf("ordered %t, %v: delivered %s, want %s", ordered, failure, got, want)
				}
				closeBus(t, b)
			})
		}
	}
}

// A store that refuses is an outage: the message comes again, later each time, and without end.
func TestAnOutageDeliversAgainLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		const outages = 8
		var at []time.Time
		done := make(chan struct{})
		consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error {
			at = append(at, time.Now())
			if d.Tries != len(at) {
				t.Errorf("delivery %d says that it is the %dth", len(at), d.Tries)
			}
			if len(at) <= outages {
				return errors.New("the store refuses")
			}
			close(done)
			return nil
		})
		mustRecord(t, b, page("s", 1))
		receive(t, done)
		for i := 1; i < len(at); i++ {
			want := outageDelays[min(i, len(outageDelays))-1]
			if gap := at[i].Sub(at[i-1]); gap < want || gap > want+time.Second {
				t.Errorf("delivery %d came after %s, want %s", i+1, gap, want)
			}
		}
		if n := count(t, b, StreamDLQ); n != 0 {
			t.Errorf("%d dead letters of an outage", n)
		}
		closeBus(t, b)
	})
}

func TestADeadMessageIsBuriedOnceWithItsStory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		seen := make(chan Delivery, 16)
		consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error {
			seen <- d
			return fmt.Errorf("handler: %w", Dead{session.ReasonBadRequest, errors.New("page 3 of nothing")})
		})
		mustRecord(t, b, page("s", 1))
		d := receive(t, seen)
		time.Sleep(time.Hour)
		if pending, _ := outstanding(t, b, pageConsumer); pending != 0 || len(seen) != 0 {
			t.Errorf("%d unsettled, %d delivered again", pending, len(seen))
		}
		letter := lastOf(t, b, StreamDLQ, session.TypeDeadLetter+".page.>")
		if string(letter.Data) != string(d.Data) {
			t.Errorf("the dead letter holds %q, the message was %q", letter.Data, d.Data)
		}
		for header, want := range map[string]string{
			HeaderStage: "page", HeaderReason: string(session.ReasonBadRequest), HeaderDetail: "page 3 of nothing",
			HeaderOriginal: "fax.v1.in.page.s.1",
		} {
			if got := letter.Header.Get(header); got != want {
				t.Errorf("header %s is %q, want %q", header, got, want)
			}
		}
		closeBus(t, b)
	})
}

// A handler may take far longer than AckWait: no other handler gets its message.
func TestASlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		var deliveries atomic.Int32
		done := make(chan struct{}, 16)
		c := pageConsumer
		c.Workers = 4
		consume(t, b, c, func(context.Context, Delivery) error {
			deliveries.Add(1)
			time.Sleep(20 * ackWait)
			done <- struct{}{}
			return nil
		})
		mustRecord(t, b, page("s", 1))
		receive(t, done)
		time.Sleep(4 * ackWait)
		if n := deliveries.Load(); n != 1 {
			t.Errorf("delivered %d times", n)
		}
		closeBus(t, b)
	})
}

func TestBatchesHaveOneErrorForEachMessage(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	const n, most = 40, 16
	for i := range n {
		mustRecord(t, b, page("s", i+1))
	}
	sizes := make(chan int, 4*n)
	var failedOnce atomic.Bool
	handled := make(chan string, 4*n)
	err := b.ConsumeBatches(t.Context(), pageConsumer, most, func(_ context.Context, ds []Delivery) []error {
		sizes <- len(ds)
		errs := make([]error, len(ds))
		for i, d := range ds {
			switch {
			case d.Subject == "fax.v1.in.page.s.7" && failedOnce.CompareAndSwap(false, true):
				errs[i] = errors.New("once more")
			case d.Subject == "fax.v1.in.page.s.9":
				errs[i] = Dead{session.ReasonDamaged, errors.New("never")}
			default:
				handled <- d.Subject
			}
		}
		return errs
	})
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for range n - 1 { // page 9 dies
		times[receive(t, handled)]++
	}
	if len(times) != n-1 || times["fax.v1.in.page.s.7"] != 1 {
		t.Errorf("%d messages were handled, want %d, each once", len(times), n-1)
	}
	largest := 0
	for len(sizes) > 0 {
		size := <-sizes
		largest = max(largest, size)
	}
	if largest < 2 || largest > most {
		t.Errorf("the largest batch had %d messages, want 2 to %d", largest, most)
	}
	closeBus(t, b)
}

// Close lets a handler finish and acknowledges what it did; what it could not do is there for the next process at once.
func TestCloseWaitsForHandlersAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	started, release := make(chan struct{}, 2), make(chan struct{})
	c := pageConsumer
	c.Workers = 2
	consume(t, b, c, func(_ context.Context, d Delivery) error {
		started <- struct{}{}
		<-release
		if d.Subject == "fax.v1.in.page.s.2" {
			return errors.New("interrupted")
		}
		return nil
	})
	for i := range 3 {
		mustRecord(t, b, page("s", i+1))
	}
	receive(t, started)
	receive(t, started)
	context.AfterFunc(b.life, func() { close(release) }) // as Close begins
	closeBus(t, b)

	b = open(t, dir)
	seen := make(chan Delivery, 8)
	consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error { seen <- d; return nil })
	got := map[string]bool{}
	for range 2 {
		got[receive(t, seen).Subject] = true
	}
	if !got["fax.v1.in.page.s.2"] || !got["fax.v1.in.page.s.3"] {
		t.Errorf("the next process got %v, want pages 2 and 3", got)
	}
	mustRecord(t, b, page("s", 4))
	if d := receive(t, seen); d.Subject != "fax.v1.in.page.s.4" {
		t.Errorf("%s was delivered again", d.Subject)
	}
}

// After stopGrace the context of a running handler is cancelled, so that Close always returns.
func TestCloseInterruptsAHandlerThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		started := make(chan struct{})
		consume(t, b, pageConsumer, func(ctx context.Context, _ Delivery) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		})
		mustRecord(t, b, page("s", 1))
		receive(t, started)
		before := time.Now()
		closeBus(t, b)
		if took := time.Since(before); took < stopGrace || took > stopGrace+time.Second {
			t.Errorf("Close took %s, want %s", took, stopGrace)
		}
	})
}

// If a store refuses a message for hours, not every delivery is a warning: thousands of messages may wait.
func TestALongOutageDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b, err := Open(t.Context(), Config{Embedded: EmbeddedConfig{Dir: dir}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		mustRecord(t, b, page("s", 1))
		tries := 0
		consume(t, b, pageConsumer, func(_ context.Context, d Delivery) error {
			tries = d.Tries
			return errors.New("the archive is away")
		})
		time.Sleep(time.Hour)
		closeBus(t, b)
		if told := strings.Count(log.String(), "comes again by itself"); tries < 200 || told < 5 || told > 20 {
			t.Errorf("%d lines for %d deliveries, want from 5 to 20", told, tries)
		}
	})
}

// Messages that wait in the process for a worker are not given to anybody else, however long the workers take.
func TestAMessageThatWaitsForAWorkerIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		c := pageConsumer
		c.Workers = 4
		for n := range 7 {
			mustRecord(t, b, page("s", n+1))
		}
		consume(t, b, c, func(_ context.Context, d Delivery) error {
			if d.Tries > 1 {
				t.Errorf("%s was delivered again", d.Subject)
			}
			time.Sleep(20 * ackWait)
			return nil
		})
		for _, want := range []int{5, 3, 0} { // one waits for the four workers
			time.Sleep(19 * ackWait)
			if pending, waiting := outstanding(t, b, c); pending != want || want > 3 && waiting != 2 {
				t.Errorf("%d messages are in the process and %d on the server, want %d in the process", pending, waiting, want)
			}
			time.Sleep(3 * ackWait / 2)
		}
		closeBus(t, b)
	})
}

// Close hands back what waits for a worker, and begins nothing: the next process has it at once.
func TestCloseHandsBackWhatWaitsForAWorker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	c := pageConsumer
	c.Workers = 4
	for n := range 6 {
		mustRecord(t, b, page("s", n+1))
	}
	begun := make(chan struct{}, 8)
	consume(t, b, c, func(context.Context, Delivery) error {
		begun <- struct{}{}
		<-b.life.Done()
		return errors.New("interrupted")
	})
	for pending := 0; pending < 5; {
		pending, _ = outstanding(t, b, c)
	}
	for range 4 {
		receive(t, begun)
	}
	closeBus(t, b)
	if len(begun) > 0 {
		t.Errorf("%d messages were begun after Close", len(begun))
	}

	b = open(t, dir)
	seen := make(chan Delivery, 8)
	consume(t, b, c, func(_ context.Context, d Delivery) error { seen <- d; return nil })
	start, subjects := time.Now(), map[string]bool{}
	for range 6 {
		subjects[receive(t, seen).Subject] = true
	}
	if took := time.Since(start); len(subjects) != 6 || took > ackWait/2 {
		t.Errorf("the next process had %d of 6 messages after %s", len(subjects), took)
	}
}

// A durable that has nothing to do has one pull, however many workers it has.
func TestAnIdleDurableHasOnePull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		before := b.nc.NumSubscriptions()
		c := pageConsumer
		c.Workers = 24
		consume(t, b, c, func(context.Context, Delivery) error { return nil })
		time.Sleep(time.Minute)
		sent := b.nc.Stats().OutMsgs
		time.Sleep(10 * fetchWait)
		if n := b.nc.NumSubscriptions() - before; n > 1 {
			t.Errorf("%d subscriptions, want one", n)
		}
		if n := b.nc.Stats().OutMsgs - sent; n > 30 { // looks at the durable, too
			t.Errorf("%d messages in ten seconds", n)
		}
		closeBus(t, b)
	})
}
