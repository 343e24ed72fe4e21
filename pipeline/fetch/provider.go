package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Provider serves the files of faxes. Its errors should implement fetchError; one that does not counts as unavailable.
// A body is at most as large as the provider's own limit allows.
type Provider interface {
	Page(ctx context.Context, id string, page int) ([]byte, error)
	File(ctx context.Context, id string) ([]byte, error)
	// Outcome reads what the provider itself says of a fax: its close where it is over there, else whether it is going on. The
	// close's session is what the provider's lists call the fax.
	// An error whose reason is session.ReasonNotYet says that the provider does not know it.
	Outcome(ctx context.Context, id string) (closed *session.Closed, open bool, err error)
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

// failed makes a provider's error a failure. A context that ended is an outage: nothing is known about the page.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch was interrupted: %w", context.Cause(ctx))
	}
	f := &intake.Failure{Stage: stage.Fetch, Reason: session.ReasonUnavailable, Detail: err.Error()}
	if fe, ok := errors.AsType[fetchError](err); ok {
		f.Reason, f.Body, f.Wait = fe.FetchReason(), fe.FetchBody(), fe.FetchRetryAfter()
	}
	return f
}
