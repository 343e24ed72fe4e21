package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MinShortID is how much of a session id stands for the whole, in letters.
const MinShortID = 8

// MaxNamed is how many sessions an ErrAmbiguous lists.
const MaxNamed = 10

// ErrAmbiguous is matched by the error for the beginning of several session ids. Its text lists them.
var ErrAmbiguous = errors.New("several faxes have a session id that begins so")

// ShortFor returns the session that id stands for: id itself if it is one of these sessions, else the only one that begins
// with it; empty: none does. sessions has those that begin with id, in any order and more than once, or MaxNamed+1 of them.
func ShortFor(id string, sessions []string) (string, error) {
	like := slices.DeleteFunc(slices.Sorted(slices.Values(sessions)), func(s string) bool { return !strings.HasPrefix(s, id) })
	like = slices.Compact(like)
	switch {
	case slices.Contains(like, id):
		return id, nil
	case len(id) < MinShortID || len(like) == 0:
		return "", nil
	case len(like) == 1:
		return like[0], nil
	}
	more := ""
	if len(like) > MaxNamed {
		like, more = like[:MaxNamed], ", ..."
	}
	return "", fmt.Errorf("%w: %s: write more of the id of one of %s%s", ErrAmbiguous, id, strings.Join(like, ", "), more)
}
