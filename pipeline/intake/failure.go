package intake

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Failure is why bytes are no page, or why one attempt gave none: the error of a page. Other errors are outages of our own stores.
type Failure struct {
	Stage    string // fetch, decode or whole
	Reason   session.Reason
	Detail   string
	Body     []byte          // what came but is no page; nil: nothing worth keeping
	Archived *session.Object // where body, or the original, is archived; nil: nowhere
	Wait     time.Duration   // that the provider asks for; 0: none
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Detail }
