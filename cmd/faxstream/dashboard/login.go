package dashboard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// operating is what scope operate allows; open needs no login. Whatever else is not got needs scope admin, so that a
// path that is added and not named here is closed rather than open.
var (
	operating = map[string]bool{
		"POST /api/v1/faxes/{session}/replay": true,
		"POST /api/v1/dlq/{id}/retry":         true,
		"POST /api/v1/dlq/{id}/drop":          true,
		"POST /api/v1/reconcile":              true,
	}
	reading = map[string]bool{
		"POST /api/v1/faxes/{session}/links": true, // gives to others what its maker could have sent them
	}
	open = map[string]bool{
		"GET /healthz": true, "GET /readyz": true, "GET /login": true, "POST /login": true, "POST /logout": true,
		"GET /links/{link}": true, // the link is the credential
	}
)

func scopeOf(method, pattern string) Scope {
	switch {
	case operating[pattern]:
		return ScopeOperate
	case reading[pattern] || method == http.MethodGet || method == http.MethodHead:
		return ScopeRead
	default:
		return ScopeAdmin
	}
}

// callerKey finds the token of a request that has shown a good one.
type callerKey struct{}

// callerOf gives the token that a request has shown; ok is false for somebody who is not logged in.
func callerOf(r *http.Request) (t Token, ok bool) {
	t, ok = r.Context().Value(callerKey{}).(Token)
	return t, ok
}

// logins is who is logged in by a browser, and who has tried in vain. Both are in memory: a restart asks for the token again.
type logins struct {
	mu       sync.Mutex
	sessions map[[sha256.Size]byte]webSession // by the hash of the cookie's value; guarded by mu
	failures map[netip.Prefix]window          // guarded by mu
}

type webSession struct {
	token   [sha256.Size]byte // must still be in the file of tokens
	expires time.Time
}

// window counts failures since its start.
type window struct {
	start time.Time
	n     int
}

const (
	cookieName    = "faxstream_session"
	sessionFor    = 12 * time.Hour // a working day
	maxSessions   = 1000
	failureWindow = time.Minute
	maxFailures   = 10    // of one address in a failureWindow: more are neither logged nor looked at
	maxAddresses  = 10000 // with failures; beyond it all are forgotten
	maxForm       = 4 << 10
)

var (
	errNoToken    = &apiError{http.StatusUnauthorized, "unauthorized", "this listener wants a token: Authorization: Bearer …; on the command line --token-file or FAXSTREAM_TOKEN"}
	errWrongToken = &apiError{http.StatusUnauthorized, "unauthorized", "the token is none of this server's, or no more"}
	errTooMany    = &apiError{http.StatusTooManyRequests, "too_many_failures", "too many wrong tokens from this address; try again in a minute"}
)

// restricted lets through what is open, and what the scopes of a good token allow.
func (s *server) restricted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // unless the answer says otherwise: numbers are no more for a cache than pages
		_, pattern := mux.Handler(r)
		t, err := s.identify(r)
		switch need := scopeOf(r.Method, pattern); {
		case err == nil && (open[pattern] || t.may(need)):
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callerKey{}, t))
			defer cancel()
			if r = r.WithContext(ctx); !open[pattern] {
				go s.endWithToken(r, need, cancel)
			}
		case open[pattern]: // a wrong token is as good as none here
		case err == nil:
			err = &apiError{http.StatusForbidden, "forbidden", fmt.Sprintf("the token %s does not have the scope %s, which this needs", t.Name, need)}
			s.refuse(w, r, err, "scope")
			return
		case errors.Is(err, errNoToken) && strings.Contains(r.Header.Get("Accept"), "text/html") && r.Method == http.MethodGet:
			http.Redirect(w, r, "/login?next="+nextPage(r.URL.Path), http.StatusSeeOther)
			return
		case errors.Is(err, errNoToken):
			s.refuse(w, r, err, "none")
			return
		default:
			s.refuse(w, r, err, "wrong")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// recheckEvery is how long a request that goes on, such as a stream of events, outlives its token.
const recheckEvery = 10 * time.Second

// endWithToken ends a request once what it has shown does not let it in any more.
func (s *server) endWithToken(r *http.Request, need Scope, end func()) {
	again := time.NewTicker(recheckEvery)
	defer again.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-again.C:
			if t, err := s.identify(r); err != nil || !t.may(need) {
				end()
			}
		}
	}
}

