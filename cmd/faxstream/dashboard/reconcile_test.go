package dashboard

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReconcileIsOrderedByPost(t *testing.T) {
	var ordered []string
	srv := httptest.NewServer(NewHandler(Config{
		Gate: local(), Log: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler(),
		Reconcile: func(_ context.Context, since time.Time, dry bool) any {
			ordered = append(ordered, since.UTC().Format(time.RFC3339))
			return map[string]bool{"dry_run": dry}
		},
	}))
	defer srv.Close()
	for _, c := range []struct {
		method, body, origin string
		status               int
		want                 string
	}{
		{"POST", `{"since":"2026-01-02T03:04:05Z","dry_run":true}`, "", 200, `{"dry_run":true}`},
		{"POST", `{"since":"2026-01-02T03:04:05Z"}`, "", 200, `{"dry_run":false}`},
		{"POST", `{"since":"2026-01-02T03:04:05Z"}`, "http://evil.example", 403, `"code":"cross_origin"`},
		{"POST", `{"since":"9026-01-02T03:04:05Z"}`, "", 400, "in the past"},
		{"POST", `{"since":"yesterday"}`, "", 400, "in the past"},
		{"POST", `{}`, "", 400, "in the past"},
		{"POST", ``, "", 400, "in the past"},
		{"POST", `{"since":"` + strings.Repeat("2", 20_000), "", 400, "in the past"},
		{"GET", ``, "", 404, `"code":"not_found"`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, srv.URL+"/api/v1/reconcile", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %.60s from %q: %d %s, %v; want %d %s", c.method, c.body, c.origin, resp.StatusCode, body, err, c.status, c.want)
		}
	}
	if len(ordered) != 2 || ordered[0] != "2026-01-02T03:04:05Z" {
		t.Errorf("ordered for %v", ordered)
	}
}
