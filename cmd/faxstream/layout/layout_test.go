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
