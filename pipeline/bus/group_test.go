package bus

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
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
