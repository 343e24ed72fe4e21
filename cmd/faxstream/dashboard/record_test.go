package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Reads are recorded before a byte leaves, and refused when they cannot be.
func TestReadsAreRecorded(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.Thumbnail = func(context.Context, io.Reader) ([]byte, error) { return []byte("small content"), nil }
	})
	because := func(r *http.Request) {
		r.Header.Set(api.HeaderReason, "claim 42")
		r.Header.Set(api.HeaderBy, "not me")
	}
	for _, path := range []string{"document.pdf", "pages/1.tiff", "pages/1.png"} {
		if code, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/"+path, "", because); code != 200 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if len(d.recorded) != 3 {
		t.Fatalf("recorded %+v", d.recorded)
	}
	want := session.Access{
		Kind: session.AccessRead, By: "reader", Login: true, Why: "claim 42", Address: "127.0.0.1", Session: "abc", Page: 1, Object: "p.tiff",
	}
	if d.recorded[1] != want {
		t.Errorf("recorded %+v, want %+v", d.recorded[1], want)
	}
	// What gives no byte is no read.
	for _, c := range []struct {
		method, path string
		change       func(*http.Request)
	}{
		{"HEAD", "/api/v1/faxes/abc/document.pdf", because},
		{"GET", "/api/v1/faxes/abc/document.pdf", func(r *http.Request) { r.Header.Set("If-None-Match", `"00ff"`) }},
		{"GET", "/api/v1/faxes/abc/manifest.json", because}, // gone
		{"GET", "/api/v1/faxes/abc", because},
	} {
		if d.Ask("reader", c.method, c.path, "", c.change); len(d.recorded) != 3 {
			t.Errorf("%s %s is recorded: %+v", c.method, c.path, d.recorded[3:])
		}
	}
	stale := func(r *http.Request) { r.Header.Set("If-None-Match", `"another"`) }
	for _, path := range []string{"document.pdf", "pages/1.thumbnail.png"} {
		before := len(d.recorded)
		code, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/"+path, "", stale)
		if code != 200 || !strings.Contains(body, "content") || len(d.recorded) != before+1 {
			t.Errorf("%s for who has another: %d %s, recorded %d", path, code, body, len(d.recorded)-before)
		}
	}
	d.refuse = errors.New("FAX_AUDIT is full")
	for _, path := range []string{"document.pdf", "pages/1.png", "pages/1.thumbnail.png"} {
		code, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/"+path, "")
		if code != 503 || strings.Contains(body, "content") || !strings.Contains(body, "FAX_AUDIT") {
			t.Errorf("a read of %s that cannot be recorded: %d %s", path, code, body)
		}
	}
}

// Without a login the caller's word counts, cut to what a line can hold.
func TestWhoReadsWithoutLogin(t *testing.T) {
	d := &listener{}
	st := twoFaxes()
	h := NewHandler(Config{Gate: local(), Board: &Board{}, Ledgers: st, Letters: st, Archive: st, Audit: d, Metrics: http.NotFoundHandler()})
	for stated, want := range map[string]string{
		"": "local", "alice": "alice", " a\x01b ": "ab", strings.Repeat("x", 400): strings.Repeat("x", maxStated),
	} {
		r := httptest.NewRequest("GET", "http://localhost/api/v1/faxes/abc/document.pdf", nil)
		r.Header.Set(api.HeaderBy, stated)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if a := d.recorded[len(d.recorded)-1]; w.Code != 200 || a.By != want || a.Login {
			t.Errorf("%q: %d %+v", stated, w.Code, a)
		}
	}
}
