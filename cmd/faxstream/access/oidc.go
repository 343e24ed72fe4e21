package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

// OIDC is a provider through which people log in (OpenID Connect Core 1.0, the authorization code flow with PKCE). It is asked for its
// addresses and keys at the first login, so the listener starts while it is down.
type OIDC struct {
	Issuer   string                 // URL
	ClientID string                 // as the provider knows this server
	Secret   func() (string, error) // of the client, read at each login; nil: it has none
	Claim    string                 // of the ID token: the groups of a person, one text or many
	Roles    []GroupRole            // the first whose group a person has counts; a person without one does not get in
}

// name tells a provider with its roles from another; empty: there is none.
func (o *OIDC) name() string {
	if o == nil {
		return ""
	}
	return hexOf(sha256.Sum256(fmt.Appendf(nil, "%q %q %q %+v", o.Issuer, o.ClientID, o.Claim, o.Roles)))
}

// GroupRole is what the people of a group may do.
type GroupRole struct {
	Group   string
	Role    Role
	Numbers []string // as Token.Numbers
	Masked  bool     // as Token.Masked
}

// maskedWord stands among the numbers of a group whose people see none.
const maskedWord = "masked"

// ParseGroupRole reads GROUP=ROLE[,masked][,NUMBER...].
func ParseGroupRole(text string) (g GroupRole, err error) {
	i := strings.LastIndex(text, "=") // a group may be a name of LDAP, with = in it
	if i < 1 {
		return g, fmt.Errorf("%q: want GROUP=ROLE[,masked][,NUMBER...], such as fax-desk=work", text)
	}
	words := strings.Split(text[i+1:], ",")
	g.Group, g.Role = text[:i], Role(words[0])
	for _, word := range words[1:] {
		if word == maskedWord {
			g.Masked = true
			continue
		}
		g.Numbers = append(g.Numbers, session.NumberToken(word))
	}
	u := User{Name: "group", Role: g.Role, Numbers: g.Numbers, Masked: g.Masked, Hash: nobody()}
	if err := u.check(); err != nil {
		return g, fmt.Errorf("%q: %w", text, err)
	}
	return g, nil
}

const (
	oidcPath = "/login/oidc"
	// oidcCookie holds what a login through the provider began with, in the browser that began it.
	oidcCookie = "faxstream_oidc"
	// oidcFor is how long a person may take at the provider.
	oidcFor = 10 * time.Minute
	// oidcTimeout bounds one request to the provider.
	oidcTimeout = 10 * time.Second
	// discoverAgain is how long a provider that did not answer is not asked again.
	discoverAgain = 5 * time.Second
	// maxExchanges bounds the logins that ask the provider at once.
	maxExchanges = 10
	// maxPerson bounds the name of a person, bytes: the desk takes no longer one.
	maxPerson = 100
)

var (
	errOIDCState = api.Errorf(http.StatusBadRequest, "bad_request",
		"this login did not start in this browser, or it took longer than 10 minutes: log in again")
	errOIDCDown = api.Errorf(http.StatusBadGateway, "provider",
		"the login provider cannot be used now: try again, or ask who runs this server")
)

// provider is a provider that was found, and the logins that ask it.
type provider struct {
	mu        sync.Mutex
	found     *oidc.Provider // nil: not yet; guarded by mu
	err       error          // of the last try; guarded by mu
	again     time.Time      // when it may be asked again after err; guarded by mu
	asked     chan struct{}  // closed when it has answered; nil: it is not asked now; guarded by mu
	exchanges chan struct{}  // a place for each login that asks it
}

// enter takes a place of a login that asks the provider.
func (p *provider) enter() (leave func(), err error) {
	select {
	case p.exchanges <- struct{}{}:
		return func() { <-p.exchanges }, nil
	default:
		return nil, errPasswordsQueue
	}
}

