package access

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oauth2-proxy/mockoidc"
)

// house is a listener whose people log in through a provider.
type house struct {
	*httptest.Server
	t      *testing.T
	gate   *Gate
	issuer *mockoidc.MockOIDC
	logged strings.Builder
}

// newHouse opens one. Its provider does not run yet; open starts it.
func newHouse(t *testing.T) (h *house, open func()) {
	t.Helper()
	h = &house{t: t}
	var err error
	if h.issuer, err = mockoidc.NewServer(nil); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	hungUp := make(chan struct{})
	go func() { // a provider that is down: the first connection to it ends
		defer close(hungUp)
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	_, line, err := NewToken("robot", []Scope{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	var roles []GroupRole
	for _, text := range []string{"cn=lab,dc=example=read,masked,+1 334-304-0000", "design=operate", "engineering=admin"} {
		role, err := ParseGroupRole(text)
		if err != nil {
			t.Fatal(err)
		}
		roles = append(roles, role)
	}
	h.gate = New(Config{
		Tokens: func() ([]Token, error) { return ParseTokens(line) },
		OIDC: &OIDC{
			Issuer: "http://" + l.Addr().String() + mockoidc.IssuerBase, ClientID: h.issuer.ClientID, Claim: "groups", Roles: roles,
			Secret: func() (string, error) { return h.issuer.ClientSecret, nil },
		},
		Log: slog.New(slog.NewTextHandler(&h.logged, nil)),
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		caller, _ := Caller(r)
		_, _ = io.WriteString(w, caller.Name)
	})
	h.Server = httptest.NewServer(h.gate.Guard(mux, Rules{"GET /{$}": ScopeOwn}))
	t.Cleanup(h.Close)
	return h, func() {
		h.get(h.URL + "/login/oidc")
		<-hungUp
		if err := h.issuer.Start(l, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.issuer.Shutdown() })
		h.gate.provider.again = time.Time{} // it is not asked again for a while otherwise
	}
}

// get asks without following where it leads.
func (h *house) get(at string, cookies ...*http.Cookie) (*http.Response, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, at, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp, string(body)
}

// begin goes to the provider and back, up to the address that the provider leads to, with the cookie that goes along.
func (h *house) begin(who *mockoidc.MockUser) (back string, began *http.Cookie) {
	h.t.Helper()
	h.issuer.QueueUser(who)
	there, body := h.get(h.URL + "/login/oidc?next=/fax/abc")
	if there.StatusCode != 303 || len(there.Cookies()) != 1 {
		h.t.Fatalf("%s: %s", there.Status, body)
	}
	resp, body := h.get(there.Header.Get("Location"))
	if back = resp.Header.Get("Location"); !strings.HasPrefix(back, h.URL+"/login/oidc/callback?") {
		h.t.Fatalf("the provider leads to %q: %s", back, body)
	}
	return back, there.Cookies()[0]
}

func cookieOf(resp *http.Response) *http.Cookie {
	i := slices.IndexFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name == cookieName })
	if i < 0 {
		return nil
	}
	return resp.Cookies()[i]
}

// jane is in two groups that have roles.
func jane() *mockoidc.MockUser { return mockoidc.DefaultUser() }

