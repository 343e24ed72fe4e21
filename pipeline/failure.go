package pipeline

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// failure is why bytes are no page, or why one attempt gave none: the error of a page. Other errors are outages of our own stores.
type failure struct {
	stage  string // fetch, decode or whole
	reason session.Reason
	detail string
	body   []byte          // what came but is no page; nil: nothing worth keeping
	kept   *session.Object // where body, or the original, is archived; nil: nowhere
	wait   time.Duration   // that the provider asks for; 0: none
}

func (f *failure) Error() string { return string(f.reason) + ": " + f.detail }