// find gives the provider. One request asks it for its addresses if it has not said them yet; the others wait for the answer.
func (p *provider) find(ctx context.Context, issuer string) (*oidc.Provider, error) {
	p.mu.Lock()
	if p.found != nil || p.asked == nil && time.Now().Before(p.again) {
		defer p.mu.Unlock()
		return p.found, p.err
	}
	if p.asked == nil {
		p.asked = make(chan struct{})
		go p.ask(context.WithoutCancel(ctx), issuer)
	}
	asked := p.asked
	p.mu.Unlock()
	select {
	case <-asked:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.found, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask asks the provider for its addresses, and tells those who wait. The client in ctx bounds the time.
func (p *provider) ask(ctx context.Context, issuer string) {
	found, err := oidc.NewProvider(ctx, issuer)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found, p.err, p.again = found, err, time.Now().Add(discoverAgain)
	close(p.asked)
	p.asked = nil
}

// oidcClient is the client of one login, as the request reached this server.
func (g *Gate) oidcClient(r *http.Request) (ctx context.Context, p *oidc.Provider, c oauth2.Config, err error) {
	ctx = oidc.ClientContext(r.Context(), &http.Client{Timeout: oidcTimeout})
	if p, err = g.provider.find(ctx, g.OIDC.Issuer); err != nil {
		return ctx, nil, c, err
	}
	c = oauth2.Config{
		ClientID: g.OIDC.ClientID, Endpoint: p.Endpoint(), RedirectURL: g.here(r) + oidcPath + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
	var known struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := p.Claims(&known); err == nil && slices.Contains(known.Scopes, "groups") { // others refuse a scope that they do not know
		c.Scopes = append(c.Scopes, "groups")
	}
	if g.OIDC.Secret != nil {
		c.ClientSecret, err = g.OIDC.Secret()
	}
	return ctx, p, c, err
}

// oidcLogIn leads a browser to the provider.
func (g *Gate) oidcLogIn(w http.ResponseWriter, r *http.Request) {
	leave, err := g.provider.enter()
	if err != nil {
		g.oidcFailed(w, r, err)
		return
	}
	defer leave()
	_, _, c, err := g.oidcClient(r)
	if err != nil {
		g.oidcFailed(w, r, err)
		return
	}
	began := url.Values{
		"state": {rand.Text()}, "nonce": {rand.Text()}, "verifier": {oauth2.GenerateVerifier()}, "next": {nextPage(r.FormValue("next"))},
	}
	http.SetCookie(w, g.oidcCookie(r, began.Encode(), int(oidcFor.Seconds())))
	to := c.AuthCodeURL(began.Get("state"), oidc.Nonce(began.Get("nonce")), oauth2.S256ChallengeOption(began.Get("verifier")))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// oidcCookie is sent along when the provider leads back here, so it is not as strict as that of a session.
func (g *Gate) oidcCookie(r *http.Request, value string, maxAge int) *http.Cookie {
	c := g.cookie(r, value, maxAge)
	c.Name, c.Path, c.SameSite = oidcCookie, layout.Base(r)+oidcPath, http.SameSiteLaxMode
	return c
}

// oidcCallback is where the provider leads a browser back to. The answer is a page that goes on by itself: a redirect would still belong to
// the provider's page, and browsers keep the strict cookie of the session from it.
func (g *Gate) oidcCallback(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, g.oidcCookie(r, "", -1))
	t, sub, next, err := g.oidcPerson(r)
	if err != nil {
		g.oidcFailed(w, r, err)
		return
	}
	value, err := g.open(r, t, true)
	if err != nil {
		g.oidcFailed(w, r, err)
		return
	}
	g.Log.Info("logged in", "name", t.Name, "sub", sub, "address", Address(r), "issuer", g.OIDC.Issuer)
	http.SetCookie(w, g.cookie(r, value, int(SessionFor.Seconds())))
	w.Header().Set("Refresh", "0; url="+layout.Base(r)+next)
	pages.Write(w, r, g.Log, http.StatusOK, "welcome.html", struct{ Name, Next string }{t.Name, next})
}

// oidcFailed shows why a login through the provider failed. What the provider says is for the log.
func (g *Gate) oidcFailed(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		g.Log.Warn("a login through the provider failed", "issuer", g.OIDC.Issuer, "err", err)
		e = errOIDCDown
	}
	e = g.refused(w, r, e, "provider")
	form := g.loginForm("/")
	form.Error = e.Message
	pages.Write(w, r, g.Log, e.Status, "login.html", form)
}

// oidcPerson is who has logged in at the provider, the name that the provider never gives to another, and the page that the person wants.
func (g *Gate) oidcPerson(r *http.Request) (t Token, sub, next string, err error) {
	cookie, err := r.Cookie(oidcCookie)
	if err != nil {
		return t, "", "", errOIDCState
	}
	began, err := url.ParseQuery(cookie.Value)
	state := began.Get("state")
	if err != nil || state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(r.FormValue("state"))) != 1 {
		return t, "", "", errOIDCState
	}
	if refused := r.FormValue("error"); refused != "" {
		return t, "", "", api.Errorf(http.StatusForbidden, "forbidden", "the login provider refused: %.100q", refused)
	}
	leave, err := g.provider.enter()
	if err != nil {
		return t, "", "", err
	}
	defer leave()
	claims, err := g.oidcClaims(r, began)
	if err != nil {
		return t, "", "", err
	}
	if t, err = g.OIDC.person(claims); err != nil {
		return t, "", "", err
	}
	sub, _ = claims["sub"].(string)
	all, err := g.holders()
	if err == nil && slices.ContainsFunc(all, func(o Token) bool { return o.Name == t.Name }) {
		err = api.Errorf(http.StatusForbidden, "forbidden", "%s is the name of a token or of a person with a password here", t.Name)
	}
	return t, sub, nextPage(began.Get("next")), err
}

// oidcClaims changes the code that the browser brings for an ID token, and gives what is in it.
func (g *Gate) oidcClaims(r *http.Request, began url.Values) (claims map[string]any, err error) {
	ctx, p, c, err := g.oidcClient(r)
	if err != nil {
		return nil, err
	}
	answer, err := c.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(began.Get("verifier")))
	if err != nil {
		return nil, err
	}
	raw, _ := answer.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: g.OIDC.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if nonce := began.Get("nonce"); nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(id.Nonce)) != 1 {
		return nil, errOIDCState
	}
	return claims, id.Claims(&claims)
}

