package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Scope is one thing that a token allows. None includes another.
type Scope string

// The scopes that a token can have.
const (
	ScopeRead    Scope = "read"    // every GET: lists, documents, pages, the audit, metrics; and links to documents and pages
	ScopeOperate Scope = "operate" // retry, drop, choose, replay, reconcile, verify
	ScopeAdmin   Scope = "admin"   // hold, release, purge, and every other request that changes something
	ScopeMetrics Scope = "metrics" // the metrics, and no fax
	ScopeText    Scope = "text"    // send what an OCR engine recognised on a page
	ScopeWork    Scope = "work"    // assign, label, note, mark as read or done, derive
)

// Scopes of paths. No token has them.
const (
	ScopeOpen Scope = "open" // the path needs no token
	ScopeOwn  Scope = "own"  // the path needs read, and shows to a token that is limited to numbers only the faxes of these
)

// scopes is all that a token can have.
var scopes = []Scope{ScopeRead, ScopeOperate, ScopeAdmin, ScopeMetrics, ScopeText, ScopeWork}

// Token is one line of the file of tokens. Only its holder knows the token itself. What a person may do who has logged in is a Token too.
//
// The hash is a plain SHA-256: a token has 256 random bits, so there is no dictionary to try, and with a slow hash such as bcrypt
// strangers could keep our processor busy.
type Token struct {
	Name    string // session.ValidToken; what FAX_AUDIT calls its holder
	Scopes  []Scope
	Numbers []string // as session.NumberToken writes them; the token sees only faxes of these. None: it sees every fax
	Person  bool     // somebody who has logged in with a password or through a provider
	Masked  bool     // of a person: the numbers of faxes are shown as session.MaskNumber writes them
	sum     [sha256.Size]byte
}

// tokenPrefix shows people and scanners what a leaked string is.
const tokenPrefix = "faxstream_"

// errName: what a name of a token looks like.
var errName = fmt.Errorf("a name must be 1 to %d letters, digits, '-' and '_'", session.MaxTokenLen)

// NewToken makes a token: its secret, which is stored nowhere, and its line for the file of tokens. With numbers, however they are
// written, it sees only faxes of these.
func NewToken(name string, allowed []Scope, numbers ...string) (secret, line string, err error) {
	if !session.ValidToken(name) {
		return "", "", fmt.Errorf("%q: %w", name, errName)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	t := Token{Name: name, Scopes: allowed, sum: sha256.Sum256([]byte(secret))}
	for _, n := range numbers {
		t.Numbers = append(t.Numbers, session.NumberToken(n))
	}
	line = t.line()
	if _, err := parseToken(line); err != nil {
		return "", "", err
	}
	return secret, line, nil
}

func (t Token) line() string {
	words := make([]string, 0, len(t.Scopes))
	for _, s := range t.Scopes {
		words = append(words, string(s))
	}
	line := t.Name + " " + strings.Join(words, ",") + " sha256:" + hex.EncodeToString(t.sum[:])
	if t.Limited() {
		line += " " + numbersPrefix + strings.Join(t.Numbers, ",")
	}
	return line
}

// numbersPrefix begins the word of a line that has the numbers.
const numbersPrefix = "to="

// may reports whether the token allows what needs a scope.
func (t Token) may(need Scope) bool {
	switch need {
	case ScopeOwn:
		return t.has(ScopeRead)
	case ScopeRead:
		return t.has(ScopeRead) && !t.Limited() && !t.Masked
	case ScopeMetrics:
		return t.has(ScopeMetrics) || t.may(ScopeRead)
	default:
		return t.has(need)
	}
}

func (t Token) has(s Scope) bool { return slices.Contains(t.Scopes, s) }

// mayTheSame reports whether two tokens allow the same.
func (t Token) mayTheSame(o Token) bool {
	return slices.Equal(t.Scopes, o.Scopes) && slices.Equal(t.Numbers, o.Numbers) && t.Masked == o.Masked
}

// Limited reports whether the token sees only faxes of its numbers.
func (t Token) Limited() bool { return len(t.Numbers) > 0 }

// Sees reports whether the token sees faxes of a number, which session.NumberToken has written.
func (t Token) Sees(number string) bool {
	return !t.Limited() || slices.ContainsFunc(t.Numbers, func(own string) bool { return session.SameToken(own, number) })
}

// maxTokens bounds the file of tokens, bytes: thousands of lines.
const maxTokens = 1 << 20

// ReadTokens reads a file of tokens. Its errors show no part of a line but the name.
func ReadTokens(file string) ([]Token, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokens+1))
	if err == nil && len(text) > maxTokens {
		err = fmt.Errorf("longer than %d bytes", maxTokens)
	}
	var tokens []Token
	if err == nil {
		tokens, err = ParseTokens(string(text))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return tokens, nil
}

