package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Provider serves the files of faxes. Its errors should implement fetchError; one that does not counts as unavailable.
// A body is at most as large as the provider's own limit allows.
type Provider interface {
	Page(ctx context.Context, id string, page int) ([]byte, error)
	File(ctx context.Context, id string) ([]byte, error)
	// Probe asks for something that does not depend on one fax: it tells an outage or a dead token from one page that cannot be had.
	Probe(ctx context.Context) error
}

// fetchError is how a provider says why.
type fetchError interface {
	error
	FetchReason() session.Reason
	FetchBody() []byte // what came but failed a check; nil: nothing worth keeping
	FetchRetryAfter() time.Duration
}

// failure is why one attempt gave no page. It is a result, not an error: errors are outages of our own stores.
type failure struct {
	stage  string // fetch, decode
	reason session.Reason
	detail string
	body   []byte // to be kept as rejected
	kept   *session.Object
	wait   time.Duration // asked for by the provider
	final  bool          // trying again cannot help
}

// failed reads a provider's error. A context that ended is an outage: nothing is known about the page.
func failed(ctx context.Context, err error) (*failure, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("fetch was interrupted: %w", context.Cause(ctx))
	}
	f := &failure{stage: stageFetch, reason: session.ReasonUnavailable, detail: err.Error()}
	if fe, ok := errors.AsType[fetchError](err); ok {
		f.reason, f.body, f.wait = fe.FetchReason(), fe.FetchBody(), fe.FetchRetryAfter()
	}
	f.final = f.reason == session.ReasonNoPagePath
	return f, nil
}

// Retry says when a failed attempt is made again.
type Retry struct {
	Delays   []time.Duration // after attempt 1, 2, …; the last one goes on
	Deadline time.Duration   // since the announcement; an attempt that would come later is not made
}

// DefaultRetry is gentle: a page that is not there after half an hour comes from the whole file.
func DefaultRetry() Retry {
	return Retry{
		Delays:   []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
		Deadline: 30 * time.Minute,
	}
}

// next gives when attempt n+1 is due after attempt n failed at the time `at`. ok is false when the page's deadline is over:
// then only an outage lets attempts go on. A wait that the provider asks for is honoured, but does not skip the last attempt, at the deadline.
func (r Retry) next(n int, f *failure, deadline, at time.Time) (due time.Time, ok bool) {
	if len(r.Delays) == 0 {
		return time.Time{}, false
	}
	due = at.Add(max(r.Delays[min(n, len(r.Delays))-1], min(f.wait, time.Hour)))
	if due.After(deadline) && at.Before(deadline) {
		due = deadline
	}
	return due, !due.After(deadline)
}

// again decides whether an attempt is followed by another one. An outage never makes a page missing: when the deadline is over
// and the provider fails in a way that may not be this page's own, a probe decides.
func (w *worker) again(ctx context.Context, n int, f *failure, deadline, at time.Time) (due time.Time, ok bool) {
	if f.final {
		return time.Time{}, false
	}
	due, ok = w.retry.next(n, f, deadline, at)
	if !ok && (f.reason == session.ReasonUnavailable || f.reason == session.ReasonUnauthorized) {
		err := w.provider.Probe(ctx)
		ok = err != nil
		if ok {
			w.log.Error("the provider cannot be used; pages wait for it", "err", err)
		}
	}
	return due, ok
}