// unseen reports whether a character shows nothing itself, so that two names could look the same, or changes how the others are shown.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// person is what the first group that is configured lets a person do.
func (o *OIDC) person(claims map[string]any) (t Token, err error) {
	text := func(name string) string { s, _ := claims[name].(string); return strings.TrimSpace(s) }
	t.Name = text("preferred_username")
	if t.Name == "" && claims["email_verified"] == true {
		t.Name = text("email")
	}
	if t.Name == "" {
		t.Name = text("sub")
	}
	if t.Name == "" || len(t.Name) > maxPerson || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, unseen) {
		return t, api.Errorf(http.StatusForbidden, "forbidden",
			"the login provider gives no name that the audit can record: want 1 to %d bytes, and no hidden characters", maxPerson)
	}
	var groups []any
	switch has := claims[o.Claim].(type) {
	case string:
		groups = []any{has}
	case []any:
		groups = has
	}
	for _, g := range o.Roles {
		if slices.Contains(groups, any(g.Group)) {
			t.Person = true
			t.Scopes, t.Numbers, t.Masked = g.Role.scopes(), g.Numbers, g.Masked
			return t, nil
		}
	}
	return t, api.Errorf(http.StatusForbidden, "forbidden", "%s is in no group that has a role here: ask who runs this server", t.Name)
}
