package bus

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/faxstream/faxstream/pipeline/session"
)

// The callers of a batch come back: the first of them waits for the others, but not for long, and who was alone waits for nobody.
func TestACommitterWaitsForThoseThatComeBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		last int           // messages of the last commit
		come time.Duration // when as many come again
		want time.Duration // how long the committer waits
	}{
		{"alone", 1, 0, 0},
		{"all come", 3, time.Millisecond, time.Millisecond},
		{"they come late", 3, time.Hour, 2 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				g := &group{busy: true, last: pace{size: c.last, took: 4 * time.Millisecond, ended: start}}
				waited := make(chan time.Duration, 1)
				go func() {
					g.gather()
					waited <- time.Since(start)
				}()
				time.Sleep(c.come)
				for range c.last {
					g.enqueue(&put{ctx: t.Context(), msg: nats.NewMsg("s")})
				}
				if got := <-waited; got != c.want {
					t.Errorf("it waited for %s, want %s", got, c.want)
				}
			})
		})
	}
}

// A message that the stream never takes does not take those along that are stored with it.
func TestAMessageThatIsTooLargeIsRefusedAlone(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	stream, err := b.js.Stream(t.Context(), StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = 1000
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 13, 19} { // the server refuses a batch in another way for its last message
		var batch []*put
		for n := range 20 {
			m := nats.NewMsg(fmt.Sprintf("fax.v1.in.page.s-%d.%d", at, n))
			if n == at {
				m.Data = make([]byte, 2000)
			}
			batch = append(batch, &put{ctx: t.Context(), msg: m})
		}
		newGroup(b.js, StreamIn, b.health, b.connection, worth{from: 2}).commit(batch)
		for n, p := range batch {
			if large := n == at; TooLarge(p.err) != large || (p.err != nil) != large || (p.seq == 0) != large {
				t.Errorf("%d is too large, message %d: sequence %d, %v", at, n, p.seq, p.err)
			}
		}
	}
}

// A read that gets no answer is no read of an empty stream.
func TestAReadWithoutAnswerFails(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, more, err := b.Letters(over, LetterFilter{}, 10); err == nil {
		t.Errorf("letters are read without an answer, more: %t", more)
	}
	if facts, err := b.PageFacts(over, "s", session.Span(1, 3)); err == nil {
		t.Errorf("facts are read without an answer: %v", facts)
	}
}

// On a slow disk two messages are a batch, on a fast one a few go one by one; where nothing is known yet, the disk counts as slow.
func TestBatchesAreWorthTheSyncsThatTheySave(t *testing.T) {
	t.Parallel()
	memory, disk := worth{from: 2, stage: time.Millisecond}, worth{from: 16}
	for _, c := range []struct {
		worth worth
		quick time.Duration
		n     int
		want  bool
	}{
		{memory, 0, 1, false},
		{memory, 0, 2, true},
		{memory, 10 * time.Millisecond, 2, true},
		{memory, 400 * time.Microsecond, 3, false},
		{memory, 400 * time.Microsecond, 4, true},
		{disk, time.Millisecond, 15, false},
		{disk, time.Millisecond, 16, true},
	} {
		if got := (&group{worth: c.worth, quick: c.quick}).worthIt(c.n); got != c.want {
			t.Errorf("%d messages, one in %s, %+v: a batch is worth it: %t, want %t", c.n, c.quick, c.worth, got, c.want)
		}
	}
}

// Work waits while facts from outside are stored, and a little longer, as their senders come back. Facts that never end do not stop it.
func TestWorkGivesWayToFactsFromOutside(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	type span struct{ from, to time.Duration }
	for _, c := range []struct {
		name   string
		facts  []span
		work   Consumer
		worker int
		want   time.Duration
	}{
		{"no fact", nil, Consumer{}, 0, 0},
		{"one fact", []span{{0, 2 * ms}}, Consumer{}, 0, 7 * ms},
		{"a sender comes back", []span{{0, 2 * ms}, {4 * ms, 6 * ms}}, Consumer{}, 0, 11 * ms},
		{"a slow answer", []span{{0, 2 * ms}, {4 * ms, 14 * ms}}, Consumer{}, 0, 19 * ms},
		{"two at once", []span{{0, 2 * ms}, {1 * ms, 9 * ms}}, Consumer{}, 0, 14 * ms},
		{"a batch, one fact", []span{{0, 2 * ms}}, Consumer{most: 1000}, 0, 7 * ms},
		{"facts without an end", []span{{0, time.Hour}}, Consumer{Workers: 8}, 5, 50 * ms},
		{"the first of many workers", []span{{0, time.Hour}}, Consumer{Workers: 64}, 0, 200 * ms},
		{"the second of many workers", []span{{0, time.Hour}}, Consumer{Workers: 64}, 1, 50 * ms},
		{"the last of many workers", []span{{0, time.Hour}}, Consumer{Workers: 64}, 63, 150 * ms},
		{"a batch, facts without an end", []span{{0, time.Hour}}, Consumer{most: 1000}, 0, 500 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var p precedence
				for _, f := range c.facts {
					time.AfterFunc(f.from, p.begin)
					time.AfterFunc(f.to, p.end)
				}
				time.Sleep(time.Nanosecond) // the first fact has begun
				start := time.Now()
				p.wait(t.Context(), c.work.rounds(), c.worker)
				if got := time.Since(start).Round(ms); got != c.want {
					t.Errorf("the work waited %s, want %s", got, c.want)
				}
			})
		})
	}
}

// Work that waits ends its wait with its context.
func TestWaitingWorkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p precedence
		p.begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		p.wait(ctx, 10, 0)
		if got := time.Since(start); got != time.Millisecond {
			t.Errorf("the work waited %s after its context had ended", got)
		}
		p.end()
		time.Sleep(calmAfter)
	})
}
