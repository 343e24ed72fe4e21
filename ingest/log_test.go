package ingest_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"

	"github.com/faxstream/faxstream/ingest"
)

// Anybody can send as many requests as he likes; they must not push what matters out of the log.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := newSender(t, func(cfg *ingest.Config) {
		cfg.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	levels := func(r *http.Request) string {
		s.log.Reset()
		s.send(r)
		var line struct{ Level string }
		if err := json.Unmarshal(s.log.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, s.log)
		}
		return line.Level
	}
	foreign, guessed, own := request([]byte("{")), request([]byte("{")), request([]byte("{"))
	guessed.RemoteAddr, guessed.URL.Path = "192.0.2.1:1", "/v1/faxplus/guessed"
	foreign.URL.Path = guessed.URL.Path
	own.RemoteAddr = "192.0.2.1:1"
	if f, g, o := levels(foreign), levels(guessed), levels(own); f != "DEBUG" || g != "DEBUG" || o != "WARN" {
		t.Errorf("a foreign address is logged as %s, a wrong path as %s, the provider's bad body as %s", f, g, o)
	}
	if s.counter("forbidden_source") != 1 || s.counter("not_found") != 1 {
		t.Error("they are not counted")
	}
}
