package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
)

// Each scope allows what it is for and nothing else; a path that nobody has given a scope needs admin.
func TestScopes(t *testing.T) {
	d := newListener(t, nil)
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
		{"GET", "/api/v1/search?q=x", "", 401, 404, 403, 403}, // there is no index
		{"GET", "/search", "", 401, 200, 403, 403},
		{"GET", "/letters", "", 401, 200, 403, 403},
		{"GET", "/health", "", 401, 200, 403, 403},
		{"GET", "/assets/live.js", "", 200, 200, 200, 200},
		{"GET", "/assets/..%2flayout.html", "", 400, 400, 400, 400},
		{"GET", "/assets/none.js", "", 404, 404, 404, 404},
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
			if got, body := d.Ask(name, c.method, c.path, c.body); got != want {
				t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, name, got, body, want)
			}
		}
	}
	if strings.Contains(d.Log.String(), "faxstream_") {
		t.Errorf("a token is in the log:\n%s", &d.Log)
	}
}

// A proxy or browser keeps neither lists nor errors, and documents only for whoever has got them and asks again.
func TestNoCacheKeepsWhatNeedsALogin(t *testing.T) {
	d := newListener(t, nil)
	for path, want := range map[string]string{
		"/api/v1/faxes": "no-store", "/api/v1/faxes/abc": "no-store", "/": "no-store", "/none": "no-store", "/login": "no-store",
		"/api/v1/faxes/abc/document.pdf": "private, no-cache",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.Secrets["reader"])
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
	d := newListener(t, nil)
	d.ready = errors.New("the account 4711 is locked")
	for name, told := range map[string]bool{"": false, "wrong": false, "reader": true} {
		if code, body := d.Ask(name, "GET", "/readyz", ""); code != 503 || strings.Contains(body, "4711") != told {
			t.Errorf("as %q: %d %s", name, code, body)
		}
	}
}

// A path that is added needs a token; these need none, and only these orders need no scope admin.
func TestWhatNeedsNoTokenOrLessThanAdmin(t *testing.T) {
	want := map[string]access.Scope{
		"GET /links/{link}": access.ScopeOpen, "GET /readyz": access.ScopeOpen, "GET /healthz": access.ScopeOpen,
		"GET /api/v1/holds": access.ScopeRead, "GET /api/v1/dlq": access.ScopeRead, "GET /api/v1/dlq/{id}": access.ScopeRead,
		"GET /api/v1/webhooks/refused":         access.ScopeRead,
		"GET /metrics":                         access.ScopeMetrics,
		"POST /api/v1/faxes/{session}/links":   access.ScopeOwn,
		"POST /fax/{session}/link":             access.ScopeOwn,
		"GET /assets/{file}":                   access.ScopeOpen,
		"POST /api/v1/faxes/{session}/desk":    access.ScopeWork,
		"POST /fax/{session}/desk":             access.ScopeWork,
		"POST /api/v1/faxes/{session}/derived": access.ScopeWork,
		"POST /fax/{session}/derive":           access.ScopeWork,
		"POST /fax/{session}/replay":           access.ScopeOperate,
		"POST /fax/{session}/verify":           access.ScopeOperate,
		"GET /letters":                         access.ScopeRead,
		"POST /bulk":                           access.ScopeWork,
		"POST /bulk/replay":                    access.ScopeOperate,
		"POST /bulk/keep":                      access.ScopeAdmin,
		"POST /reconcile":                      access.ScopeOperate,
		"GET /health":                          access.ScopeRead,
		"POST /letters":                        access.ScopeOperate,
		"POST /letters/{id}/retry":             access.ScopeOperate,
		"POST /letters/{id}/drop":              access.ScopeOperate,
		"POST /api/v1/faxes/{session}/replay":  access.ScopeOperate,
		"POST /api/v1/dlq/{id}/retry":          access.ScopeOperate,
		"POST /api/v1/dlq/{id}/drop":           access.ScopeOperate,
		"POST /api/v1/reconcile":               access.ScopeOperate,

		"POST /api/v1/faxes/{session}/pages/{page}/choose": access.ScopeOperate,
		"POST /fax/{session}/pages/{page}/choose":          access.ScopeOperate,
		"PUT /api/v1/faxes/{session}/pages/{page}/text":    access.ScopeText,

		"GET /api/v1/subscribers":                access.ScopeRead,
		"POST /api/v1/subscribers/{name}/claim":  access.ScopeOwn,
		"POST /api/v1/subscribers/{name}/settle": access.ScopeOwn,
	}
	s := &server{Config: Config{Metrics: http.NotFoundHandler()}}
	for _, route := range s.routes() {
		scope, ok := want[route.pattern]
		if delete(want, route.pattern); !ok {
			scope = access.ScopeAdmin
			if strings.HasPrefix(route.pattern, "GET ") {
				scope = access.ScopeOwn
			}
		}
		if route.scope != scope {
			t.Errorf("%s needs scope %s, want %s", route.pattern, route.scope, scope)
		}
	}
	if len(want) > 0 {
		t.Errorf("no such paths: %v", want)
	}
}
