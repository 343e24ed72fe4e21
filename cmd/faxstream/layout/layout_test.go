package layout

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// A page has head and foot, shows data as text, runs no script and stays in no cache; one that fails is in the log.
func TestAPageIsFramedAndHarmless(t *testing.T) {
	pages := Parse(fstest.MapFS{"x.html": {Data: []byte(`{{template "head" .Title}}<p>{{.Text}}</p>{{template "foot"}}`)}}, "x.html")
	var log bytes.Buffer
	show := func(data any) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		pages.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), slog.New(slog.NewTextHandler(&log, nil)), http.StatusTeapot, "x.html", data)
		return w
	}
	w := show(map[string]string{"Title": "a title", "Text": "<script>"})
	body := w.Body.String()
	for _, want := range []string{"<!doctype html>", "<title>a title</title>", "<p>&lt;script&gt;</p>", "</html>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	if w.Code != http.StatusTeapot || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
		w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if show(struct{}{}); !strings.Contains(log.String(), "x.html") {
		t.Errorf("a page without its data is not in the log: %q", &log)
	}
}

// htmx and its extension come in one file: an extension that came later would not be used.
func TestHtmxAndItsExtensionAreOneScript(t *testing.T) {
	html, err := Parse(fstest.MapFS{"x.html": {Data: []byte("x")}}, "x.html").Fragment(Place{Language: "en"}, "live", nil)
	if err != nil || strings.Count(string(html), "<script") != 1 {
		t.Errorf("%s %v: want one script", html, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{file}", Asset)
	for path, want := range map[string][2]string{
		"/assets/htmx-sse-4.0.1.min.js": {`registerExtension("sse"`, "immutable"}, "/assets/live.js": {"htmx:sse:after:message", "no-cache"},
		"/assets/icon.svg": {"<svg", "no-cache"},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want[0]) || !strings.Contains(w.Header().Get("Cache-Control"), want[1]) {
			t.Errorf("%s: %d, %v, %d bytes", path, w.Code, w.Header(), w.Body.Len())
		}
	}
}
