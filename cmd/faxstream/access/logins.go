package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"sync"
	"time"
)

// Shared keeps logins for several processes, each by an id, and forgets them after a day or sooner. An id is a hash: who reads it cannot
// log in with it.
type Shared interface {
	Login(ctx context.Context, id string) ([]byte, error) // nil: there is none
	Logins(ctx context.Context) (map[string][]byte, error)
	Keep(ctx context.Context, id string, login []byte) error
	End(ctx context.Context, id string) error
}

// logins is who is logged in with a browser, and from where wrong tokens came. The first is in memory, where a restart ends it, or is
// shared: then memory has what this process met of it, for the time in which what is shared cannot be asked.
type logins struct {
	mu       sync.Mutex
	shared   Shared                           // nil: this process is alone; guarded by mu
	sessions map[[sha256.Size]byte]webSession // by the hash of the cookie's value; guarded by mu
	ended    map[[sha256.Size]byte]time.Time  // what is over here and perhaps still shared, until it expires; guarded by mu
	silent   time.Time                        // until then what is shared is not asked: it did not answer; guarded by mu
	asking   chan struct{}                    // a place for each request that asks what is shared
	provider string                           // of logins through the provider: those of another one, or with other roles, are over
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
	// SessionFor is how long a login lasts at most: a working day.
	SessionFor    = 12 * time.Hour
	maxSessions   = 1000
	failureWindow = time.Minute
	maxFailures   = 10              // of one address in a failureWindow: more are not logged
	maxAddresses  = 10000           // with failures; beyond it all are forgotten
	askShared     = 2 * time.Second // how long what is shared may take
	silence       = 5 * time.Second // after an answer that did not come
	maxAsking     = 16              // anybody can send cookies that must be looked up
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
// things end: only the last says what the person, and a link of the person, may do. After an error nobody is logged in.
func (l *logins) open(ctx context.Context, token Token, provided bool, now time.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askShared)
	defer cancel()
	if err := l.refresh(ctx); err != nil {
		return "", err
	}
	value := rand.Text() // 130 bits
	id, s := sha256.Sum256([]byte(value)), webSession{token: token, provided: provided, expires: now.Add(SessionFor)}
	shared, over := l.begin(id, s, now)
	if shared == nil {
		return value, nil
	}
	var err error
	for _, before := range over {
		if err == nil {
			err = shared.End(ctx, hexOf(before))
		}
	}
	var data []byte
	if err == nil {
		data, err = l.marshal(s)
	}
	if err == nil {
		err = shared.Keep(ctx, hexOf(id), data)
	}
	if err != nil {
		l.drop(id)
		return "", err
	}
	return value, nil
}

// begin notes a session that is new, and says which others are over.
func (l *logins) begin(begun [sha256.Size]byte, s webSession, now time.Time) (shared Shared, over [][sha256.Size]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, old := range l.sessions {
		replaced := s.provided && old.provided && old.token.Name == s.token.Name && !old.token.mayTheSame(s.token)
		if !now.Before(old.expires) || replaced {
			delete(l.sessions, id)
			over = append(over, id)
		}
	}
	if len(l.sessions) >= maxSessions {
		over = append(over, l.endOldest(s.token.Name))
	}
	if l.sessions == nil {
		l.sessions = map[[sha256.Size]byte]webSession{}
	}
	l.sessions[begun] = s
	return l.shared, over
}

