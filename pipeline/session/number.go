package session

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
)

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