// A person logs in through the provider, and gets the role of the first group that is configured.
func TestAPersonLogsInThroughAProvider(t *testing.T) {
	h, open := newHouse(t)
	for range 2 { // the second time it is not asked
		if resp, body := h.get(h.URL + "/login/oidc"); resp.StatusCode != 502 || !strings.Contains(body, "cannot be used now") {
			t.Errorf("while the provider is down: %s %s", resp.Status, body)
		}
	}
	open()
	if _, body := h.get(h.URL + "/login"); !strings.Contains(body, `href="/login/oidc?next=`) {
		t.Errorf("the page of the login leads to no provider:\n%s", body)
	}
	back, began := h.begin(jane())
	if began.SameSite != http.SameSiteLaxMode || !began.HttpOnly || began.MaxAge != 600 || began.Path != "/login/oidc" {
		t.Errorf("the cookie of the way there: %+v", began)
	}
	resp, body := h.get(back, began)
	cookie := cookieOf(resp)
	if resp.StatusCode != 200 || cookie == nil || cookie.SameSite != http.SameSiteStrictMode ||
		resp.Header.Get("Refresh") != "0; url=/fax/abc" {
		t.Fatalf("%s %v %s", resp.Status, cookie, body)
	}
	if resp, body := h.get(h.URL+"/", cookie); resp.StatusCode != 200 || body != "jane.doe" {
		t.Errorf("%s %s", resp.Status, body)
	}
	s, _ := h.gate.logins.session(t.Context(), cookie.Value, time.Now())
	if !s.token.may(ScopeOperate) || s.token.may(ScopeAdmin) {
		t.Errorf("jane may %v", s.token.Scopes)
	}
	if maker, err := h.gate.maker(Link{By: "jane.doe"}); err != nil || maker.Name != "jane.doe" {
		t.Errorf("a link of hers: %v, %v", maker, err)
	}
	h.gate.logins.end(t.Context(), cookie.Value, time.Now())
	if _, err := h.gate.maker(Link{By: "jane.doe"}); err == nil {
		t.Error("a link outlives the login of its maker")
	}
	// The code is good once.
	if resp, _ := h.get(back, began); resp.StatusCode == 200 || cookieOf(resp) != nil {
		t.Errorf("the same code again: %s", resp.Status)
	}
	lab := jane()
	lab.Groups = []string{"engineering", "cn=lab,dc=example"}
	back, began = h.begin(lab)
	resp, _ = h.get(back, began)
	if cookie = cookieOf(resp); cookie == nil {
		t.Fatal(resp.Status)
	}
	s, _ = h.gate.logins.session(t.Context(), cookie.Value, time.Now())
	if !s.token.Masked || !slices.Equal(s.token.Numbers, []string{"13343040000"}) || s.token.may(ScopeWork) {
		t.Errorf("the lab is %+v", s.token)
	}
}

// Nobody gets in with a login of another browser, a changed one, or one that the provider refuses; nor somebody without a role or with a
// name that others have here.
func TestAProvidersLoginIsRefused(t *testing.T) {
	h, open := newHouse(t)
	open()
	other, same := jane(), jane()
	other.Groups, same.PreferredUsername = []string{"sales"}, "robot"
	changed := func(name, value string) func(string, *http.Cookie) (string, *http.Cookie) {
		return func(back string, c *http.Cookie) (string, *http.Cookie) {
			values, _ := url.ParseQuery(c.Value)
			values.Set(name, value)
			return back, &http.Cookie{Name: c.Name, Value: values.Encode()}
		}
	}
	for _, c := range []struct {
		what   string
		who    *mockoidc.MockUser
		change func(back string, c *http.Cookie) (string, *http.Cookie)
		want   int
	}{
		{"no cookie", jane(), func(back string, _ *http.Cookie) (string, *http.Cookie) { return back, &http.Cookie{Name: "x"} }, 400},
		{"another state", jane(), changed("state", "x"), 400},
		{"no state", jane(), func(string, *http.Cookie) (string, *http.Cookie) {
			return h.URL + "/login/oidc/callback?code=x", &http.Cookie{Name: oidcCookie, Value: "nonce=x"}
		}, 400},
		{"another nonce", jane(), changed("nonce", "x"), 400},
		{"another verifier", jane(), changed("verifier", strings.Repeat("x", 43)), 502},
		{"another code", jane(), func(back string, c *http.Cookie) (string, *http.Cookie) {
			return strings.Replace(back, "code=", "code=x", 1), c
		}, 502},
		{"an error of the provider", jane(), func(back string, c *http.Cookie) (string, *http.Cookie) {
			return back + "&error=access_denied", c
		}, 403},
		{"no group with a role", other, nil, 403},
		{"the name of a token", same, nil, 403},
	} {
		back, began := h.begin(c.who)
		if c.change != nil {
			back, began = c.change(back, began)
		}
		if resp, body := h.get(back, began); resp.StatusCode != c.want || cookieOf(resp) != nil {
			t.Errorf("%s: %s, want %d\n%s\n%s", c.what, resp.Status, c.want, body, h.logged.String())
		}
	}
	if strings.Contains(h.logged.String(), h.issuer.ClientSecret) {
		t.Errorf("the secret is in the log:\n%s", h.logged.String())
	}
}

