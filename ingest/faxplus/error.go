package faxplus

import (
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Error says why a request failed. All methods of Client that return an error return an *Error.
type Error struct {
	Op         string         // what was requested, such as "page 3 of session abc"
	Reason     session.Reason // one word for the retry table, the archive and people
	Status     int            // HTTP status, 0 if there was no answer
	RetryAfter time.Duration  // how long the provider asks us to wait; 0 if it does not say
	Kept       bool           // the file has bytes of a 2xx answer that failed a check; false for other answers and if it was too large
	Err        error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("faxplus: %s: %s (HTTP %d): %v", e.Op, e.Reason, e.Status, e.Err)
	}
	return fmt.Sprintf("faxplus: %s: %s: %v", e.Op, e.Reason, e.Err)
}

// Unwrap returns the cause: errors.Is(err, context.Canceled) is true if the caller cancelled.
func (e *Error) Unwrap() error { return e.Err }

// FetchReason returns Reason.
func (e *Error) FetchReason() session.Reason { return e.Reason }

// FetchKept returns Kept, so that the pipeline can archive bytes that failed a check.
func (e *Error) FetchKept() bool { return e.Kept }

// FetchRetryAfter returns RetryAfter.
func (e *Error) FetchRetryAfter() time.Duration { return e.RetryAfter }

// temporary reports whether a retry within the call can help: the provider fails, or the connection broke. A file that is
// not ready, too slow or of the wrong type is retried by the pipeline's schedule: a wait here delays other pages.
func (e *Error) temporary() bool {
	return e.Status >= 500 || e.Reason == session.ReasonTruncated
}