// refresh reads all that is shared.
func (l *logins) refresh(ctx context.Context) error {
	shared := l.retry(ctx)
	if shared == nil {
		return nil
	}
	all, err := shared.Logins(ctx)
	if err != nil {
		return err
	}
	sessions := map[[sha256.Size]byte]webSession{}
	for text, data := range all {
		raw, err := hex.DecodeString(text)
		if s, ok := l.unmarshal(data); ok && err == nil && len(raw) == sha256.Size {
			sessions[[sha256.Size]byte(raw)] = s
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.ended {
		delete(sessions, id)
	}
	l.sessions = sessions
	return nil
}

// retry ends what could not be ended before, and gives what is shared; nil: nothing is.
func (l *logins) retry(ctx context.Context) Shared {
	l.mu.Lock()
	shared, ended := l.shared, maps.Clone(l.ended)
	l.mu.Unlock()
	for id, until := range ended {
		if time.Now().Before(until) && shared.End(ctx, hexOf(id)) != nil {
			break
		}
		l.mu.Lock()
		delete(l.ended, id)
		l.mu.Unlock()
	}
	return shared
}

func (l *logins) drop(id [sha256.Size]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, id)
}

// endOldest ends the oldest session of a name, or of all if the name has none, so that one who logs in often ends no session of others.
// l.mu is held.
func (l *logins) endOldest(name string) (oldest [sha256.Size]byte) {
	var found webSession
	for id, s := range l.sessions {
		own, had := s.token.Name == name, found.token.Name == name
		if found.expires.IsZero() || own && !had || own == had && s.expires.Before(found.expires) {
			oldest, found = id, s
		}
	}
	delete(l.sessions, oldest)
	return oldest
}

// session is the session of a cookie. While what is shared cannot be asked, the sessions that this process has met go on.
func (l *logins) session(ctx context.Context, value string, now time.Time) (s webSession, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, askShared)
	defer cancel()
	id := sha256.Sum256([]byte(value))
	if len(value) == len(rand.Text()) {
		l.ask(ctx, id, now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok = l.sessions[id]
	return s, ok && now.Before(s.expires)
}

// ask reads what is shared about a session. While there is no answer, each page would wait for one: then memory alone counts for a while.
func (l *logins) ask(ctx context.Context, id [sha256.Size]byte, now time.Time) {
	l.mu.Lock()
	alone := l.shared == nil || now.Before(l.silent)
	l.mu.Unlock()
	if alone {
		return
	}
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
	case <-ctx.Done():
		return
	}
	data, err := l.retry(ctx).Login(ctx, hexOf(id))
	l.met(id, data, err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		l.mu.Lock()
		l.silent = now.Add(askShared + silence)
		l.mu.Unlock()
	}
}

// met notes what is shared about a session. An error says nothing about it.
func (l *logins) met(id [sha256.Size]byte, data []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, over := l.ended[id]
	s, ok := l.unmarshal(data)
	switch {
	case err != nil:
	case !ok || over:
		delete(l.sessions, id)
	case l.sessions == nil || len(l.sessions) >= 2*maxSessions: // of those that have ended elsewhere some are still here
		l.sessions = map[[sha256.Size]byte]webSession{id: s}
	default:
		l.sessions[id] = s
	}
}

// provided are the people who are logged in through the provider.
func (l *logins) provided(ctx context.Context, now time.Time) (all []Token) {
	ctx, cancel := context.WithTimeout(ctx, askShared)
	defer cancel()
	_ = l.refresh(ctx) // without an answer those count that this process has met
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		if s.provided && now.Before(s.expires) {
			all = append(all, s.token)
		}
	}
	return all
}

// end ends a session here, and elsewhere as soon as what is shared can be asked. Nothing is written for a cookie that is nobody's: anybody
// can send one.
func (l *logins) end(ctx context.Context, value string, now time.Time) {
	s, ok := l.session(ctx, value, now)
	if !ok {
		return
	}
	id := sha256.Sum256([]byte(value))
	l.mu.Lock()
	delete(l.sessions, id)
	if l.shared != nil {
		if l.ended == nil {
			l.ended = map[[sha256.Size]byte]time.Time{}
		}
		l.ended[id] = s.expires
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askShared)
	defer cancel()
	l.retry(ctx)
}

// hexOf is a hash as text, such as the id of a session where it is shared.
func hexOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }

// sharedSession is a session where it is shared. It has no secret: sum is a hash.
type sharedSession struct {
	Name     string    `json:"name"`
	Scopes   []Scope   `json:"scopes"`
	Numbers  []string  `json:"numbers,omitempty"`
	Person   bool      `json:"person,omitempty"`
	Masked   bool      `json:"masked,omitempty"`
	Sum      string    `json:"sum"`
	Provider string    `json:"provider,omitempty"` // through which the person logged in; empty: with a token or a password
	Expires  time.Time `json:"expires"`
}

func (l *logins) marshal(s webSession) ([]byte, error) {
	t, provider := s.token, ""
	if s.provided {
		provider = l.provider
	}
	return json.Marshal(sharedSession{
		Name: t.Name, Scopes: t.Scopes, Numbers: t.Numbers, Person: t.Person, Masked: t.Masked, Sum: hexOf(t.sum), Provider: provider,
		Expires: s.expires,
	})
}

// unmarshal reads a session; ok is false for what is none, and for one through a provider that is not this server's any more.
func (l *logins) unmarshal(data []byte) (s webSession, ok bool) {
	var x sharedSession
	err := json.Unmarshal(data, &x)
	sum, notHex := hex.DecodeString(x.Sum)
	if err != nil || notHex != nil || len(sum) != sha256.Size || x.Provider != "" && x.Provider != l.provider {
		return s, false
	}
	return webSession{
		token: Token{
			Name: x.Name, Scopes: x.Scopes, Numbers: x.Numbers, Person: x.Person, Masked: x.Masked, sum: [sha256.Size]byte(sum),
		},
		provided: x.Provider != "", expires: x.Expires,
	}, true
}
