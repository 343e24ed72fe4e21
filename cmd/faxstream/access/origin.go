package access

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// loopbackOnly refuses requests whose Host is not this machine. Without it any web page could read faxes through a
// visitor's browser, by letting its own name resolve to 127.0.0.1 (DNS rebinding). It refuses too what another site's page
// asks for by itself, as an image or by a script: the page could not read the answer, but FAX_AUDIT would have reads that nobody made.
// And it refuses what a proxy on this machine hands on: that comes from anywhere, with the proxy's address and often with its Host.
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopbackHost(r.Host):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "forbidden_host", "this listener answers only as localhost or a loopback address"))
		case proxied(r):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "proxied", "this listener has no login, so it answers nobody behind a proxy: give --admin-tokens"))
		case embedded(r):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "cross_origin", "a page of another origin may lead here, but show nothing from here"))
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// proxied reports whether a request says that a proxy handed it on.
func proxied(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}, func(name string) bool {
		return len(r.Header.Values(name)) > 0
	})
}

// embedded reports whether a browser asks for a part of another origin's page, rather than for a page that a person goes to (Fetch
// Metadata: browsers send it to loopback addresses without TLS too, programs do not).
func embedded(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	foreign := site == "cross-site" || site == "same-site"
	return foreign && (r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document")
}

// loopbackHost reports whether a Host header, with or without port, names this machine: localhost in any case of
// letters, with or without the root's dot, or a loopback address, an IPv6 one in brackets (RFC 3986, 3.2.2).
func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil { // no port
		host = hostport
		if bare, ok := strings.CutPrefix(host, "["); ok {
			if host, ok = strings.CutSuffix(bare, "]"); !ok {
				return false
			}
		}
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// sameOrigin refuses requests that change something and come from a page of another origin: a browser says so by
// Sec-Fetch-Site or Origin, and without this any page could send them. Programs send neither and are let through.
func sameOrigin(h http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.WriteError(w, api.Errorf(http.StatusForbidden, "cross_origin", "a page of another origin may not change anything here"))
	}))
	return p.Handler(h)
}
