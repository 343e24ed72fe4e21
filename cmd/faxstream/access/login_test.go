package access_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
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
