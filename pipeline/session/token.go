package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
