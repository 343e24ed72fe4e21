package fetch

import (
	"context"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A remedy is what follows a failed attempt.
type remedy int

const (
	// fallBack: a retry would get the same answer. A page then comes from the whole file. If it is the whole file that failed, its pages
	// are missing and there is a dead letter.
	fallBack remedy = iota
	// tryLater: retries by schedule with growing delays until the deadline; then fallBack.
	tryLater
	// probeThenTryLater: the probe comes first. If the provider is down or the token is invalid, the stage stops at once, and goes on when a
	// probe says that it can: so no page waits for a retry of its own when the provider is back. If only this page fails, tryLater.
	probeThenTryLater
)

// remedies is the one table of what follows a failed attempt, by its reason. Before an attempt fails, the provider's client has retried
// within the call for some seconds, for failed connections, 429 and 5xx. A failure of our own stores is not an attempt and not in this
// table: the message is delivered again until they work.
var remedies = map[session.Reason]remedy{
	session.ReasonNotYet:       tryLater,          // 202, 404, 409, 425, 429: not ready
	session.ReasonEmpty:        tryLater,          // the provider is still writing it
	session.ReasonTruncated:    tryLater,          // the same; if the same bytes come twice, they are used as the page
	session.ReasonWrongType:    tryLater,          // an error page with status 200
	session.ReasonTooLarge:     tryLater,          // the same
	session.ReasonRefused:      tryLater,          // another 4xx, or a redirect to another place: maybe a proxy, for a while
	session.ReasonNotInFile:    tryLater,          // a whole file that is still growing
	session.ReasonUnavailable:  probeThenTryLater, // 5xx, timeout, connection
	session.ReasonUnauthorized: probeThenTryLater, // 401, 403
	session.ReasonNoPagePath:   fallBack,          // single pages are not fetched
	session.ReasonManyPages:    fallBack,          // the file of a page has several pages
	session.ReasonDamaged:      fallBack,          // no row can be decoded
	session.ReasonUnsupported:  fallBack,          // a coding that we cannot read
	session.ReasonInternal:     fallBack,          // the decoder panicked
}

// Retry says when a failed attempt is repeated. A file that never arrives is fetched once at once, once after each delay and once at the
// deadline. Each fetch is one call with up to three requests if the provider fails, else one (ingest/faxplus). A redelivery of a message
// adds no attempt: it follows an outage of ours or a closed gate.
type Retry struct {
	Delays   []time.Duration // after attempt 1, 2, …; the last one repeats; none: no retries
	Deadline time.Duration   // since the announcement; a later attempt is not made, except the second one
}

// DefaultRetry puts little load on the provider. A page that is not there after half an hour comes from the whole file.
func DefaultRetry() Retry {
	return Retry{
		Delays:   []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
		Deadline: 30 * time.Minute,
	}
}

// next returns when attempt n+1 is due after attempt n, from 1, failed at the time `at`. ok is false if the deadline is over and
// leastAttempts are made. It waits as long as the provider asks for, but at most an hour, and it never skips the last attempt, at the
// deadline.
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

// longest is the last delay, which repeats.
func (r Retry) longest() time.Duration {
	if len(r.Delays) == 0 {
		return 0
	}
	return r.Delays[len(r.Delays)-1]
}

// leastAttempts are made even after the deadline. Only a second attempt that comes too late shows that a backlog or an outage of ours has
// used up the time.
const leastAttempts = 2

// A retry that is more than heldUp late comes after an outage of ours. If an outage of ours took a page or file past its deadline, it is
// tried for afterOutage more when the outage is over, but not longer than any other page.
const (
	heldUp      = time.Minute
	afterOutage = 5 * time.Minute
)

func (r Retry) afterOutage() time.Duration { return min(afterOutage, r.Deadline) }

// extend moves the deadline of a retry that comes much later than it was due: our own stores or processes were down, and the page must not
// be missing because of that.
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

// again looks up in the table whether and when a failed attempt is repeated. An error means that the provider cannot be used: then the
// attempt does not count and the stage waits, so that an outage never makes a page missing.
func (w *Worker) again(ctx context.Context, n int, f *intake.Failure, deadline, at time.Time) (due time.Time, ok bool, err error) {
	r := remedies[f.Reason]
	if r == fallBack {
		return time.Time{}, false, nil
	}
	due, ok = w.retry.next(n, f, w.gate.extended(deadline, w.retry.afterOutage()), at)
	if r == probeThenTryLater && !w.gate.usable(ctx, f.Reason == session.ReasonUnavailable && ok) {
		return time.Time{}, false, fmt.Errorf("%w: %s", errStopped, f.Detail)
	}
	return due, ok, nil
}
