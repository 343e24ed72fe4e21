package access

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// logins is who is logged in with a browser, and from where wrong tokens came. Both are in memory: after a restart people log in again.
type logins struct {
	mu       sync.Mutex
	sessions map[[sha256.Size]byte]webSession // by the hash of the cookie's value; guarded by mu
	failures map[netip.Prefix]window          // guarded by mu
}

type webSession struct {
	token    Token // its sum must still be that of a token or a person in the files, unless it is provided
	provided bool  // by the OIDC provider, which is not asked again
	expires  time.Time
}

// window counts failures since its start.
type window struct {
	start time.Time
	n     int
}

const (
	sessionFor    = 12 * time.Hour // a working day
	maxSessions   = 1000
	failureWindow = time.Minute
	maxFailures   = 10    // of one address in a failureWindow: more are not logged
	maxAddresses  = 10000 // with failures; beyond it all are forgotten
)

// prefixOf is what counts as one address: of an IPv6 one its /64.
func prefixOf(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	from, _ := ip.Prefix(bits) // the zero Prefix for the zero Addr
	return from
}

// failed counts a failure of an address, and says whether there were too many.
func (l *logins) failed(ip netip.Addr, now time.Time) (tooMany bool) {
	from := prefixOf(ip)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures == nil || len(l.failures) >= maxAddresses {
		l.failures = map[netip.Prefix]window{}
	}
	w := l.failures[from]
	if now.Sub(w.start) >= failureWindow {
		w = window{start: now}
	}
	w.n++
	l.failures[from] = w
	return w.n > maxFailures
}

// open begins a session of a token or a person and gives the cookie's value. Sessions in which the provider let the same person do other
// things end: only the last says what the person, and a link of the person, may do.
func (l *logins) open(token Token, provided bool, now time.Time) string {
	value := rand.Text() // 130 bits
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		if !now.Before(s.expires) || provided && s.provided && s.token.Name == token.Name && !s.token.mayTheSame(token) {
			delete(l.sessions, id)
		}
	}
	if l.sessions == nil {
		l.sessions = map[[sha256.Size]byte]webSession{}
	}
	if len(l.sessions) >= maxSessions {
		l.endOldest(token.Name)
	}
	l.sessions[sha256.Sum256([]byte(value))] = webSession{token: token, provided: provided, expires: now.Add(sessionFor)}
	return value
}

// endOldest ends the oldest session of a name, or of all if the name has none, so that one who logs in often ends no session of others.
// l.mu is held.
func (l *logins) endOldest(name string) {
	var oldest [sha256.Size]byte
	var found webSession
	for id, s := range l.sessions {
		own, had := s.token.Name == name, found.token.Name == name
		if found.expires.IsZero() || own && !had || own == had && s.expires.Before(found.expires) {
			oldest, found = id, s
		}
	}
	delete(l.sessions, oldest)
}

func (l *logins) session(value string, now time.Time) (s webSession, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok = l.sessions[sha256.Sum256([]byte(value))]
	return s, ok && now.Before(s.expires)
}

// provided are the people who are logged in through the provider.
func (l *logins) provided(now time.Time) (all []Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		if s.provided && now.Before(s.expires) {
			all = append(all, s.token)
		}
	}
	return all
}

func (l *logins) end(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, sha256.Sum256([]byte(value)))
}
