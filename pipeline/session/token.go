package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
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
var ErrAmbiguous = errors.New("the ids of several faxes begin with this")

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
	return "", fmt.Errorf("%w: %s: give more characters of one of %s%s", ErrAmbiguous, id, strings.Join(like, ", "), more)
}

// NumberToken returns the subject token for a fax number or user id as the provider wrote it: the digits of a number
// ("+1 334-304-0000" is "13343040000"), a user id unchanged, UnknownToken for an empty text, and for any other text
// 'h' and 16 hex digits of its SHA-256.
func NumberToken(number string) string {
	n := strings.TrimSpace(number)
	if n == "" {
		return UnknownToken
	}
	if ValidToken(n) && strings.ContainsFunc(n, isLetter) {
		return n
	}
	if bare := strings.Map(unpunctuated, n); ValidToken(bare) && isDigits(bare) {
		return bare
	}
	sum := sha256.Sum256([]byte(n))
	return "h" + hex.EncodeToString(sum[:8])
}

// unpunctuated drops what people and programs write between the digits of a number: signs, every kind of space and dash, and
// the invisible marks of bidirectional text that a copied number carries.
func unpunctuated(r rune) rune {
	if strings.ContainsRune("+().,/\u2212", r) || unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) {
		return -1
	}
	return r
}

func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// MaskNumber returns a number with all but its last four bytes hidden, for logs.
func MaskNumber(number string) string {
	if len(number) <= 4 {
		return strings.Repeat("*", len(number))
	}
	return "***" + number[len(number)-4:]
}

const (
	// minNational is the fewest digits of a number that may be without its country code; shorter ones are extensions.
	minNational = 7
	// maxCountryCode is the most digits of a country code (E.164, 6.1).
	maxCountryCode = 3
)

// SameNumber reports whether two texts are the same fax number or user id, however they are written: +1 334-304-5554,
// 0013343045554, 334-304-5554 and 334/304 5554 are. A number without '+' or 00 may be without its country code, so it is the
// same as every number that ends in it: this is for people who look for faxes and for guesses, not for access.
func SameNumber(a, b string) bool {
	ta, tb := NumberToken(a), NumberToken(b)
	if ta == tb {
		return true
	}
	if !isDigits(ta) || !isDigits(tb) {
		return false
	}
	na, wholeA := international(a, ta)
	nb, wholeB := international(b, tb)
	return na == nb || !wholeB && endsIn(na, nb) || !wholeA && endsIn(nb, na)
}

// SameToken reports whether two tokens of NumberToken are surely the same number or user id, as access needs it: they are equal, or one is
// the other after the prefix 00 of a call abroad. A number without its country code is another one.
func SameToken(a, b string) bool { return withoutPrefix(a) == withoutPrefix(b) }

// withoutPrefix returns a token without the prefix 00 of a call abroad. No country code begins with 0, and extensions are short.
func withoutPrefix(token string) string {
	if rest, ok := strings.CutPrefix(token, "00"); ok && isDigits(rest) && len(rest) >= minNational && rest[0] != '0' {
		return rest
	}
	return token
}

// international returns the digits without the prefix 00 of a call abroad. whole: the text says that the country code is in it.
func international(text, digits string) (bare string, whole bool) {
	if rest, ok := strings.CutPrefix(digits, "00"); ok {
		return rest, true
	}
	return digits, strings.Contains(text, "+")
}

// endsIn reports whether a number with a country code may be this national one, which may have a 0 before its area code.
func endsIn(long, national string) bool {
	national = strings.TrimPrefix(national, "0")
	code := len(long) - len(national)
	return len(national) >= minNational && code >= 1 && code <= maxCountryCode && strings.HasSuffix(long, national)
}
