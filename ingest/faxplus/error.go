package faxplus

import (
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Error says why the provider did not give what was asked for. All failing methods of Client return one.
type Error struct {
	Op         string         // what was asked for, as "page 3 of session abc"
	Reason     session.Reason // one word for the retry table, the archive and people
	Status     int            // HTTP status, 0 when there was no answer
	RetryAfter time.Duration  // what the provider asks us to wait; 0 when it does not say
	Body       []byte         // bytes of a 2xx answer that failed a check; nil for other answers and where it was too large
	Err        error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("faxplus: %s: %s (HTTP %d): %v", e.Op, e.Reason, e.Status, e.Err)
	}
	return fmt.Sprintf("faxplus: %s: %s: %v", e.Op, e.Reason, e.Err)
}

// Unwrap gives the cause; errors.Is(err, context.Canceled) works when the caller gave up.
func (e *Error) Unwrap() error { return e.Err }

// FetchReason gives Reason.
func (e *Error) FetchReason() session.Reason { return e.Reason }

// FetchBody gives Body, so that bytes that failed a check can be kept.
func (e *Error) FetchBody() []byte { return e.Body }

// FetchRetryAfter gives RetryAfter.
func (e *Error) FetchRetryAfter() time.Duration { return e.RetryAfter }

// temporary reports whether asking again within the call can help: the provider is not well, or the connection broke.
// What is not ready, too slow or of the wrong kind is asked for again by the pipeline's schedule: waiting for it here
// would keep others from being fetched.
func (e *Error) temporary() bool {
	return e.Status >= 500 || e.Reason == session.ReasonTruncated
}
