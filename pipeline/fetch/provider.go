package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
)

// Provider serves the files of faxes. Its errors should implement FetchReason, FetchKept and FetchRetryAfter as fetchError has them; an
// error that does not counts as session.ReasonUnavailable. The provider limits the size of files itself.
type Provider interface {
	// Page fetches the file of one page, from 1, into an empty file.
	Page(ctx context.Context, id string, page int, into File) error
	// File fetches the whole file into an empty file.
	File(ctx context.Context, id string, into File) error
	// Outcome reads the provider's own record of a fax: its close if the fax is over, else whether it is still open. The session of the
	// close is the name of the fax in the provider's lists. An error with session.ReasonNotYet means that the provider does not know the
	// fax.
	Outcome(ctx context.Context, id string) (closed *session.Closed, open bool, err error)
	// Probe asks for something that does not depend on one fax. So it shows if an outage or an invalid token is the problem, not one page.
	Probe(ctx context.Context) error
}

// File takes the bytes of a file. The provider calls Reset before it repeats a request, and stops at the first error of Write.
type File = interface {
	io.Writer
	Reset()
}

// fetchError is an error of a provider that says why.
type fetchError interface {
	error
	FetchReason() session.Reason
	FetchKept() bool                // the file has the bytes that failed a check; else there is nothing to archive
	FetchRetryAfter() time.Duration // the delay that the provider asks for; 0: none
}

// failed makes an *intake.Failure of a provider's error. If ctx has ended, or if our own disk did not take the bytes, it returns another
// error: nothing is known about the page then. b is what came, nil if nothing is fetched.
func failed(ctx context.Context, b *intake.Body, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch was interrupted: %w", context.Cause(ctx))
	}
	if b != nil && b.Err() != nil {
		return b.Err()
	}
	f := &intake.Failure{Stage: stage.Fetch, Reason: session.ReasonUnavailable, Detail: err.Error()}
	if fe, ok := errors.AsType[fetchError](err); ok {
		f.Reason, f.Wait = fe.FetchReason(), fe.FetchRetryAfter()
		if fe.FetchKept() {
			f.Body = b
		}
	}
	return f
}
