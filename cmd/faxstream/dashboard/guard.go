package dashboard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// loopbackOnly refuses requests whose Host is not this machine. Without it any web page could read faxes through a
// visitor's browser, by letting its own name resolve to 127.0.0.1 (DNS rebinding).
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			writeError(w, &apiError{http.StatusForbidden, "forbidden_host", "this listener answers only as localhost or a loopback address"})
			return
		}
		h.ServeHTTP(w, r)
	})
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
		writeError(w, &apiError{http.StatusForbidden, "cross_origin", "a page of another origin may not change anything here"})
	}))
	return p.Handler(h)
}