// ParseTokens reads lines with a name, scopes, a hash and perhaps numbers, separated by spaces; it skips empty lines and lines that begin
// with #. Each name and each hash may be used once.
func ParseTokens(text string) (tokens []Token, err error) {
	names, sums := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		t, err := parseToken(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		case names[t.Name]:
			return nil, fmt.Errorf("line %d: the name %s is used twice: give each token a name of its own", i+1, t.Name)
		case sums[t.sum]:
			return nil, fmt.Errorf("line %d: %s has the same token as another line: make a token of its own for each line", i+1, t.Name)
		}
		names[t.Name], sums[t.sum] = true, true
		tokens = append(tokens, t)
	}
	if len(tokens) == 0 {
		return nil, errors.New("the file has no token: make one with `faxstream token NAME --scope read` and append the line that it prints")
	}
	return tokens, nil
}

func parseToken(line string) (t Token, err error) {
	words := strings.Fields(line)
	if len(words) != 3 && len(words) != 4 {
		return t, fmt.Errorf("%d words, want three: name, scopes and hash, and perhaps numbers, as `faxstream token` prints them", len(words))
	}
	if t.Name = words[0]; !session.ValidToken(t.Name) {
		return t, errName
	}
	for word := range strings.SplitSeq(words[1], ",") {
		s := Scope(word)
		if !slices.Contains(scopes, s) || t.has(s) {
			return t, fmt.Errorf("%s: scopes %q: want read, operate, admin, metrics, text or work, separated by commas, each at most once",
				t.Name, words[1])
		}
		t.Scopes = append(t.Scopes, s)
	}
	sum, ok := strings.CutPrefix(words[2], "sha256:")
	raw, err := hex.DecodeString(sum)
	if err != nil || !ok || len(raw) != sha256.Size {
		return t, fmt.Errorf("%s: want sha256: and 64 hex digits, as `faxstream token` prints them", t.Name)
	}
	t.sum = [sha256.Size]byte(raw)
	if len(words) == 4 {
		err = t.parseNumbers(words[3])
	}
	return t, err
}

// parseNumbers reads the word of a line that has the numbers.
func (t *Token) parseNumbers(word string) error {
	list, ok := strings.CutPrefix(word, numbersPrefix)
	if !ok {
		return fmt.Errorf("%s: the fourth word must be %s and numbers, separated by commas", t.Name, numbersPrefix)
	}
	if !t.has(ScopeRead) || t.has(ScopeOperate) || t.has(ScopeAdmin) {
		return fmt.Errorf("%s: a token that is limited to numbers needs scope read, and can have neither operate nor admin: "+
			"make a token of its own for these", t.Name)
	}
	for n := range strings.SplitSeq(list, ",") {
		if n == session.UnknownToken || n != session.NumberToken(n) || slices.Contains(t.Numbers, n) {
			return fmt.Errorf("%s: number %q: want digits or a user id, each at most once, as `faxstream token` prints them", t.Name, n)
		}
		t.Numbers = append(t.Numbers, n)
	}
	return nil
}

// find gives the token with this hash. It always compares every line, so that its time tells nothing.
func find(tokens []Token, sum [sha256.Size]byte) (found Token, ok bool) {
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(t.sum[:], sum[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}
