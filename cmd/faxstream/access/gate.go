package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
)

// Config is what a Gate decides by.
type Config struct {
	// Tokens and Users give the tokens and the people that are let in, as they are now. Both and OIDC nil: no login, and only requests made
	// to a loopback address.
	Tokens func() ([]Token, error)
	Users  func() ([]User, error)
	OIDC   *OIDC // a provider through which people log in; nil: there is none
	// Refused is called for each refused request: none, wrong, password, provider, limited, scope or link; nil: nobody counts.
	Refused   func(reason string)
	BehindTLS bool                   // a proxy speaks TLS for us
	LinkKey   func() ([]byte, error) // signs links; see LinkKey
	Log       *slog.Logger
}

// Gate lets requests through, or not. It is safe for concurrent use.
type Gate struct {
	Config
	logins    logins
	passwords passwords
	provider  provider
}

// New makes a gate.
func New(c Config) *Gate {
	return &Gate{
		Config: c, passwords: newPasswords(), provider: provider{exchanges: make(chan struct{}, maxExchanges)},
		logins: logins{asking: make(chan struct{}, maxAsking), provider: c.OIDC.name()},
	}
}

// Share has logins be those of all processes that share them, from now on.
func (g *Gate) Share(s Shared) {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	g.logins.shared = s
}

// Rules give patterns of a ServeMux their scope; see Guard.
type Rules map[string]Scope

// scopeOf is what a request needs. Every other request that is not a GET needs scope admin, so that a path that is added and has no rule
// is closed rather than open.
func (rules Rules) scopeOf(method, pattern string) Scope {
	scope, ok := rules[pattern]
	switch {
	case ok:
		return scope
	case method == http.MethodGet || method == http.MethodHead:
		return ScopeRead
	default:
		return ScopeAdmin
	}
}

// Guard adds the login to mux and lets requests through to it. Without tokens everybody who reaches the listener may do everything, so it
// answers only requests made to a loopback address. With tokens it answers under every name: a foreign page whose name resolves to this
// machine has neither token nor cookie.
func (g *Gate) Guard(mux *http.ServeMux, rules Rules) http.Handler {
	all := Rules{"GET /login": ScopeOpen, "POST /login": ScopeOpen, "POST /logout": ScopeOpen, "POST /language": ScopeOpen}
	for pattern, scope := range rules {
		all[pattern] = scope
	}
	mux.HandleFunc("GET /login", g.loginPage)
	mux.HandleFunc("POST /login", g.logIn)
	mux.HandleFunc("POST /logout", g.logOut)
	mux.HandleFunc("POST /language", layout.ChooseLanguage(mux))
	if g.OIDC != nil {
		for pattern, handle := range map[string]http.HandlerFunc{
			"GET " + oidcPath: g.oidcLogIn, "GET " + oidcPath + "/callback": g.oidcCallback,
		} {
			mux.HandleFunc(pattern, handle)
			all[pattern] = ScopeOpen
		}
	}
	if !g.NeedsLogin() {
		return LoopbackOnly(sameOrigin(mux))
	}
	return sameOrigin(g.restricted(mux, all))
}

// NeedsLogin reports whether requests must show a token or come from a browser that is logged in.
func (g *Gate) NeedsLogin() bool { return g.Tokens != nil || g.Users != nil || g.OIDC != nil }

// tokens are the tokens as they are now.
func (g *Gate) tokens() ([]Token, error) {
	if g.Tokens == nil {
		return nil, nil
	}
	tokens, err := g.Tokens()
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	return tokens, nil
}

// users are the people as they are now.
func (g *Gate) users() ([]User, error) {
	if g.Users == nil {
		return nil, nil
	}
	users, err := g.Users()
	if err != nil {
		return nil, fmt.Errorf("read the users: %w", err)
	}
	return users, nil
}

// holders are all who can have a session in a browser: the tokens, and what people may do.
func (g *Gate) holders() ([]Token, error) {
	tokens, err := g.tokens()
	if err != nil {
		return nil, err
	}
	users, err := g.users()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(tokens)
	for _, u := range users {
		all = append(all, u.token())
	}
	return all, nil
}

// callerKey finds the token of a request that has shown a good one.
type callerKey struct{}

// Caller gives the token that a request has shown; ok is false for somebody who is not logged in.
func Caller(r *http.Request) (t Token, ok bool) {
	t, ok = r.Context().Value(callerKey{}).(Token)
	return t, ok
}

// As gives a request that has shown a token: for requests that this process makes itself.
func As(r *http.Request, t Token) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, t))
}

var (
	errNoToken = api.Errorf(http.StatusUnauthorized, "unauthorized",
		"this request needs a token: send Authorization: Bearer TOKEN, or on the command line give --token-file or FAXSTREAM_TOKEN")
	errWrongToken = api.Errorf(http.StatusUnauthorized, "unauthorized", "the token is unknown or revoked")
	errTooMany    = api.Errorf(http.StatusTooManyRequests, "too_many_failures",
		"too many wrong tokens from this address: try again in a minute")
)

