// Package accesstest opens a listener behind a gate for tests. Open first, then Ask. It writes into a directory of the test only.
package accesstest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// Desk is a listener behind a gate with the tokens reader, operator and master, which have one scope each, and worker with read and work,
// and what it has counted and logged.
type Desk struct {
	*httptest.Server
	Secrets map[string]string // by name
	File    string            // of tokens
	Refused map[string]int
	Log     bytes.Buffer

	t *testing.T
}

// Open serves a handler that is made with a gate. change may change the gate's configuration.
func Open(t *testing.T, change func(*access.Config), handler func(*access.Gate) http.Handler) *Desk {
	t.Helper()
	d := &Desk{t: t, File: filepath.Join(t.TempDir(), "tokens"), Secrets: map[string]string{}, Refused: map[string]int{}}
	var lines strings.Builder
	for name, scopes := range map[string][]access.Scope{
		"reader": {access.ScopeRead}, "operator": {access.ScopeOperate}, "master": {access.ScopeAdmin},
		"worker": {access.ScopeRead, access.ScopeWork},
	} {
		secret, line, err := access.NewToken(name, scopes)
		if err != nil {
			t.Fatal(err)
		}
		d.Secrets[name] = secret
		lines.WriteString(line + "\n")
	}
	d.SetTokens(lines.String())
	c := access.Config{
		Tokens:  func() ([]access.Token, error) { return access.ReadTokens(d.File) },
		Refused: func(reason string) { d.Refused[reason]++ },
		LinkKey: func() ([]byte, error) { return access.LinkKey(d.KeyFile()) },
		Log:     d.Logger(),
	}
	if change != nil {
		change(&c)
	}
	d.Server = httptest.NewServer(handler(access.New(c)))
	t.Cleanup(d.Close)
	return d
}

// Logger writes into Log.
func (d *Desk) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(&d.Log, nil)) }

// KeyFile is the file of the key that signs links.
func (d *Desk) KeyFile() string { return filepath.Join(filepath.Dir(d.File), "link.key") }

// SetTokens writes the file of tokens.
func (d *Desk) SetTokens(text string) {
	d.t.Helper()
	if err := os.WriteFile(d.File, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// Ask sends a request as the holder of a token, or of none, and gives status and body.
func (d *Desk) Ask(name, method, path, body string, change ...func(*http.Request)) (int, string) {
	d.t.Helper()
	status, _, got := d.Reply(name, method, path, body, change...)
	return status, got
}

// Reply is Ask with the header of the answer too.
func (d *Desk) Reply(name, method, path, body string, change ...func(*http.Request)) (int, http.Header, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if name != "" {
		secret := d.Secrets[name]
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
	return resp.StatusCode, resp.Header, string(got)
}

// People lets people log in beside the tokens.
func People(people ...access.User) func(*access.Config) {
	return func(c *access.Config) { c.Users = func() ([]access.User, error) { return people, nil } }
}

// LogIn logs a person in, and gives what makes a request one of the person's browser.
func (d *Desk) LogIn(name, password string) func(*http.Request) {
	d.t.Helper()
	r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"name": {name}, "password": {password}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	d.Config.Handler.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		d.t.Fatalf("%s does not get in: %d %s", name, w.Code, w.Body)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}
