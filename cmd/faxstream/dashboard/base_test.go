package dashboard

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/access/accesstest"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
)

// Behind a proxy that has the dashboard below a path, and passes the path on, every link, image, script and form of every page that can be
// reached is below that path and there.
func TestTheDashboardBelowAPath(t *testing.T) {
	s := newTeam()
	d := &listener{}
	d.Desk = accesstest.Open(t, nil, func(gate *access.Gate) http.Handler {
		cfg := listenerConfig(d, gate)
		s.config(&cfg)
		return layout.Under("/fax", NewHandler(cfg))
	})
	target, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	var elsewhere []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/fax/") {
			elsewhere = append(elsewhere, r.URL.Path)
			http.NotFound(w, r)
			return
		}
		r.Header.Set("Authorization", "Bearer "+d.Secrets["worker"])
		to := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
		}}
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	seen := map[string]int{}
	crawl(t, proxy.URL, "/fax/", seen)
	for _, want := range []string{"/fax/fax/abc", "/fax/letters", "/fax/api/v1/faxes/abc/document.pdf", "/fax/assets/live.js"} {
		if seen[want] != http.StatusOK {
			t.Errorf("%s: %d; got to %v", want, seen[want], seen)
		}
	}
	if len(elsewhere) > 0 {
		t.Errorf("requests beside the path: %v", elsewhere)
	}
}

var (
	targets = regexp.MustCompile(` (?:href|src)="([^"#]+)[^"]*"`)
	sends   = regexp.MustCompile(` (?:action|formaction|hx-sse:connect)="([^"]+)"`)
)

// visit asks a server for a path, and gives the answer with its body; of a live view, which has no end, only the answer.
func visit(t *testing.T, method, server, path string) (resp *http.Response, body []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, server+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err = http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		if body, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	return resp, body
}

// lost: the server has nothing at the path. Documents that a fax of the test does not have are another fault.
func lost(body []byte) bool { return bytes.Contains(body, []byte("no such path")) }

// crawl gets a page, and what its links lead to on the same server. seen has the status of each path.
func crawl(t *testing.T, server, path string, seen map[string]int) {
	t.Helper()
	u, err := url.Parse(server + path)
	if err != nil {
		t.Fatal(err)
	}
	if seen[u.Path] != 0 || len(seen) > 200 {
		return
	}
	resp, body := visit(t, http.MethodGet, server, path)
	seen[u.Path] = resp.StatusCode
	if lost(body) {
		t.Errorf("nothing is at %s", path)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", path, resp.Status)
	}
	for _, m := range sends.FindAllSubmatch(body, -1) {
		ref, err := url.Parse(strings.ReplaceAll(string(m[1]), "&amp;", "&"))
		if err != nil {
			t.Fatal(err)
		}
		to := u.ResolveReference(ref).RequestURI()
		_, posted := visit(t, http.MethodPost, server, to) // without the fields of the form, so nothing changes
		_, got := visit(t, http.MethodGet, server, to)
		if !strings.HasPrefix(to, "/fax/") || lost(posted) && lost(got) {
			t.Errorf("%s sends to %s, and nothing is there", path, to)
		}
	}
	for _, m := range targets.FindAllSubmatch(body, -1) {
		to, err := url.Parse(strings.ReplaceAll(string(m[1]), "&amp;", "&"))
		if err != nil {
			t.Fatal(err)
		}
		if next := u.ResolveReference(to); next.Host == u.Host && !strings.HasSuffix(next.Path, "/history") { // it needs the audit
			crawl(t, server, next.RequestURI(), seen)
		}
	}
}