// While the provider does not answer, a request waits as long as its browser does, one request asks, and more than a few wait for nothing.
func TestAProviderThatHangsHoldsNobody(t *testing.T) {
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-answer
	}))
	defer hangs.Close()
	defer close(answer)
	g := New(Config{OIDC: &OIDC{Issuer: hangs.URL}, Log: slog.New(slog.DiscardHandler)})
	ctx, leave := context.WithCancel(oidc.ClientContext(t.Context(), &http.Client{Timeout: oidcTimeout}))
	first := make(chan error, 1)
	go func() {
		_, err := g.provider.find(ctx, hangs.URL)
		first <- err
	}()
	<-asked
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := g.provider.find(gone, hangs.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("a request whose browser is gone: %v", err)
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) || len(asked) > 0 {
		t.Errorf("the request that asked: %v; asked %d times more", err, len(asked))
	}
	for range maxExchanges {
		if _, err := g.provider.enter(); err != nil {
			t.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	if g.oidcLogIn(w, httptest.NewRequest("GET", "/login/oidc", nil)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", w.Code)
	}
}

func TestNamesAndGroupsOfAProvider(t *testing.T) {
	o := &OIDC{Claim: "roles", Roles: []GroupRole{{Group: "fax", Role: RoleWork}}}
	for _, c := range []struct {
		claims map[string]any
		want   string // the name; empty: refused
	}{
		{map[string]any{"preferred_username": "jane", "email": "j@example.com", "email_verified": true, "sub": "1", "roles": "fax"}, "jane"},
		{map[string]any{"email": "j@example.com", "email_verified": true, "sub": "1", "roles": []any{"x", "fax"}}, "j@example.com"},
		{map[string]any{"email": "j@example.com", "email_verified": false, "sub": "1", "roles": []any{"fax"}}, "1"},
		{map[string]any{"email": "j@example.com", "sub": "1", "roles": []any{"fax"}}, "1"},
		{map[string]any{"preferred_username": "a\nb", "roles": "fax"}, ""},
		{map[string]any{"preferred_username": "ja\u200bne", "roles": "fax"}, ""},
		{map[string]any{"preferred_username": "\u202eenaj", "roles": "fax"}, ""},
		{map[string]any{"preferred_username": "ja\u2028ne", "roles": "fax"}, ""},
		{map[string]any{"preferred_username": "Zoë Müller", "roles": "fax"}, "Zoë Müller"},
		{map[string]any{"preferred_username": strings.Repeat("x", 101), "roles": "fax"}, ""},
		{map[string]any{"roles": "fax"}, ""},
		{map[string]any{"sub": "1", "roles": "fax,other"}, ""},
		{map[string]any{"sub": "1", "roles": []any{1, nil, map[string]any{}}}, ""},
		{map[string]any{"sub": "1", "groups": "fax"}, ""},
	} {
		got, err := o.person(c.claims)
		if (err == nil) != (c.want != "") || err == nil && got.Name != c.want {
			t.Errorf("%v: %q, %v", c.claims, got.Name, err)
		}
	}
}

func TestGroupsAndTheirRoles(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"fax-desk=work", ""},
		{"a b=read,masked,+1 334-304-0000,fax-room", ""},
		{"fax-desk", "want GROUP=ROLE"},
		{"=work", "want GROUP=ROLE"},
		{"fax-desk=boss", `role "boss"`},
		{"fax-desk=operate,masked", "needs the role read or work"},
		{"fax-desk=admin,1", "needs the role read or work"},
		{"fax-desk=read,", "want digits or a user id"},
		{"fax-desk=read,1,+1", "each at most once"},
	} {
		_, err := ParseGroupRole(c.text)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzParseGroupRole(f *testing.F) {
	f.Add("cn=lab,dc=example=read,masked,+1 334-304-0000")
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := ParseGroupRole(text); err == nil && (g.Group == "" || len(g.Role.scopes()) == 0) {
			t.Fatalf("%q is %+v", text, g)
		}
	})
}
