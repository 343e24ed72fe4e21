package access

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
	"golang.org/x/time/rate"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

const (
	// MinPassword is the least length of a password, characters.
	MinPassword = 12
	// maxPassword bounds a password, bytes.
	maxPassword = 1000
)

// cost is what a new hash costs: 19 MiB and some 30 ms, as the password storage cheat sheet of OWASP has it. Logins share the memory of the
// process with pages.
var cost = argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// What a hash in the file of users may cost. The file may come from elsewhere, and each login takes this memory.
const (
	maxMemory     = 64 << 10 // KiB
	maxIterations = 10
	maxLanes      = 4
	maxHashText   = 256 // bytes
)

// HashPassword hashes a password with argon2id, in the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func HashPassword(password string) (string, error) {
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return "", fmt.Errorf("the password has %d characters, want at least %d: several words make a good one", n, MinPassword)
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password has %d bytes, want at most %d", len(password), maxPassword)
	}
	return argon2id.CreateHash(password, &cost)
}

// errHash: a hash is none that HashPassword writes.
var errHash = errors.New("want an argon2id hash, as `faxstream user add` writes it")

// checkHash refuses what is no hash, or would cost too much or too little. The library reads the text without doing what it says.
func checkHash(text string) error {
	if len(text) > maxHashText {
		return errHash
	}
	p, salt, key, err := argon2id.DecodeHash(text)
	if err != nil {
		return errHash
	}
	switch {
	case p.Memory < 8<<10 || p.Memory > maxMemory:
		return fmt.Errorf("the hash needs %d KiB of memory, want %d to %d", p.Memory, 8<<10, maxMemory)
	case p.Iterations < 1 || p.Iterations > maxIterations:
		return fmt.Errorf("the hash needs %d iterations, want 1 to %d", p.Iterations, maxIterations)
	case p.Parallelism < 1 || p.Parallelism > maxLanes:
		return fmt.Errorf("the hash needs %d lanes, want 1 to %d", p.Parallelism, maxLanes)
	case len(salt) < 8 || len(key) < 16:
		return errHash
	case text != phc(*p, salt, key): // the library skips what stands behind a number
		return errHash
	}
	return nil
}

// phc writes a hash.
func phc(p argon2id.Params, salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism, b64(salt), b64(key))
}

// nobody is a hash that no known password has. It is for names that nobody has, so that these take the time of the others.
func nobody() string { return phc(cost, make([]byte, cost.SaltLength), make([]byte, cost.KeyLength)) }

const (
	// maxHashes bounds the passwords that are hashed at once: each takes up to maxMemory.
	maxHashes = 2
	// hashPatience is how long a login waits for others before it.
	hashPatience = 5 * time.Second

	// wrongPerMinute is how many wrong passwords a minute one name may have, wherever they come from.
	wrongPerMinute = 10
	// wrongFromAddress is the same for all names from one address, which may be that of a proxy.
	wrongFromAddress = 30
)

// passwords checks passwords: few at once, and not many wrong ones.
type passwords struct {
	places             chan struct{} // one for each password that is hashed
	names, fromAddress limits
}

func newPasswords() passwords {
	return passwords{make(chan struct{}, maxHashes), newLimits(wrongPerMinute), newLimits(wrongFromAddress)}
}

var (
	errWrongPassword  = api.Errorf(http.StatusUnauthorized, "unauthorized", "the name or the password is wrong")
	errManyPasswords  = api.Errorf(http.StatusTooManyRequests, "too_many_failures", "too many wrong passwords: try again in a minute")
	errPasswordsQueue = api.Errorf(http.StatusServiceUnavailable, "unavailable", "many people log in at the same time: try again")
)

// check gives the person of a name and a password. A name that nobody has takes the same time as a wrong password. Only wrong passwords
// count for the limits.
func (p *passwords) check(ctx context.Context, users []User, name, password string, from netip.Addr) (u User, err error) {
	if len(password) > maxPassword {
		return u, errWrongPassword
	}
	ctx, cancel := context.WithTimeout(ctx, hashPatience)
	defer cancel()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return u, errPasswordsQueue
	}
	now, address := time.Now(), prefixOf(from).String()
	if p.names.reached(name, now) || p.fromAddress.reached(address, now) {
		return u, errManyPasswords
	}
	hash := nobody()
	i := slices.IndexFunc(users, func(u User) bool { return u.Name == name })
	if i >= 0 {
		hash = users[i].Hash
	}
	good, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return u, fmt.Errorf("check a password: %w", err)
	}
	if i < 0 || !good {
		p.names.count(name, now)
		p.fromAddress.count(address, now)
		return u, errWrongPassword
	}
	return users[i], nil
}

// limits counts failures by a key, such as a name. It has a fixed size: keys share counters by a hash that strangers cannot compute, so
// that many invented names neither fill the memory nor push a real one out.
type limits struct {
	seed     maphash.Seed
	counters []*rate.Limiter
}

// sharedCounters is how many counters keys share.
const sharedCounters = 1024

// newLimits lets each key fail some times a minute.
func newLimits(perMinute int) limits {
	l := limits{maphash.MakeSeed(), make([]*rate.Limiter, sharedCounters)}
	for i := range l.counters {
		l.counters[i] = rate.NewLimiter(rate.Every(time.Minute/time.Duration(perMinute)), perMinute)
	}
	return l
}

func (l limits) of(key string) *rate.Limiter {
	return l.counters[maphash.String(l.seed, key)%sharedCounters]
}

// reached reports whether a key has failed too often.
func (l limits) reached(key string, now time.Time) bool { return l.of(key).TokensAt(now) < 1 }

// count counts a failure.
func (l limits) count(key string, now time.Time) { l.of(key).AllowN(now, 1) }
