package access_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/access/accesstest"
)

// newDesk guards a few pages that say who has got them.
func newDesk(t *testing.T, change func(*access.Config)) *accesstest.Desk {
	t.Helper()
	return accesstest.Open(t, change, guarded)
}

func guarded(gate *access.Gate) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, r *http.Request) {
		token, _ := access.Caller(r)
		_, _ = io.WriteString(w, "Logged in as "+token.Name)
	}
	for _, pattern := range []string{"GET /{$}", "GET /fax/{session}", "GET /api/v1/faxes", "POST /api/v1/dlq/{id}/retry"} {
		mux.HandleFunc(pattern, answer)
	}
	return gate.Guard(mux, access.Rules{"POST /api/v1/dlq/{id}/retry": access.ScopeOperate})
}

// The file of tokens counts as it is now: who is removed from it is out, and while it cannot be read everybody is.
func TestTokensAreReadAgain(t *testing.T) {
	d := newDesk(t, nil)
	status := func(name string) int { code, _ := d.Ask(name, "GET", "/api/v1/faxes", ""); return code }
	good, err := os.ReadFile(d.File)
	if err != nil {
		t.Fatal(err)
	}
	if got := status("reader"); got != 200 {
		t.Errorf("a token of the file: %d", got)
	}
	secret, line, err := access.NewToken("new", []access.Scope{access.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(secret); got != 401 {
		t.Errorf("a token that is not yet in the file: %d", got)
	}
	d.SetTokens("# all others have left\n" + line)
	if was, is := status("reader"), status(secret); was != 401 || is != 200 {
		t.Errorf("a removed token: %d, a new one: %d", was, is)
	}
	d.SetTokens("garbage")
	if got := status(secret); got != 503 {
		t.Errorf("with a file that is none: %d", got)
	}
	d.SetTokens(string(good))
	if got := status("reader"); got != 200 {
		t.Errorf("with the file restored: %d", got)
	}
}

// Who is removed gets no more of a stream of events that was open before.
func TestAStreamEndsWithItsToken(t *testing.T) {
	secret, line, err := access.NewToken("reader", []access.Scope{access.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]string{
		"without the scope": strings.Replace(line, "read ", "operate ", 1), "with other numbers": line + " to=13343040000",
	} {
		t.Run(name, func(t *testing.T) { streamEnds(t, secret, line, change) })
	}
}

// streamEnds opens a stream with a token and changes its line.
func streamEnds(t *testing.T, secret, line, change string) {
	var file atomic.Value // of tokens
	file.Store(line)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/events", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	h := access.New(access.Config{
		Tokens: func() ([]access.Token, error) { return access.ParseTokens(file.Load().(string)) }, Log: slog.New(slog.DiscardHandler),
	}).Guard(mux, access.Rules{"GET /api/v1/events": access.ScopeOwn})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/events", nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		open := func() bool {
			time.Sleep(11 * time.Second)
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
		file.Store(change)
		if open() {
			t.Error("the stream goes on")
		}
	})
}

// Many wrong tokens from one address are counted, but neither looked into nor logged; a good one gets in all the same.
func TestGuessingIsLimited(t *testing.T) {
	d := newDesk(t, nil)
	const allowed = 10 // a minute
	codes := map[int]int{}
	for range allowed + 5 {
		code, _ := d.Ask("guess", "GET", "/api/v1/faxes", "")
		codes[code]++
	}
	if codes[401] != allowed || codes[429] != 5 || d.Refused["wrong"] != allowed || d.Refused["limited"] != 5 {
		t.Errorf("answered %v, counted %v", codes, d.Refused)
	}
	if lines := strings.Count(d.Log.String(), "\n"); lines != allowed || strings.Contains(d.Log.String(), "guess") {
		t.Errorf("%d lines in the log:\n%s", lines, &d.Log)
	}
	if code, _ := d.Ask("reader", "GET", "/api/v1/faxes", ""); code != 200 {
		t.Errorf("a good token after them: %d", code)
	}
}

// A rule gives a path its scope; a path without a rule is closed to all who may not read or, if something changes, to all but admins.
func TestRulesAndPathsWithoutARule(t *testing.T) {
	d := accesstest.Open(t, nil, func(gate *access.Gate) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("POST /ruled", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("GET /open", func(http.ResponseWriter, *http.Request) {})
		return gate.Guard(mux, access.Rules{"POST /ruled": access.ScopeOperate, "GET /open": access.ScopeOpen})
	})
	for _, c := range []struct {
		method, path string
		codes        [4]int // of nobody, reader, operator and master
	}{
		{"GET", "/open", [4]int{200, 200, 200, 200}},
		{"POST", "/ruled", [4]int{401, 403, 200, 403}},
		{"GET", "/other", [4]int{401, 200, 403, 403}},
		{"POST", "/other", [4]int{401, 403, 403, 200}},
		{"DELETE", "/open", [4]int{401, 403, 403, 200}},
	} {
		for i, name := range []string{"", "reader", "operator", "master"} {
			if code, body := d.Ask(name, c.method, c.path, ""); code != c.codes[i] {
				t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, name, code, body, c.codes[i])
			}
		}
	}
}
