package ingest

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// Length of a webhook secret, in characters. 16 characters of 64 kinds are 96 bits.
const (
	minSecret = 16
	maxSecret = 256
)

// ReadSecrets reads the file of webhook secrets: one secret, or two during a rotation, one on each line. A secret has 16
// to 256 letters, digits, '-', '_', '.' or '~', so that a URL can contain it unchanged. Blank lines do not count. No
// error shows a secret.
func ReadSecrets(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("webhook secrets: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return nil, fmt.Errorf("webhook secrets: %w", err)
	}
	var secrets []string
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := checkSecret(line); err != nil {
			return nil, fmt.Errorf("webhook secrets: %s line %d: %w", file, i+1, err)
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 || len(secrets) > 2 {
		return nil, fmt.Errorf("webhook secrets: %s has %d secrets; want one line with a secret, or two during a rotation", file, len(secrets))
	}
	return secrets, nil
}

func checkSecret(s string) error {
	if len(s) < minSecret || len(s) > maxSecret {
		return fmt.Errorf("the secret has %d characters; it must have %d to %d", len(s), minSecret, maxSecret)
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-_.~", rune(c)) {
			return errors.New("the secret has a character that is not allowed; use letters, digits, '-', '_', '.' and '~'")
		}
	}
	return nil
}

// validSecret compares given with every secret. The time it takes depends on neither.
func validSecret(secrets []string, given string) bool {
	sum := sha256.Sum256([]byte(given))
	valid := 0
	for _, s := range secrets {
		want := sha256.Sum256([]byte(s))
		valid |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return valid == 1
}

// scrub returns a function that removes our secrets from a text, also if a character is written as \u0041 or %41.
func (h *Handler) scrub() func(string) string {
	if h.cfg.Secrets == nil {
		return func(s string) string { return s }
	}
	var anySecret []string
	for _, secret := range h.cfg.Secrets() {
		var one strings.Builder
		for i := range len(secret) {
			fmt.Fprintf(&one, `(?:%s|(?i:\\u00%02x|%%%02x))`, regexp.QuoteMeta(secret[i:i+1]), secret[i], secret[i])
		}
		anySecret = append(anySecret, one.String())
	}
	if len(anySecret) == 0 {
		return func(s string) string { return s }
	}
	re := regexp.MustCompile(strings.Join(anySecret, "|"))
	return func(s string) string { return re.ReplaceAllLiteralString(s, "[secret]") }
}
