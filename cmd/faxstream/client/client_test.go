package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

func newClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A token goes to the server that was named and to no other, whatever that one answers.
func TestATokenFollowsNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	c := newClient(t, Config{Server: srv.URL, Token: "sesame"})
	_, listed := c.Letters(t.Context(), LetterFilter{})
	_, linked := c.Link(t.Context(), "abc", api.LinkOrder{})
	for name, err := range map[string]error{
		"a list": listed, "a link": linked,
		"a download": c.Save(t.Context(), Object{Session: "abc", Kind: "pdf"}, filepath.Join(t.TempDir(), "fax.pdf")),
	} {
		if err == nil || !strings.Contains(err.Error(), "307") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is asked for stands in the request: who asks, with which token, what is chosen, and no more faxes than are wanted.
func TestFaxesAreAskedForPageByPage(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get(api.HeaderBy)+" "+r.Header.Get("Authorization")+" "+r.URL.RawQuery)
		api.Write(w, http.StatusOK, api.FaxList{Faxes: make([]api.Fax, 500), Next: "x"})
	}))
	defer srv.Close()
	got := 0
	c := newClient(t, Config{Server: srv.URL + "/", Token: "sesame", By: "alice"})
	for list, err := range c.Faxes(t.Context(), FaxFilter{To: "+1 2", Text: "an order", Limit: 501}) {
		if err != nil {
			t.Fatal(err)
		}
		got += len(list.Faxes)
	}
	want := []string{
		"alice Bearer sesame limit=500&text=an+order&to=%2B1+2", "alice Bearer sesame cursor=x&limit=1&text=an+order&to=%2B1+2",
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") || got != 1000 {
		t.Errorf("%d faxes, asked for\n%s", got, strings.Join(asked, "\n"))
	}
}

// A list that is read again and again leaves the archive alone, and a fax is asked for by its session.
func TestWhatIsReadAgainIsAskedFor(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		api.Write(w, http.StatusOK, api.FaxDetail{Fax: api.Fax{Session: "a b"}})
	}))
	defer srv.Close()
	c := newClient(t, Config{Server: srv.URL})
	for _, err := range c.Faxes(t.Context(), FaxFilter{Ledger: true, Seen: "x", Limit: 5}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := c.Fax(t.Context(), "a b")
	want := []string{"/api/v1/faxes?archive=no&limit=5&seen=x", "/api/v1/faxes/a%20b"}
	if err != nil || d.Session != "a b" || !slices.Equal(asked, want) {
		t.Errorf("%q, %v; asked for %q, want %q", d.Session, err, asked, want)
	}
}

// A stream of events is ready once, when the server listens: later comments only keep the connection.
func TestAStreamIsReadyOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ": listening\n\n: \n\nid: 1\ndata: {}\n\n: \n\n")
	}))
	defer srv.Close()
	ready, events := 0, 0
	err := newClient(t, Config{Server: srv.URL}).Events(t.Context(), func() { ready++ }, func([]byte) error {
		events++
		return nil
	})
	if ready != 1 || events != 1 || err == nil || !strings.Contains(err.Error(), "the server stopped") {
		t.Errorf("ready %d times, %d events, %v", ready, events, err)
	}
}

// FuzzOneLine: whatever a stranger writes stays in its line, and moves nothing on the terminal.
func FuzzOneLine(f *testing.F) {
	for _, s := range []string{
		"Ada Lovelace", "\x1b[2J", "\u009b31m", "\x9b31m\xff", "a\r\n\tb\x7f", "\u202egnp.exe\u2066",
		"\u2028", "می\u200cخواهم 👩\u200d👧",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := OneLine(s)
		const turning = "\u2028\u2029\u202a\u202e\u2066\u2069"
		if strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsAny(got, turning) || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q", s, got)
		}
		if OneLine(got) != got || utf8.RuneCountInString(got) != utf8.RuneCountInString(s) {
			t.Errorf("%q becomes %q, and then %q", s, got, OneLine(got))
		}
	})
}

// Errors are told apart: not there, refused in the server's words, no address, no authority.
func TestErrorsOfAnswers(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"/api/v1/dlq/1": func(w http.ResponseWriter) { api.WriteError(w, api.NotFound("no letter\x1b 1")) },
		"/api/v1/dlq/2": func(w http.ResponseWriter) { api.WriteError(w, api.Errorf(http.StatusGone, "purged", "purged")) },
		"/api/v1/dlq/3": func(w http.ResponseWriter) { api.WriteError(w, io.EOF) },
		"/api/v1/dlq/4": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"/api/v1/dlq/5": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"/api/v1/dlq/6": func(w http.ResponseWriter) { http.Error(w, "404 page not found", http.StatusNotFound) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w) }))
	defer srv.Close()
	c := newClient(t, Config{Server: srv.URL})
	for id, want := range map[uint64]struct {
		says  string
		there bool
	}{
		1: {"not found: no letter  1", false}, 2: {"not found: purged", false},
		3: {"a store did not answer", true}, 4: {"502 Bad Gateway", true}, 5: {"is --server its admin address?", true},
		6: {"404 Not Found: this is not the answer of a faxstream API", true},
	} {
		_, err := c.Letter(t.Context(), id)
		if err == nil || !strings.Contains(err.Error(), want.says) || errors.Is(err, ErrNotFound) == want.there {
			t.Errorf("letter %d: %v, want %q", id, err, want.says)
		}
	}
	if _, err := newClient(t, Config{Server: "ftp://x"}).Letter(t.Context(), 1); !errors.Is(err, ErrServer) {
		t.Errorf("an address of another kind: %v", err)
	}
	if _, err := New(Config{CA: []byte{}}); !errors.Is(err, ErrCA) {
		t.Errorf("an empty file of authorities: %v", err)
	}
}
