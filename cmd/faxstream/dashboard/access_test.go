package dashboard

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// desk is an admin listener with tokens, and what it has recorded, counted and logged.
type desk struct {
	*httptest.Server
	t        *testing.T
	file     string            // of tokens
	secrets  map[string]string // by name
	recorded []session.Access
	refuse   error // what recording gives
	refused  map[string]int
	log      bytes.Buffer
	ready    error
}

func (d *desk) RecordAccess(_ context.Context, a session.Access) error {
	if d.refuse == nil {
		d.recorded = append(d.recorded, a)
	}
	return d.refuse
}

func newDesk(t *testing.T, change func(*Config)) *desk {
	t.Helper()
	d := &desk{t: t, file: filepath.Join(t.TempDir(), "tokens"), secrets: map[string]string{}, refused: map[string]int{}}
	var lines strings.Builder
	for name, s := range map[string]Scope{"reader": ScopeRead, "operator": ScopeOperate, "master": ScopeAdmin} {
		secret, line, err := NewToken(name, []Scope{s})
		if err != nil {
			t.Fatal(err)
		}
		d.secrets[name] = secret
		lines.WriteString(line + "\n")
	}
	d.tokens(lines.String())
	st := twoFaxes()
	cfg := Config{
		Board: &Board{}, Ledgers: st, Letters: st, Archive: st, Audit: d, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		Ready:   func(context.Context) error { return d.ready },
		Events:  func(context.Context, func(bus.Stored) bool) error { return nil },
		Reconcile: func(context.Context, time.Time, bool) any {
			return map[string]bool{"reconciled": true}
		},
		Tokens:  func() ([]Token, error) { return ReadTokens(d.file) },
		Refused: func(reason string) { d.refused[reason]++ },
		LinkKey: func() ([]byte, error) { return LinkKey(filepath.Join(filepath.Dir(d.file), "link.key")) },
	}
	if change != nil {
		change(&cfg)
	}
	d.Server = httptest.NewServer(NewHandler(cfg))
	t.Cleanup(d.Close)
	return d
}