// identify gives the token that a request shows, in its header or by a session that was opened with one.
func (s *server) identify(r *http.Request) (Token, error) {
	header := r.Header.Get("Authorization")
	cookie, cookieErr := r.Cookie(cookieName)
	if header == "" && cookieErr != nil {
		return Token{}, errNoToken
	}
	tokens, err := s.Tokens()
	if err != nil {
		return Token{}, fmt.Errorf("read the tokens: %w", err) // nobody gets in until it can be read again
	}
	if header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if t, ok := find(tokens, sha256.Sum256([]byte(strings.TrimSpace(secret)))); ok && strings.EqualFold(scheme, "Bearer") {
			return t, nil
		}
		return Token{}, errWrongToken
	}
	if sum, ok := s.logins.session(cookie.Value, time.Now()); ok {
		if t, ok := find(tokens, sum); ok {
			return t, nil
		}
	}
	return Token{}, errNoToken // the session is over
}

// refuse answers, counts and logs a request that is not let through.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error, reason string) {
	e, ok := errors.AsType[*apiError](err)
	if !ok { // the file of tokens cannot be read
		s.fail(w, r, err)
		return
	}
	writeError(w, s.refused(w, r, e, reason))
}

// refused counts and logs, but never what was shown. One who fails often is told to wait and not logged any more: that keeps
// the log readable. It is not what keeps strangers out, so a good token gets in from the same address at any time.
func (s *server) refused(w http.ResponseWriter, r *http.Request, e *apiError, reason string) *apiError {
	if reason == "wrong" && s.logins.failed(address(r), time.Now()) {
		e, reason = errTooMany, "limited"
		w.Header().Set("Retry-After", strconv.Itoa(int(failureWindow.Seconds())))
	}
	if s.Refused != nil {
		s.Refused(reason)
	}
	if reason == "wrong" || reason == "scope" {
		s.Log.Warn("admin request refused", "reason", reason, "address", address(r), "method", r.Method, "path", r.URL.Path)
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="faxstream"`)
	}
	return e
}

// address is that of the peer, which behind a proxy is the proxy.
func address(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip, _ := netip.ParseAddr(host) // the zero Addr where it is none, as in tests
	return ip.Unmap().WithZone("")
}

// failed counts a failure of an address, an IPv6 one with its /64, and says whether there were too many.
func (l *logins) failed(ip netip.Addr, now time.Time) (tooMany bool) {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	from, _ := ip.Prefix(bits) // the zero Prefix for the zero Addr
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

// open begins a session of a token and gives the cookie's value.
func (l *logins) open(token [sha256.Size]byte, now time.Time) string {
	value := rand.Text() // 130 bits
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		if !now.Before(s.expires) {
			delete(l.sessions, id)
		}
	}
	if l.sessions == nil || len(l.sessions) >= maxSessions {
		l.sessions = map[[sha256.Size]byte]webSession{}
	}
	l.sessions[sha256.Sum256([]byte(value))] = webSession{token: token, expires: now.Add(sessionFor)}
	return value
}

func (l *logins) session(value string, now time.Time) (token [sha256.Size]byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.sessions[sha256.Sum256([]byte(value))]
	return s.token, ok && now.Before(s.expires)
}

func (l *logins) end(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, sha256.Sum256([]byte(value)))
}

// nextPage is where a login leads: a page of the dashboard and nothing else, whatever the address says.
func nextPage(path string) string {
	if id, ok := strings.CutPrefix(path, "/fax/"); ok && session.ValidToken(id) {
		return path
	}
	return "/"
}

// loginForm is what login.html shows.
type loginForm struct {
	Next  string
	Error string
}

func (s *server) loginPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, "login.html", loginForm{Next: nextPage(r.FormValue("next"))})
}

// logIn takes a token from the form and sets a cookie that stands for it.
func (s *server) logIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := loginForm{Next: nextPage(r.PostFormValue("next"))}
	if s.Tokens == nil {
		http.Redirect(w, r, form.Next, http.StatusSeeOther)
		return
	}
	tokens, err := s.Tokens()
	if err != nil {
		s.fail(w, r, fmt.Errorf("read the tokens: %w", err))
		return
	}
	t, ok := find(tokens, sha256.Sum256([]byte(strings.TrimSpace(r.PostFormValue("token")))))
	if !ok {
		e := s.refused(w, r, errWrongToken, "wrong")
		form.Error = e.Message
		s.renderStatus(w, r, e.status, "login.html", form)
		return
	}
	s.Log.Info("logged in", "token", t.Name, "address", address(r))
	http.SetCookie(w, s.cookie(r, s.logins.open(t.sum, time.Now()), int(sessionFor.Seconds())))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (s *server) logOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.logins.end(c.Value)
	}
	http.SetCookie(w, s.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (s *server) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || s.BehindTLS,
	}
}
