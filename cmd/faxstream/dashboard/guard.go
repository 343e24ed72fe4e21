package dashboard

import (
	"net"
	"net/http"
	"net/netip"
)

// loopbackOnly refuses requests whose Host is not this machine. Without it any web page could read faxes through a
// visitor's browser, by letting its own name resolve to 127.0.0.1 (DNS rebinding).
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			writeError(w, &apiError{http.StatusForbidden, "forbidden_host", "this listener answers only as localhost or a loopback address"})
			return
		}
		h.ServeHTTP(w, r)
	})
}
