package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune("+ -().", r) {
			return -1
		}
		return r
	}, n)
	if ValidToken(bare) && !strings.ContainsFunc(bare, func(r rune) bool { return r < '0' || r > '9' }) {
		return bare
	}
	sum := sha256.Sum256([]byte(n))
	return "h" + hex.EncodeToString(sum[:8])
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// MaskNumber returns a number with all but its last four bytes hidden, for logs.
func MaskNumber(number string) string {
	if len(number) <= 4 {
		return strings.Repeat("*", len(number))
	}
	return "***" + number[len(number)-4:]
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
