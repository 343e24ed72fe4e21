package archive

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/faxstream/faxstream/pipeline/session"
)

// PageError says which page keeps a document from being made.
type PageError struct {
	Page int
	Err  error
}

func (e PageError) Error() string { return fmt.Sprintf("page %d: %v", e.Page, e.Err) }

func (e PageError) Unwrap() error { return e.Err }

// ErrUnreadable: an archived JSON object is not what this program writes.
var ErrUnreadable = errors.New("it cannot be read, or belongs to another fax")

// errNoFact: the order counts on a page fact that the stream does not give yet.
var errNoFact = errors.New("the fact of an ordered page cannot be read yet")

// ErrTooLarge: an object is larger than anything of its kind.
var ErrTooLarge = errors.New("it is larger than the limit")

// ErrAltered: an archived object is not what its hash says.
var ErrAltered = errors.New("the archived object is not what was written")

// ErrPurged: the fax was removed for good, and nothing is archived of it any more.
var ErrPurged = errors.New("the fax was purged")

// PurgedError is an ErrPurged that says by whom and why.
type PurgedError struct{ Entry session.KeepEntry }

func (e PurgedError) Error() string { return e.Entry.String() }

func (e PurgedError) Unwrap() error { return ErrPurged }

// Lost reports whether something that was archived is not there any more, or not yet.
func Lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrAltered) || errors.Is(err, errNoFact)
}

// Broken reports whether an object is not what was written: that costs its fax, or its page, and nothing else.
func Broken(err error) bool {
	return errors.Is(err, ErrUnreadable) || errors.Is(err, errSidecar) || errors.Is(err, ErrTooLarge)
}