func (d *desk) tokens(text string) {
	d.t.Helper()
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// ask sends a request as the holder of a token, or of none, and gives status and body.
func (d *desk) ask(name, method, path, body string, change ...func(*http.Request)) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if name != "" {
		secret := d.secrets[name]
		if secret == "" {
			secret = name
		}
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// Each scope allows what it is for and nothing else; a path that nobody has given a scope needs admin.
func TestScopes(t *testing.T) {
	d := newDesk(t, nil)
	const order = `{"by":"somebody else","why":"because","stage":"decode","since":"2026-01-02T03:04:05Z"}`
	for _, c := range []struct {
		method, path, body             string
		none, reader, operator, master int
	}{
		{"GET", "/healthz", "", 200, 200, 200, 200},
		{"GET", "/readyz", "", 200, 200, 200, 200},
		{"GET", "/login", "", 200, 200, 200, 200},
		{"GET", "/links/x.y", "", 403, 403, 403, 403},
		{"GET", "/metrics", "", 401, 200, 403, 403},
		{"GET", "/", "", 401, 200, 403, 403},
		{"GET", "/fax/abc", "", 401, 200, 403, 403},
		{"GET", "/api/v1/faxes", "", 401, 200, 403, 403},
		{"GET", "/api/v1/faxes/abc", "", 401, 200, 403, 403},
		{"GET", "/api/v1/faxes/abc/document.pdf", "", 401, 200, 403, 403},
		{"HEAD", "/api/v1/faxes/abc/document.pdf", "", 401, 200, 403, 403},
		{"GET", "/api/v1/faxes/abc/pages/1.png", "", 401, 200, 403, 403},
		{"GET", "/api/v1/dlq", "", 401, 200, 403, 403},
		{"GET", "/api/v1/events", "", 401, 200, 403, 403},
		{"GET", "/none", "", 401, 404, 403, 403},
		{"POST", "/api/v1/faxes/abc/links", `{"as":"pdf","ttl":"10m"}`, 401, 200, 403, 403},
		{"POST", "/api/v1/faxes/abc/replay", order, 401, 403, 200, 403},
		{"POST", "/api/v1/dlq/7/retry", order, 401, 403, 200, 403},
		{"POST", "/api/v1/dlq/7/drop", order, 401, 403, 200, 403},
		{"POST", "/api/v1/reconcile", order, 401, 403, 200, 403},
		{"POST", "/api/v1/faxes/abc/anything", order, 401, 403, 403, 404},
		{"DELETE", "/api/v1/faxes/abc", "", 401, 403, 403, 404},
	} {
		for name, want := range map[string]int{"": c.none, "reader": c.reader, "operator": c.operator, "master": c.master} {
			if got, body := d.ask(name, c.method, c.path, c.body); got != want {
				t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, name, got, body, want)
			}
		}
	}
	if strings.Contains(d.log.String(), tokenPrefix) {
		t.Errorf("a token is in the log:\n%s", &d.log)
	}
}

// The file of tokens counts as it is now: who is removed from it is out, and while it cannot be read everybody is.
func TestTokensAreReadAgain(t *testing.T) {
	d := newDesk(t, nil)
	status := func(name string) int { code, _ := d.ask(name, "GET", "/api/v1/faxes", ""); return code }
	good, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	if got := status("reader"); got != 200 {
		t.Errorf("a token of the file: %d", got)
	}
	secret, line, err := NewToken("new", []Scope{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(secret); got != 401 {
		t.Errorf("a token that is not yet in the file: %d", got)
	}
	d.tokens("# all others have left\n" + line)
	if was, is := status("reader"), status(secret); was != 401 || is != 200 {
		t.Errorf("a removed token: %d, a new one: %d", was, is)
	}
	d.tokens("garbage")
	if got := status(secret); got != 503 {
		t.Errorf("with a file that is none: %d", got)
	}
	d.tokens(string(good))
	if got := status("reader"); got != 200 {
		t.Errorf("with the file restored: %d", got)
	}
}

// Who is removed gets no more of a stream of events that was open before.
func TestAStreamEndsWithItsToken(t *testing.T) {
	secret, line, err := NewToken("reader", []Scope{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	var file atomic.Value // of tokens
	file.Store(line)
	st := twoFaxes()
	h := NewHandler(Config{
		Board: &Board{}, Ledgers: st, Letters: st, Archive: st, Audit: st, Log: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler(),
		Tokens: func() ([]Token, error) { return ParseTokens(file.Load().(string)) },
		Events: func(ctx context.Context, _ func(bus.Stored) bool) error { <-ctx.Done(); return nil },
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/events", nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			h.ServeHTTP(patient{httptest.NewRecorder()}, r)
		}()
		open := func() bool {
			time.Sleep(recheckEvery + time.Second)
			synctest.Wait()
			select {
			case <-ended:
				return false
			default:
				return true
			}
		}
		if !open() {
			t.Fatal("the stream of a good token has ended")
		}
		file.Store(strings.Replace(line, "read ", "operate ", 1))
		if open() {
			t.Error("the stream goes on without the scope")
		}
	})
}

// patient is a recorder that takes deadlines.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// A proxy or browser keeps neither lists nor errors, and documents only for whoever has got them and asks again.
func TestNoCacheKeepsWhatNeedsALogin(t *testing.T) {
	d := newDesk(t, nil)
	for path, want := range map[string]string{
		"/api/v1/faxes": "no-store", "/api/v1/faxes/abc": "no-store", "/": "no-store", "/none": "no-store", "/login": "no-store",
		"/api/v1/faxes/abc/document.pdf": "private, no-cache",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.secrets["reader"])
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Why the pipeline is not ready is nothing for strangers.
func TestReadinessTellsStrangersNothing(t *testing.T) {
	d := newDesk(t, nil)
	d.ready = errors.New("the account 4711 is locked")
	for name, told := range map[string]bool{"": false, "wrong": false, "reader": true} {
		if code, body := d.ask(name, "GET", "/readyz", ""); code != 503 || strings.Contains(body, "4711") != told {
			t.Errorf("as %q: %d %s", name, code, body)
		}
	}
}

// Many wrong tokens from one address are counted, but neither looked into nor logged; a good one gets in all the same.
func TestGuessingIsLimited(t *testing.T) {
	d := newDesk(t, nil)
	codes := map[int]int{}
	for range maxFailures + 5 {
		code, _ := d.ask("guess", "GET", "/api/v1/faxes", "")
		codes[code]++
	}
	if codes[401] != maxFailures || codes[429] != 5 || d.refused["wrong"] != maxFailures || d.refused["limited"] != 5 {
		t.Errorf("answered %v, counted %v", codes, d.refused)
	}
	if lines := strings.Count(d.log.String(), "\n"); lines != maxFailures || strings.Contains(d.log.String(), "guess") {
		t.Errorf("%d lines in the log:\n%s", lines, &d.log)
	}
	if code, _ := d.ask("reader", "GET", "/api/v1/faxes", ""); code != 200 {
		t.Errorf("a good token after them: %d", code)
	}
}

// A person logs in with a token, reads, and logs out; what the cookie was good for is over then, and also when the token is removed.
func TestLoginInABrowser(t *testing.T) {
	d := newDesk(t, func(c *Config) { c.BehindTLS = true })
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
	if resp.StatusCode != 401 || !strings.Contains(body, "none of this server") || d.refused["wrong"] != 1 {
		t.Errorf("a wrong token: %s %s", resp.Status, body)
	}
	resp, body = visit("POST", "/login", url.Values{"token": {d.secrets["reader"]}, "next": {"/fax/abc"}})
	if at(resp) != "/fax/abc" || resp.StatusCode != 200 || !strings.Contains(body, "missing (empty)") {
		t.Fatalf("a good token leads to %s: %s\n%s", at(resp), resp.Status, body)
	}
	set := resp.Request.Response.Header.Get("Set-Cookie")
	for _, flag := range []string{"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} {
		if !strings.Contains(set, flag) {
			t.Errorf("the cookie is not %s: %s", flag, set)
		}
	}
	if strings.Contains(set, d.secrets["reader"]) {
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
	visit("POST", "/login", url.Values{"token": {d.secrets["reader"]}})
	_, line, err := NewToken("other", []Scope{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	d.tokens(line)
	if resp, _ = visit("GET", "/", nil); at(resp) != "/login?next=/" {
		t.Errorf("after the token was removed the cookie leads to %s", at(resp))
	}
}

// A login is over after a working day, whatever the browser keeps.
func TestALoginEnds(t *testing.T) {
	var l logins
	now, token := time.Now(), [32]byte{1}
	cookie := l.open(token, now)
	if got, ok := l.session(cookie, now.Add(sessionFor-time.Second)); !ok || got != token {
		t.Errorf("within the day: %v, %v", got, ok)
	}
	if _, ok := l.session(cookie, now.Add(sessionFor)); ok {
		t.Error("the session goes on after its end")
	}
}

// The cookie never travels in the clear where anything of it is encrypted: by us, or by a proxy.
func TestTheCookieStaysOnTLS(t *testing.T) {
	for _, c := range []struct{ direct, proxy, secure bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		d := newDesk(t, func(cfg *Config) { cfg.BehindTLS = c.proxy })
		r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"token": {d.secrets["reader"]}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.direct {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		d.Config.Handler.ServeHTTP(w, r)
		if set := w.Header().Get("Set-Cookie"); w.Code != 303 || !strings.Contains(set, cookieName) || strings.Contains(set, "Secure") != c.secure {
			t.Errorf("%+v: %d %s", c, w.Code, set)
		}
	}
}

// A login leads to a page of ours only, and no other page can make a visitor act.
func TestOtherSitesGetNothingFromALogin(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/fax/abc": "/fax/abc", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"/fax/../login": "/", "/fax/a\r\nSet-Cookie:x": "/", "/api/v1/faxes": "/",
	} {
		if got := nextPage(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
	d := newDesk(t, nil)
	foreign := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	for _, path := range []string{"/login", "/logout", "/api/v1/dlq/7/retry"} {
		if code, body := d.ask("operator", "POST", path, "{}", foreign); code != 403 || !strings.Contains(body, "cross_origin") {
			t.Errorf("POST %s from another origin: %d %s", path, code, body)
		}
	}
	// With a login any name may lead here: a page that lets its own name resolve to us has no cookie of ours.
	rebound := func(r *http.Request) { r.Host = "evil.example" }
	if code, _ := d.ask("", "GET", "/api/v1/faxes", "", rebound); code != 401 {
		t.Errorf("a rebound name without token: %d", code)
	}
}

func TestATokenFileIsRefusedWithItsFault(t *testing.T) {
	_, line, err := NewToken("alice", []Scope{ScopeRead, ScopeOperate})
	if err != nil {
		t.Fatal(err)
	}
	sum := line[strings.Index(line, "sha256:"):]
	for text, want := range map[string]string{
		line:                              "",
		"# comment\n\n  " + line + "\r\n": "",
		"":                                "no token in it",
		"alice read":                      "line 1: 2 words",
		line + "\n" + line:                "line 2: alice stands there twice",
		line + "\nbob read " + sum:        "line 2: bob has the token of another line",
		"a/b read " + sum:                 "a name must be",
		"alice write " + sum:              "want scopes out of",
		"alice read,read " + sum:          "want scopes out of",
		"alice , " + sum:                  "want scopes out of",
		"alice read sha256:00":            "64 hex digits",
		"alice read " + sum[7:]:           "64 hex digits",
	} {
		if _, err := ParseTokens(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is read from a file of tokens says the same when it is written again.
func FuzzParseTokens(f *testing.F) {
	f.Add("alice read,operate sha256:" + strings.Repeat("0a", 32) + "\n# bob\n")
	f.Add("a b c")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := ParseTokens(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, token := range tokens {
			again.WriteString(token.line() + "\n")
		}
		same, err := ParseTokens(again.String())
		if err != nil || len(same) != len(tokens) {
			t.Fatalf("%q is read as %q, which gives %v", text, again.String(), err)
		}
		for i := range same {
			if same[i].line() != tokens[i].line() {
				t.Fatalf("%q is not %q", same[i].line(), tokens[i].line())
			}
		}
	})
}
