package ingest_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/ingest"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
)

// door is a handler and what it tells people.
type door struct {
	*sender
	*ingest.Handler
}

func newDoor(t *testing.T, change func(*ingest.Config)) door {
	t.Helper()
	s := newSender(t, change)
	return door{s, s.handler.(*ingest.Handler)}
}

// from is a webhook with the right secret from another address.
func from(peer string, forwarded ...string) *http.Request {
	r := request(faxplustest.ClosedEvent(fax(), target))
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestWhoIsRefusedIsToldWhichFlagHelps(t *testing.T) {
	const provider2 = "34.65.253.117,34.65.146.131"
	for name, row := range map[string]struct {
		peer      string
		forwarded []string
		address   string
		want      string
	}{
		"a proxy that is not named": {
			"10.0.0.5:1",
			[]string{"34.65.253.117"},
			"10.0.0.5",
			"set --trusted-proxies 192.168.7.0/24,10.0.0.5",
		},
		"so, over IPv6": {
			"[fd00::5%eth0]:1",
			[]string{"34.65.253.117"},
			"fd00::5",
			"set --trusted-proxies 192.168.7.0/24,fd00::5",
		},
		"a proxy, and the sender has a new address": {
			"10.0.0.5:1",
			[]string{"203.0.113.9"},
			"10.0.0.5",
			"--allow-from " + provider2 + ",203.0.113.9",
		},
		"a proxy that does not say for whom": {
			"172.17.0.1:1", nil, "172.17.0.1",
			"X-Forwarded-For and set --trusted-proxies 192.168.7.0/24,172.17.0.1",
		},
		"a named proxy that does not say for whom": {"192.168.7.1:1", nil, "192.168.7.1", "let it set the header X-Forwarded-For"},
		"a named proxy with nonsense":              {"192.168.7.1:1", []string{"unknown"}, "", "without a readable address"},
		"a named proxy with a new sender": {
			"192.168.7.1:1",
			[]string{"203.0.113.9"},
			"203.0.113.9",
			"set --allow-from " + provider2 + ",203.0.113.9",
		},
		"the provider has a new address": {
			"203.0.113.9:1", nil, "203.0.113.9",
			"set --allow-from " + provider2 + ",203.0.113.9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, func(c *ingest.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")} })
			if status, code := d.send(from(row.peer, row.forwarded...)); status != 403 || code != "forbidden_source" {
				t.Fatalf("HTTP %d %s", status, code)
			}
			got := d.Refused()
			if len(got) != 1 || got[0].Address != row.address || !got[0].RightPath || got[0].Count != 1 ||
				!strings.Contains(got[0].Advice, row.want) {
				t.Errorf("refused: %+v", got)
			}
			if w := strings.Join(d.Warnings(), "\n"); !strings.Contains(w, row.want) || !strings.Contains(w, row.address) {
				t.Errorf("warnings: %s", w)
			}
			if log := d.log.String(); !strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, secret) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// Strangers must neither fill the log, nor turn readiness yellow, nor push webhooks out of the list.
func TestStrangersAreOnlyListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		d.send(from("10.0.0.5:1"))
		for i := range 300 {
			time.Sleep(time.Minute)
			r := from(fmt.Sprintf("203.0.113.%d:1", i%256))
			r.URL.Path = "/v1/faxplus/guess"
			d.send(r)
		}
		got := d.Refused()
		if len(got) != 16 || got[15].Address != "10.0.0.5" || got[0].Address != "203.0.113.43" || got[0].RightPath {
			t.Errorf("%d refused: %+v", len(got), got)
		}
		if n := strings.Count(d.log.String(), `"level":"WARN"`); n != 1 {
			t.Errorf("%d warnings in the log", n)
		}
		if w := d.Warnings(); len(w) != 1 || !strings.Contains(w[0], "10.0.0.5") {
			t.Errorf("warnings: %q", w)
		}
	})
}

func TestRefusedWebhooksWarnUntilOthersComeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		for range 600 { // ten minutes
			d.send(from("10.0.0.5:1"))
			time.Sleep(time.Second)
		}
		if n := strings.Count(d.log.String(), `"level":"WARN"`); n != 10 {
			t.Errorf("%d warnings in the log in 10 minutes", n)
		}
		time.Sleep(24 * time.Hour)
		if w := d.Warnings(); len(w) != 1 || !strings.Contains(w[0], "600 webhooks from 10.0.0.5") {
			t.Errorf("no webhook came in for a day: %q", w)
		}
		d.send(request(faxplustest.ClosedEvent(fax(), target)))
		if w := d.Warnings(); len(w) != 0 {
			t.Errorf("they come in again: %q", w)
		}
		d.send(from("10.0.0.5:1"))
		d.send(request(faxplustest.ClosedEvent(fax(), target)))
		if w := d.Warnings(); len(w) != 1 {
			t.Errorf("some come in and some do not: %q", w)
		}
		time.Sleep(time.Hour)
		if w := d.Warnings(); len(w) != 0 {
			t.Errorf("an hour later: %q", w)
		}
	})
}
