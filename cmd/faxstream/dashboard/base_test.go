package dashboard

import (
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

// Behind a proxy that has the dashboard below a path, whether it removes the path or not, every link, image, script and form of every page
// that can be reached is below that path and there.
func TestTheDashboardBelowAPath(t *testing.T) {
	for _, removes := range []bool{false, true} {
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
				if removes {
					p.Out.URL.Path = strings.TrimPrefix(p.Out.URL.Path, "/fax")
				}
			}}
			to.ServeHTTP(w, r)
		}))
		t.Cleanup(proxy.Close)
		seen := map[string]bool{}
		crawl(t, proxy.URL, "/fax/", seen)
		for _, want := range []string{"/fax/fax/abc", "/fax/letters", "/fax/api/v1/faxes/abc/document.pdf", "/fax/assets/live.js"} {
			if !seen[want] {
				t.Errorf("removes %t: nothing leads to %s: %v", removes, want, seen)
			}
		}
		if len(elsewhere) > 0 {
			t.Errorf("removes %t: requests beside the path: %v", removes, elsewhere)
		}
	}
}

var (
	targets = regexp.MustCompile(` (?:href|src)="([^"#]+)[^"]*"`)
	sends   = regexp.MustCompile(` (?:action|formaction|hx-sse:connect)="([^"]+)"`)
)

// crawl gets a page, and what its links lead to on the same server.
func crawl(t *testing.T, server, path string, seen map[string]bool) {
	t.Helper()
	u, err := url.Parse(server + path)
	if err != nil {
		t.Fatal(err)
	}
	if seen[u.Path] || len(seen) > 200 {
		return
	}
	seen[u.Path] = true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
	}
	for _, m := range sends.FindAllSubmatch(body, -1) {
		if to := string(m[1]); strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/fax/") {
			t.Errorf("%s sends to %s", path, to)
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
