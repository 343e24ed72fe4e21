package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestEveryWayToWriteThisMachineIsAccepted(t *testing.T) {
	h := loopbackOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST": 200, "LocalHost:8081": 200, "localhost.": 200, "localhost.:8081": 200,
		"127.0.0.1": 200, "127.9.9.9:80": 200, "[::1]": 200, "[::1]:8081": 200, "::1": 200, "[::ffff:127.0.0.1]": 200,
		"": 403, ".": 403, "[": 403, "[]": 403, "[::1": 403, "::1]": 403, "[localhost.evil]": 403,
		"localhost.evil.example": 403, "evil.localhost": 403, "localhost..": 403, "192.0.2.1": 403, "[2001:db8::1]": 403,
		"127.0.0.1.evil.example": 403, "evil.example": 403, "localhost@evil.example": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}
