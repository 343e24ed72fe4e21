package fetch

import (
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

func TestRetryTimes(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return start.Add(d) }
	r := DefaultRetry()
	deadline := after(r.Deadline)
	for _, c := range []struct {
		name    string
		attempt int
		at      time.Time
		wait    time.Duration
		due     time.Time
		ok      bool
	}{
		{"the second soon", 1, start, 0, after(5 * time.Second), true},
		{"the third later", 2, after(5 * time.Second), 0, after(20 * time.Second), true},
		{"then by the last delay", 9, after(10 * time.Minute), 0, after(25 * time.Minute), true},
		{"the last one at the deadline", 9, after(25 * time.Minute), 0, deadline, true},
		{"none after it", 10, deadline, 0, after(45 * time.Minute), false},
		{"the second one is made even after it", 1, deadline.Add(time.Hour), 0, deadline.Add(time.Hour + 5*time.Second), true},
		{"as long as the provider asks", 1, start, 2 * time.Minute, after(2 * time.Minute), true},
		{"but no longer than to the deadline", 1, start, 50 * time.Minute, deadline, true},
	} {
		due, ok := r.next(c.attempt, &intake.Failure{Reason: session.ReasonNotYet, Wait: c.wait}, deadline, c.at)
		if !due.Equal(c.due) || ok != c.ok {
			t.Errorf("%s: due %v, %t; want %v, %t", c.name, due.Sub(start), ok, c.due.Sub(start), c.ok)
		}
	}
}
