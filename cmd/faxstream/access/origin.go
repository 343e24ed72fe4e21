package access

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// LoopbackOnly is the guard of a listener without tokens. It refuses three kinds of requests:
//   - Host is not this machine: otherwise any web page could read faxes through a visitor's browser, if its own name resolves to
//     127.0.0.1 (DNS rebinding);
//   - a page of another site asks by itself, for an image or by a script: the page cannot read the answer, but FAX_AUDIT would have reads
//     that nobody made;
//   - a proxy on this machine passes a request on: it may come from anywhere, with the proxy's address and often with its Host.
func LoopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopbackHost(r.Host):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "forbidden_host",
				"this listener has no login, so it answers only requests to localhost or a loopback address"))
		case proxied(r):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "proxied",
				"this listener has no login, so it refuses requests that a proxy passes on: --admin-tokens gives the admin listener a login"))
		case embedded(r):
			api.WriteError(w, api.Errorf(http.StatusForbidden, "cross_origin",
				"a page of another origin may link to this server, but may not show anything from it"))
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// proxied reports whether a request says that a proxy passed it on.
func proxied(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}, func(name string) bool {
		return len(r.Header.Values(name)) > 0
	})
}

// embedded reports whether a browser asks for a part of another origin's page, and not for a page that a person opens (Fetch Metadata:
// browsers send it to loopback addresses without TLS too, programs do not send it).
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

// sameOrigin refuses requests that change something and come from a page of another origin: a browser says so in Sec-Fetch-Site or Origin.
// Without this any page could send them. Programs send neither header and are let through.
func sameOrigin(h http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.WriteError(w, api.Errorf(http.StatusForbidden, "cross_origin", "a page of another origin may not change anything on this server"))
	}))
	return p.Handler(h)
}
