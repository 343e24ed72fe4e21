package archive

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/faxstream/faxstream/pipeline/session"
)

// PageError says because of which page a document cannot be made.
type PageError struct {
	Page int // from 1
	Err  error
}

func (e PageError) Error() string { return fmt.Sprintf("page %d: %v", e.Page, e.Err) }

func (e PageError) Unwrap() error { return e.Err }

// ErrUnreadable: an archived JSON object is not as this program writes it.
var ErrUnreadable = errors.New("the object is unreadable or belongs to another fax")

// errNoFact: the order needs a page fact that the stream does not have yet.
var errNoFact = errors.New("the fact of an ordered page is not in the stream yet")

// ErrTooLarge: an object is larger than the limit for its kind.
var ErrTooLarge = errors.New("the object is larger than the limit")

// ErrAltered: an archived object has another hash than the one that names it.
var ErrAltered = errors.New("the archived object was changed after it was written")

// ErrPurged: the fax was removed for good, and nothing of it may be archived any more.
var ErrPurged = errors.New("the fax was purged")

// PurgedError is an ErrPurged that says who purged the fax and why.
type PurgedError struct{ Entry session.KeepEntry }

func (e PurgedError) Error() string { return e.Entry.String() }

func (e PurgedError) Unwrap() error { return ErrPurged }

// Lost reports whether err says that an archived object is missing or altered, or that a fact has not arrived yet.
func Lost(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrAltered) || errors.Is(err, errNoFact)
}

// Broken reports whether err says that an object is not as it was written: then its fax, or its page, is affected, and nothing else.
func Broken(err error) bool {
	return errors.Is(err, ErrUnreadable) || errors.Is(err, errSidecar) || errors.Is(err, errText) || errors.Is(err, ErrTooLarge)
}
