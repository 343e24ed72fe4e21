package access_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/access/accesstest"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
)

// A person logs in with a token, reads, and logs out; what the cookie was good for is over then, and also when the token is removed.
func TestLoginInABrowser(t *testing.T) {
	d := newDesk(t, func(c *access.Config) { c.BehindTLS = true })
	srv := httptest.NewTLSServer(d.Config.Handler)
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := srv.Client()
	browser.Jar = jar
	visit := func(method, path string, form url.Values) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, srv.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	at := func(resp *http.Response) string { return resp.Request.URL.RequestURI() }
	resp, body := visit("GET", "/fax/abc", nil)
	if at(resp) != "/login?next=/fax/abc" || !strings.Contains(body, `name="next" value="/fax/abc"`) {
		t.Fatalf("a stranger is led to %s:\n%s", at(resp), body)
	}
	resp, body = visit("POST", "/login", url.Values{"token": {"wrong"}, "next": {"/fax/abc"}})
	if resp.StatusCode != 401 || !strings.Contains(body, "unknown or revoked") || d.Refused["wrong"] != 1 {
		t.Errorf("a wrong token: %s %s", resp.Status, body)
	}
	resp, body = visit("POST", "/login", url.Values{"token": {d.Secrets["reader"]}, "next": {"/fax/abc"}})
	if at(resp) != "/fax/abc" || resp.StatusCode != 200 || body != "Logged in as reader" {
		t.Fatalf("a good token leads to %s: %s\n%s", at(resp), resp.Status, body)
	}
	set := resp.Request.Response.Header.Get("Set-Cookie")
	for _, flag := range []string{"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} {
		if !strings.Contains(set, flag) {
			t.Errorf("the cookie is not %s: %s", flag, set)
		}
	}
	if strings.Contains(set, d.Secrets["reader"]) {
		t.Error("the cookie holds the token")
	}
	if resp, body = visit("GET", "/", nil); !strings.Contains(body, "Logged in as reader") {
		t.Errorf("%s: %s", resp.Status, body)
	}
	if resp, _ = visit("POST", "/api/v1/dlq/7/retry", nil); resp.StatusCode != 403 {
		t.Errorf("a reader's cookie retries: %s", resp.Status)
	}
	stolen := jar.Cookies(resp.Request.URL)
	if resp, _ = visit("POST", "/logout", nil); at(resp) != "/login" {
		t.Errorf("logging out leads to %s", at(resp))
	}
	jar.SetCookies(resp.Request.URL, stolen)
	if resp, _ = visit("GET", "/", nil); at(resp) != "/login?next=/" {
		t.Errorf("after logging out the cookie leads to %s", at(resp))
	}
	visit("POST", "/login", url.Values{"token": {d.Secrets["reader"]}})
	_, line, err := access.NewToken("other", []access.Scope{access.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	d.SetTokens(line)
	if resp, _ = visit("GET", "/", nil); at(resp) != "/login?next=/" {
		t.Errorf("after the token was removed the cookie leads to %s", at(resp))
	}
}

// The cookie is not sent to what a host has beside the dashboard.
func TestTheCookieStaysBelowThePath(t *testing.T) {
	d := newDesk(t, nil)
	r := httptest.NewRequest("POST", "/fax/login", strings.NewReader(url.Values{"token": {d.Secrets["reader"]}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	layout.Under("/fax", d.Config.Handler).ServeHTTP(w, r)
	if cookies := w.Result().Cookies(); w.Code != 303 || len(cookies) != 1 || cookies[0].Path != "/fax/" {
		t.Errorf("%d %v", w.Code, cookies)
	}
}

// The cookie never travels in the clear where anything of it is encrypted: by us, or by a proxy.
func TestTheCookieStaysOnTLS(t *testing.T) {
	for _, c := range []struct{ direct, proxy, secure bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		d := newDesk(t, func(cfg *access.Config) { cfg.BehindTLS = c.proxy })
		r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"token": {d.Secrets["reader"]}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.direct {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		d.Config.Handler.ServeHTTP(w, r)
		set := w.Header().Get("Set-Cookie")
		if w.Code != 303 || !strings.Contains(set, "faxstream_session") || strings.Contains(set, "Secure") != c.secure {
			t.Errorf("%+v: %d %s", c, w.Code, set)
		}
	}
}

// No other page can make a visitor act.
func TestOtherSitesGetNothingFromALogin(t *testing.T) {
	d := newDesk(t, nil)
	foreign := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	for _, path := range []string{"/login", "/logout", "/api/v1/dlq/7/retry"} {
		if code, body := d.Ask("operator", "POST", path, "{}", foreign); code != 403 || !strings.Contains(body, "cross_origin") {
			t.Errorf("POST %s from another origin: %d %s", path, code, body)
		}
	}
	// With a login any name may lead here: a page that lets its own name resolve to us has no cookie of ours.
	rebound := func(r *http.Request) { r.Host = "evil.example" }
	if code, _ := d.Ask("", "GET", "/api/v1/faxes", "", rebound); code != 401 {
		t.Errorf("a rebound name without token: %d", code)
	}
}

// person is one who logs in with a password.
const person = "correct horse battery"

// withPeople gives a desk people too: alice, who works on faxes. Her file is beside that of the tokens.
func withPeople(t *testing.T) (change func(*access.Config), file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "users")
	alice, err := access.NewUser("alice", access.RoleWork, false, person)
	if err == nil {
		err = access.WriteUsers(file, []access.User{alice})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(c *access.Config) {
		c.Users = func() ([]access.User, error) { return access.ReadUsers(file) }
	}, file
}

// loggedIn posts the form of a login, and gives the answer and the cookie that it sets.
func loggedIn(t *testing.T, d *accesstest.Desk, form url.Values) (*httptest.ResponseRecorder, *http.Cookie) {
	t.Helper()
	r := httptest.NewRequest("POST", "/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	d.Config.Handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		return w, c
	}
	return w, nil
}

// A person logs in with a name and a password, and does what the role allows under that name. A new password, and the removal from the
// file, end the login.
func TestAPersonLogsInWithAPassword(t *testing.T) {
	change, file := withPeople(t)
	d := newDesk(t, change)
	if _, body := d.Ask("", "GET", "/login", ""); !strings.Contains(body, `name="password"`) || !strings.Contains(body, `name="token"`) {
		t.Errorf("the page of the login:\n%s", body)
	}
	for _, form := range []url.Values{
		{"name": {"alice"}, "password": {"wrong"}},
		{"name": {"mallory"}, "password": {person}},
		{"name": {"alice"}, "password": {""}, "token": {d.Secrets["reader"]}},
	} {
		w, cookie := loggedIn(t, d, form)
		if w.Code != 401 || cookie != nil || !strings.Contains(w.Body.String(), "the name or the password is wrong") {
			t.Errorf("%v: %d %v %s", form, w.Code, cookie, w.Body)
		}
	}
	if d.Refused["password"] != 3 || strings.Contains(d.Log.String(), "mallory") || strings.Contains(d.Log.String(), person) {
		t.Errorf("counted %v, logged:\n%s", d.Refused, &d.Log)
	}
	form := url.Values{"name": {" alice "}, "password": {person}, "next": {"/fax/abc"}}
	w, cookie := loggedIn(t, d, form)
	if w.Code != 303 || w.Header().Get("Location") != "/fax/abc" || cookie == nil ||
		!cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
		t.Fatalf("%d %v %s", w.Code, cookie, w.Body)
	}
	as := func(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }
	if code, body := d.Ask("", "GET", "/", "", as(cookie)); code != 200 || body != "Logged in as alice" {
		t.Errorf("%d %s", code, body)
	}
	code, body := d.Ask("", "POST", "/api/v1/dlq/7/retry", "{}", as(cookie))
	if code != 403 || !strings.Contains(body, "alice does not have the scope operate") {
		t.Errorf("a person with the role work retries: %d %s", code, body)
	}
	users, err := access.ReadUsers(file)
	if err != nil {
		t.Fatal(err)
	}
	// What stands in the file opens nothing: neither as a token nor as a password.
	for _, stolen := range []string{users[0].Hash, "faxstream user\x00alice\x00" + users[0].Hash} {
		if w, cookie := loggedIn(t, d, url.Values{"token": {stolen}}); w.Code != 401 || cookie != nil {
			t.Errorf("%q is a token: %d", stolen, w.Code)
		}
		if w, cookie := loggedIn(t, d, url.Values{"name": {"alice"}, "password": {stolen}}); w.Code != 401 || cookie != nil {
			t.Errorf("%q is a password: %d", stolen, w.Code)
		}
	}
	if code, _ := d.Ask(users[0].Hash, "GET", "/", ""); code != 401 {
		t.Errorf("the hash is a token: %d", code)
	}
	users[0].Hash, err = access.HashPassword("another " + person)
	if err == nil {
		err = access.WriteUsers(file, users)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, body := d.Ask("", "GET", "/", "", as(cookie)); code != 401 {
		t.Errorf("after the password was changed: %d %s", code, body)
	}
	form.Set("password", "another "+person)
	if w, cookie = loggedIn(t, d, form); cookie == nil {
		t.Fatalf("with the new password: %d %s", w.Code, w.Body)
	}
	if err := access.WriteUsers(file, nil); err != nil {
		t.Fatal(err)
	}
	if code, body := d.Ask("", "GET", "/", "", as(cookie)); code != 401 {
		t.Errorf("after the person was removed: %d %s", code, body)
	}
}

// Without tokens, people alone are a login: nobody else gets in, and the page asks for no token.
func TestPeopleAloneAreALogin(t *testing.T) {
	change, file := withPeople(t)
	d := newDesk(t, func(c *access.Config) { change(c); c.Tokens = nil })
	if code, body := d.Ask("", "GET", "/api/v1/faxes", ""); code != 401 {
		t.Errorf("without a login: %d %s", code, body)
	}
	if code, _ := d.Ask("reader", "GET", "/api/v1/faxes", ""); code != 401 {
		t.Errorf("with a token of a file that is not used: %d", code)
	}
	if _, body := d.Ask("", "GET", "/login", ""); strings.Contains(body, `name="token"`) {
		t.Errorf("the page asks for a token:\n%s", body)
	}
	_, cookie := loggedIn(t, d, url.Values{"name": {"alice"}, "password": {person}})
	if cookie == nil {
		t.Fatal("alice does not get in")
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, body := d.Ask("", "GET", "/", "", func(r *http.Request) { r.AddCookie(cookie) }); code != 503 {
		t.Errorf("while the file cannot be read: %d %s", code, body)
	}
}
