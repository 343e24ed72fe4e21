package pipeline

import (
	"errors"
	"io/fs"

	"github.com/faxstream/faxstream/pipeline/session"
)

// errUnreadable: an archived JSON object is not what this program writes.
var errUnreadable = errors.New("it cannot be read, or belongs to another fax")

// errNoFact: the order counts on a page fact that the stream does not give yet.
var errNoFact = errors.New("the fact of an ordered page cannot be read yet")

// errTooLarge: an object is larger than anything of its kind.
var errTooLarge = errors.New("it is larger than the limit")

// errAltered: an archived object is not what its hash says.
var errAltered = errors.New("the archived object is not what was written")

// ErrPurged: the fax was removed for good, and nothing is archived of it any more.
var ErrPurged = errors.New("the fax was purged")

// PurgedError is an ErrPurged that says by whom and why.
type PurgedError struct{ Entry session.KeepEntry }

func (e PurgedError) Error() string { return e.Entry.String() }

func (e PurgedError) Unwrap() error { return ErrPurged }

// lost reports whether something that was archived is not there any more, or not yet.
func lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errAltered) || errors.Is(err, errNoFact)
}

// broken reports whether an object is not what was written: that costs its fax, or its page, and nothing else.
func broken(err error) bool {
	return errors.Is(err, errUnreadable) || errors.Is(err, errSidecar) || errors.Is(err, errTooLarge)
}
