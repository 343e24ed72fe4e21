package access

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestEveryWayToWriteThisMachineIsAccepted(t *testing.T) {
	h := LoopbackOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
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

// A page of another site may lead a person here, but makes no request by itself that would count as that person's.
func TestAForeignPageShowsNothingFromHere(t *testing.T) {
	h := LoopbackOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, c := range []struct {
		site, mode, dest string
		want             int
	}{
		{"", "", "", 200}, // a program
		{"none", "navigate", "document", 200},
		{"same-origin", "no-cors", "image", 200},
		{"cross-site", "navigate", "document", 200},
		{"cross-site", "navigate", "iframe", 403},
		{"cross-site", "no-cors", "image", 403},
		{"cross-site", "cors", "empty", 403},
		{"same-site", "no-cors", "image", 403}, // another port of this machine
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/api/v1/faxes/abc/pages/1.thumbnail.png", nil)
		for name, v := range map[string]string{"Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest} {
			if v != "" {
				r.Header.Set(name, v)
			}
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}

// A proxy on this machine that forgets the login opens nothing to the world.
func TestNobodyGetsInThroughAProxyWithoutALogin(t *testing.T) {
	h := LoopbackOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Real-IP", "Via"} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8081/api/v1/faxes", nil)
		r.Header.Set(name, "192.0.2.1")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("with %s: %d", name, w.Code)
		}
	}
}