// restricted lets through what is open, and what the scopes of a good token allow.
func (g *Gate) restricted(mux *http.ServeMux, rules Rules) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // unless the handler sets another: a cache must not keep numbers either
		_, pattern := mux.Handler(r)
		t, err := g.identify(r)
		switch need := rules.scopeOf(r.Method, pattern); {
		case err == nil && (need == ScopeOpen || t.may(need)):
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			if r = As(r.WithContext(ctx), t); need != ScopeOpen {
				go g.endWithToken(r, need, cancel)
			}
		case need == ScopeOpen: // a wrong token does no harm here
		case err == nil:
			g.refuse(w, r, forbidden(t, need), "scope")
			return
		case errors.Is(err, errNoToken) && strings.Contains(r.Header.Get("Accept"), "text/html") && r.Method == http.MethodGet:
			http.Redirect(w, r, "/login?next="+nextPage(r.URL.Path), http.StatusSeeOther)
			return
		case errors.Is(err, errNoToken):
			g.refuse(w, r, err, "none")
			return
		default:
			g.refuse(w, r, err, "wrong")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// forbidden says what a token lacks.
func forbidden(t Token, need Scope) error {
	switch {
	case need == ScopeRead && t.has(need) && t.Limited():
		return api.Errorf(http.StatusForbidden, "forbidden",
			"%s is limited to numbers, and this request shows more than the faxes of these", t.Name)
	case need == ScopeRead && t.has(need):
		return api.Errorf(http.StatusForbidden, "forbidden", "numbers are masked for %s, and this request can show them", t.Name)
	}
	if need == ScopeOwn {
		need = ScopeRead
	}
	return api.Errorf(http.StatusForbidden, "forbidden", "%s does not have the scope %s, and this request needs it", t.Name, need)
}

// recheckEvery is how long a request that goes on, such as a stream of events, outlives its token.
const recheckEvery = 10 * time.Second

// endWithToken ends a request when its token is no longer valid for it, or sees other faxes than at its start.
func (g *Gate) endWithToken(r *http.Request, need Scope, end func()) {
	began, _ := Caller(r)
	again := time.NewTicker(recheckEvery)
	defer again.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-again.C:
			if t, err := g.identify(r); err != nil || !t.may(need) || !slices.Equal(t.Numbers, began.Numbers) || t.Masked != began.Masked {
				end()
			}
		}
	}
}

// identify gives the token that a request shows in its header, or what its session was opened with: a token or the password of a person.
func (g *Gate) identify(r *http.Request) (Token, error) {
	header := r.Header.Get("Authorization")
	cookie, cookieErr := r.Cookie(cookieName)
	if header == "" && cookieErr != nil {
		return Token{}, errNoToken
	}
	if header != "" {
		tokens, err := g.tokens()
		if err != nil {
			return Token{}, err // nobody gets in until the file can be read again
		}
		scheme, secret, _ := strings.Cut(header, " ")
		if t, ok := find(tokens, sha256.Sum256([]byte(strings.TrimSpace(secret)))); ok && strings.EqualFold(scheme, "Bearer") {
			return t, nil
		}
		return Token{}, errWrongToken
	}
	s, ok := g.logins.session(r.Context(), cookie.Value, time.Now())
	if ok && s.provided {
		return s.token, nil
	}
	if ok {
		all, err := g.holders()
		if err != nil {
			return Token{}, err
		}
		if t, ok := find(all, s.token.sum); ok {
			return t, nil
		}
	}
	return Token{}, errNoToken // the session is over
}

// refuse answers, counts and logs a request that is not let through.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, err error, reason string) {
	e, ok := errors.AsType[*api.Error](err)
	if !ok { // the file of tokens cannot be read
		api.Fail(w, r, g.Log, err)
		return
	}
	api.WriteError(w, g.refused(w, r, e, reason))
}

// refused counts and logs a request, but never its token. An address with many wrong tokens is told to wait and is no longer logged, so
// that the log stays readable. This limit does not keep strangers out (the size of a token does), so a good token gets in from the same
// address at any time.
func (g *Gate) refused(w http.ResponseWriter, r *http.Request, e *api.Error, reason string) *api.Error {
	if reason == "wrong" && g.logins.failed(Address(r), time.Now()) {
		e, reason = errTooMany, "limited"
	}
	if e.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(int(failureWindow.Seconds())))
	}
	if g.Refused != nil {
		g.Refused(reason)
	}
	if reason == "wrong" || reason == "password" || reason == "provider" || reason == "scope" {
		g.Log.Warn("admin request refused", "reason", reason, "address", Address(r), "method", r.Method, "path", r.URL.Path)
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="faxstream"`)
	}
	return e
}

// Address is the peer's; behind a proxy it is the proxy's.
func Address(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip, _ := netip.ParseAddr(host) // the zero Addr where it is none, as in tests
	return ip.Unmap().WithZone("")
}
