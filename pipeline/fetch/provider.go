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

// Provider serves the files of faxes. Its errors should implement FetchReason, FetchBody and FetchRetryAfter as fetchError has them; an
// error that does not counts as session.ReasonUnavailable. The provider limits the size of files itself.
type Provider interface {
	// Page fetches the file of one page, from 1.
	Page(ctx context.Context, id string, page int) ([]byte, error)
	// File fetches the whole file.
	File(ctx context.Context, id string) ([]byte, error)
	// Outcome reads the provider's own record of a fax: its close if the fax is over, else whether it is still open. The session of the
	// close is the name of the fax in the provider's lists. An error with session.ReasonNotYet means that the provider does not know the
	// fax.
	Outcome(ctx context.Context, id string) (closed *session.Closed, open bool, err error)
	// Probe asks for something that does not depend on one fax. So it shows if an outage or an invalid token is the problem, not one page.
	Probe(ctx context.Context) error
}

// fetchError is an error of a provider that says why.
type fetchError interface {
	error
	FetchReason() session.Reason
	FetchBody() []byte              // the bytes that failed a check; nil: there is nothing to archive
	FetchRetryAfter() time.Duration // the delay that the provider asks for; 0: none
}

// failed makes an *intake.Failure of a provider's error. If ctx has ended, it returns another error: nothing is known about the page then.
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
