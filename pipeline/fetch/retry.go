package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A remedy is what an attempt that failed is followed by.
type remedy int

const (
	// fallBack: the same answer would come again. A page is taken from the whole file; of the whole file, its pages are missing
	// and a dead letter tells.
	fallBack remedy = iota
	// tryLater: by schedule, with growing delays until the deadline; then fallBack.
	tryLater
	// tryLaterThenProbe: the same, but at the deadline a probe tells a page that cannot be had from a provider that is away: then the stage stops.
	tryLaterThenProbe
	// probeThenTryLater: the probe comes first: a dead token stops the stage at once, a refusal of one page alone is tried again.
	probeThenTryLater
)

// remedies is the one table of what is done about a failed attempt, by its reason. Retries within a call are made before, by the
// provider's client: connections that fail, 429 and 5xx, for seconds. Our own stores' failures are no attempts and not here: the
// message is delivered again until they work.
var remedies = map[session.Reason]remedy{
	session.ReasonNotYet:       tryLater,          // 404, 409, 425, 429: not ready
	session.ReasonEmpty:        tryLater,          // caught while it was written
	session.ReasonTruncated:    tryLater,          // the same; exactly the same bytes twice are taken for the page
	session.ReasonWrongType:    tryLater,          // an error page that says 200
	session.ReasonTooLarge:     tryLater,          // the same
	session.ReasonRefused:      tryLater,          // another 4xx, a redirect elsewhere: a proxy's mood
	session.ReasonNotInFile:    tryLater,          // a whole file that is still growing
	session.ReasonUnavailable:  tryLaterThenProbe, // 5xx, timeout, connection
	session.ReasonUnauthorized: probeThenTryLater, // 401, 403
	session.ReasonNoPagePath:   fallBack,          // single pages are not fetched
	session.ReasonManyPages:    fallBack,          // a page's file with several pages
	session.ReasonDamaged:      fallBack,          // not one row can be decoded
	session.ReasonUnsupported:  fallBack,          // a coding that we do not read
	session.ReasonInternal:     fallBack,          // the decoder gave up
}

// Retry says when a failed attempt is made again. A file that can never be had is asked for once at once, once after each delay and
// once at the deadline, each time by the tries of one call: three where the provider fails, else one (ingest/faxplus). A
// redelivery of a message adds none of these: it follows an outage of ours or a gate that is closed.
type Retry struct {
	Delays   []time.Duration // after attempt 1, 2, …; the last one goes on
	Deadline time.Duration   // since the announcement; an attempt that would come later is not made, but for the second one
}

// DefaultRetry is gentle: a page that is not there after half an hour comes from the whole file.
func DefaultRetry() Retry {
	return Retry{
		Delays:   []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
		Deadline: 30 * time.Minute,
	}
}

// next gives when attempt n+1 is due after attempt n failed at the time `at`. ok is false when the deadline is over and the least
// attempts are made. A wait that the provider asks for is honoured, but does not skip the last attempt, at the deadline.
func (r Retry) next(n int, f *intake.Failure, deadline, at time.Time) (due time.Time, ok bool) {
	if len(r.Delays) == 0 {
		return time.Time{}, false
	}
	due = at.Add(max(r.Delays[min(n, len(r.Delays))-1], min(f.Wait, time.Hour)))
	if due.After(deadline) && at.Before(deadline) {
		due = deadline
	}
	return due, !due.After(deadline) || n < leastAttempts
}

// longest is the delay that goes on.
func (r Retry) longest() time.Duration {
	if len(r.Delays) == 0 {
		return 0
	}
	return r.Delays[len(r.Delays)-1]
}

// leastAttempts are made even past the deadline: only when the second one comes too late can be seen that a backlog or an outage of
// ours has used up the time.
const leastAttempts = 2

// heldUp is how late a retry comes only after an outage of ours. afterOutage is how long a page or file that an outage held up
// past its deadline is tried when it is over, but no longer than any page is.
const (
	heldUp      = time.Minute
	afterOutage = 5 * time.Minute
)

func (r Retry) afterOutage() time.Duration { return min(afterOutage, r.Deadline) }

// extend moves the deadline of a retry that comes much later than it was due: our own stores or processes were away, and that
// must not cost the page.
func (w *Worker) extend(r *session.Retry, d bus.Delivery) error {
	t, err := session.ParseTimer(d.Subject)
	if err != nil {
		return err
	}
	if r.Until.IsZero() {
		r.Until = d.Time.Add(w.retry.Deadline)
	}
	if late := d.Time.Add(w.retry.afterOutage()); d.Time.Sub(t.Due) > heldUp && late.After(r.Until) {
		r.Until = late
	}
	return nil
}

// again decides by the table whether an attempt is followed by another one, and when. An outage never makes a page missing: an
// error means that the provider cannot be used, the attempt does not count, and the stage stands still.
func (w *Worker) again(ctx context.Context, n int, f *intake.Failure, deadline, at time.Time) (due time.Time, ok bool, err error) {
	r := remedies[f.Reason]
	if r == fallBack {
		return time.Time{}, false, nil
	}
	due, ok = w.retry.next(n, f, w.gate.extended(deadline, w.retry.afterOutage()), at)
	if r == probeThenTryLater || r == tryLaterThenProbe && !ok {
		if !w.gate.usable(ctx) {
			return time.Time{}, false, fmt.Errorf("%w: %s", errStopped, f.Detail)
		}
	}
	return due, ok, nil
}
