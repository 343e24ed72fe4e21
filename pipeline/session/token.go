package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxTokenLen is the longest session id or other subject token, in bytes.
const MaxTokenLen = 64

// UnknownToken is the token in a subject for a number that is not known yet.
const UnknownToken = "unknown"

// ValidToken reports whether s is valid as one token of a subject and as one component of an archive key:
// 1 to MaxTokenLen ASCII letters, digits, '-' and '_'.
func ValidToken(s string) bool {
	if s == "" || len(s) > MaxTokenLen {
		return false
	}
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return true
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// digest16 returns the first 16 hex digits of the SHA-256 of the parts. Each part has its length before it, so that two
// different lists of parts do not give the same text.
func digest16(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Kinds of names that a fax has at the provider, in addition to its session id. Each name belongs to one session: the first
// that claims it. If the name of a session's fax belongs to another session, both are the same fax.
const (
	AliasFile   = "file"   // the provider's id of the whole file, Closed.File
	AliasListed = "listed" // the id by which the provider lists the fax
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
