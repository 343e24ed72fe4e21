package layout

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// Pages, redirects and the requests of the pages are below the path, also for who asks the listener without it. What people write is never
// taken for a URL.
func TestPagesBelowAPath(t *testing.T) {
	pages := Parse(fstest.MapFS{"x.html": {Data: []byte(
		`<a href="/fax/{{.}}"></a><img src="/a.png"><form action="/do"><button formaction="/other"></button></form><a href="//host/"></a>` +
			`<div hx-sse:connect="/live"></div><p>{{.}}</p>`,
	)}}, "x.html")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page/{id}", func(w http.ResponseWriter, r *http.Request) {
		pages.Write(w, r, slog.New(slog.DiscardHandler), http.StatusOK, "x.html", r.PathValue("id"))
	})
	mux.HandleFunc("GET /go", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/page/x", http.StatusSeeOther) })
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://example.org/", http.StatusSeeOther)
	})
	h := Under("/tools/fax", mux)
	for _, c := range []struct {
		path, location, body string
		status               int
	}{
		{"/tools/fax", "/tools/fax/", "", 308},
		{"/tools/fax/go", "/tools/fax/page/x", "", 303},
		{"/go", "/tools/fax/page/x", "", 303},
		{"/tools/fax/away", "https://example.org/", "", 303},
		{"/tools/faxes/go", "", "", 404},
		{
			"/tools/fax/page/%20href=%22%2Fx", "", `<a href="/tools/fax/fax/%20href=%22/x"></a><img src="/tools/fax/a.png">` +
				`<form action="/tools/fax/do"><button formaction="/tools/fax/other"></button></form>` +
				`<a href="//host/"></a><div hx-sse:connect="/tools/fax/live"></div><p> href=&#34;/x</p>`, 200,
		},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		body, err := io.ReadAll(w.Result().Body)
		if err != nil || w.Code != c.status || w.Header().Get("Location") != c.location || c.body != "" && string(body) != c.body {
			t.Errorf("%s: %d, %q, %s, %v", c.path, w.Code, w.Header().Get("Location"), body, err)
		}
	}
	if html, err := pages.Fragment(Place{"/fax", "en"}, "x.html", "1"); err != nil || !strings.Contains(string(html), `href="/fax/fax/1"`) {
		t.Errorf("a part of a page: %s, %v", html, err)
	}
	mux.HandleFunc("POST /language", ChooseLanguage(mux))
	r := httptest.NewRequest(http.MethodPost, "/tools/fax/language", strings.NewReader("language=de"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Referer", "https://example.org/tools/fax/page/x?y=1")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Header().Get("Location") != "/tools/fax/page/x?y=1" {
		t.Errorf("the choice of a language leads to %q", w.Header().Get("Location"))
	}
	if same := Under("", mux); same != http.Handler(mux) {
		t.Error("without a path it is another handler")
	}
}

func TestPathOfAPublicURL(t *testing.T) {
	for public, want := range map[string]string{
		"": "", "https://fax.example.org": "", "https://fax.example.org/": "", "https://example.org/tools/fax/": "/tools/fax",
		"https://example.org/a%22b": "error", "https://example.org/a//b": "error", "https://example.org/..": "error",
		"https://example.org/a b": "error",
	} {
		got, err := PathOf(public)
		if (err != nil) != (want == "error") || err == nil && got != want {
			t.Errorf("%q: %q, %v; want %q", public, got, err, want)
		}
	}
}
