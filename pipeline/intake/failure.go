package intake

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Failure is the error of one page: why its bytes cannot be used, or why an attempt to fetch them failed. Every other error is an outage
// of our own stores.
type Failure struct {
	Stage    string // fetch, decode or whole
	Reason   session.Reason
	Detail   string          // a sentence for people
	Body     *Body           // the bytes that failed a check; nil: there is nothing to archive
	Archived *session.Object // where Body, or the original, is archived; nil: it is not archived
	Wait     time.Duration   // the provider asks for this delay; 0: it asks for none
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Detail }
