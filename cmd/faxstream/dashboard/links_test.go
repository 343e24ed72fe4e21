package dashboard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// makeLink orders a link as the reader and gives its path.
func (d *desk) makeLink(order string) string {
	d.t.Helper()
	code, body := d.ask("reader", "POST", "/api/v1/faxes/abc/links", order)
	var l Link
	if err := json.Unmarshal([]byte(body), &l); err != nil || code != 200 || !strings.HasPrefix(l.URL, d.URL+"/links/") {
		d.t.Fatalf("%d %s, %v", code, body, err)
	}
	return strings.TrimPrefix(l.URL, d.URL)
}

// A link gives what it was made for to whoever holds it, with ranges, and both its making and its use are recorded.
func TestALinkNeedsNoLogin(t *testing.T) {
	d := newDesk(t, nil)
	for order, want := range map[string]string{
		`{"as":"pdf","ttl":"10m","by":"ignored","why":"a patient asked"}`: "content of a.pdf",
		`{"as":"png","page":1,"ttl":"168h"}`:                              "content of p.png",
		`{"as":"original","page":1,"ttl":"1s"}`:                           "content of p.tiff",
	} {
		path := d.makeLink(order)
		d.recorded = d.recorded[len(d.recorded)-1:]
		if code, body := d.ask("", "GET", path, ""); code != 200 || body != want {
			t.Errorf("%s: %d %s, want %s", order, code, body, want)
		}
		if len(d.recorded) != 2 || d.recorded[0].Kind != session.AccessLink || d.recorded[0].By != "reader" || d.recorded[0].Until.IsZero() ||
			d.recorded[1].Kind != session.AccessLinkUsed || d.recorded[1].By != "link of reader" || d.recorded[1].Object == "" {
			t.Errorf("%s: recorded %+v", order, d.recorded)
		}
	}
	path := d.makeLink(`{"as":"pdf","ttl":"10m","why":"a patient asked"}`)
	if why := d.recorded[len(d.recorded)-1].Why; why != "a patient asked" {
		t.Errorf("why: %q", why)
	}
	if code, body := d.ask("", "GET", path, "", func(r *http.Request) { r.Header.Set("Range", "bytes=0-6") }); code != 206 || body != "content" {
		t.Errorf("a range: %d %q", code, body)
	}
	d.refuse = errors.New("no room")
	if code, body := d.ask("", "GET", path, ""); code != 503 || strings.Contains(body, "content") {
		t.Errorf("a use that cannot be recorded: %d %q", code, body)
	}
	if code, _ := d.ask("reader", "POST", "/api/v1/faxes/abc/links", `{"as":"pdf","ttl":"10m"}`); code != 503 {
		t.Errorf("a link whose making cannot be recorded: %d", code)
	}
}

// Whatever is changed in a link makes it worthless, and its time makes it so by itself.
func TestAlteredAndExpiredLinksAreRefused(t *testing.T) {
	d := newDesk(t, nil)
	good := strings.TrimPrefix(d.makeLink(`{"as":"pdf","ttl":"10m"}`), "/links/")
	key, err := LinkKey(filepath.Join(filepath.Dir(d.file), "link.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openLink(key, good, time.Now().Add(9*time.Minute)); err != nil {
		t.Errorf("before its end: %v", err)
	}
	if _, err := openLink(key, good, time.Now().Add(10*time.Minute)); !errors.Is(err, errExpiredLink) {
		t.Errorf("at its end: %v", err)
	}
	for i := range good { // every character counts
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		if _, err := openLink(key, good[:i]+string(c)+good[i+1:], time.Now()); !errors.Is(err, errBadLink) {
			t.Fatalf("with its character %d changed: %v", i, err)
		}
	}
	payload, mac, _ := strings.Cut(good, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	other := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(data), "a.pdf", "b.pdf", 1)))
	expired, err := linkPayload{Session: "abc", Key: "a.pdf", Expires: time.Now().Add(-time.Second).Unix()}.seal(key)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := linkPayload{Session: "abc", Key: "a.pdf", Expires: time.Now().Add(time.Hour).Unix()}.seal(make([]byte, linkKeySize))
	if err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{
		"another object": other + "." + mac, "no signature": payload, "an empty one": payload + ".", "nothing": "x", "another key": stranger,
		"a longer signature": good + "AA",
	} {
		if code, body := d.ask("", "GET", "/links/"+link, ""); code != 403 || !strings.Contains(body, "bad_link") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if code, body := d.ask("", "GET", "/links/"+expired, ""); code != 410 || !strings.Contains(body, "expired_link") {
		t.Errorf("expired: %d %s", code, body)
	}
	if d.refused["link"] != 7 || strings.Contains(d.log.String(), "/links/") {
		t.Errorf("counted %v; log:\n%s", d.refused, &d.log)
	}
}

func TestLinksThatCannotBeMade(t *testing.T) {
	d := newDesk(t, nil)
	for order, want := range map[string]int{
		`{"as":"pdf","ttl":"169h"}`: 400, `{"as":"pdf","ttl":"0s"}`: 400, `{"as":"pdf","ttl":"-1h"}`: 400, `{"as":"pdf"}`: 400,
		`{"as":"docx","ttl":"1m"}`: 400, `{"as":"pdf","page":1,"ttl":"1m"}`: 400, `{"as":"png","page":-1,"ttl":"1m"}`: 400,
		`{"as":"png","page":2,"ttl":"1m"}`: 404, `{"as":"tiff","ttl":"1m"}`: 404,
	} {
		if code, body := d.ask("reader", "POST", "/api/v1/faxes/abc/links", order); code != want {
			t.Errorf("%s: %d %s, want %d", order, code, body, want)
		}
	}
}

// The key is made once, for its owner's eyes, and a spoilt one is not used.
func TestTheKeyOfLinks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "link.key")
	first, err := LinkKey(file)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LinkKey(file)
	if err != nil || string(first) != string(second) || len(first) != linkKeySize {
		t.Errorf("%x, then %x, %v", first, second, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".link-key-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LinkKey(file); err == nil || !strings.Contains(err.Error(), "want 32 bytes") {
		t.Errorf("a spoilt key: %v", err)
	}
}

// No link that we did not sign is looked into, whatever it is.
func FuzzOpenLink(f *testing.F) {
	key := []byte(strings.Repeat("k", linkKeySize))
	f.Add("x.y")
	f.Add(".")
	f.Fuzz(func(t *testing.T, link string) {
		if _, err := openLink(key, link, time.Unix(0, 0)); err == nil {
			t.Fatalf("%q is taken for ours", link)
		}
	})
}

// Reads are recorded before a byte leaves, and refused when they cannot be.
func TestReadsAreRecorded(t *testing.T) {
	d := newDesk(t, func(c *Config) {
		c.Thumbnail = func(context.Context, []byte) ([]byte, error) { return []byte("small content"), nil }
	})
	because := func(r *http.Request) { r.Header.Set(HeaderReason, "claim 42"); r.Header.Set(HeaderBy, "not me") }
	for _, path := range []string{"document.pdf", "pages/1.tiff", "pages/1.png"} {
		if code, body := d.ask("reader", "GET", "/api/v1/faxes/abc/"+path, "", because); code != 200 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if len(d.recorded) != 3 {
		t.Fatalf("recorded %+v", d.recorded)
	}
	want := session.Access{Kind: session.AccessRead, By: "reader", Login: true, Why: "claim 42", Address: "127.0.0.1", Session: "abc", Page: 1, Object: "p.tiff"}
	if d.recorded[1] != want {
		t.Errorf("recorded %+v, want %+v", d.recorded[1], want)
	}
	// What gives no byte is no read.
	for _, c := range []struct {
		method, path string
		change       func(*http.Request)
	}{
		{"HEAD", "/api/v1/faxes/abc/document.pdf", because},
		{"GET", "/api/v1/faxes/abc/document.pdf", func(r *http.Request) { r.Header.Set("If-None-Match", `"00ff"`) }},
		{"GET", "/api/v1/faxes/abc/manifest.json", because}, // gone
		{"GET", "/api/v1/faxes/abc", because},
	} {
		if d.ask("reader", c.method, c.path, "", c.change); len(d.recorded) != 3 {
			t.Errorf("%s %s is recorded: %+v", c.method, c.path, d.recorded[3:])
		}
	}
	stale := func(r *http.Request) { r.Header.Set("If-None-Match", `"another"`) }
	for _, path := range []string{"document.pdf", "pages/1.thumbnail.png"} {
		before := len(d.recorded)
		if code, body := d.ask("reader", "GET", "/api/v1/faxes/abc/"+path, "", stale); code != 200 || !strings.Contains(body, "content") || len(d.recorded) != before+1 {
			t.Errorf("%s for who has another: %d %s, recorded %d", path, code, body, len(d.recorded)-before)
		}
	}
	d.refuse = errors.New("FAX_AUDIT is full")
	for _, path := range []string{"document.pdf", "pages/1.png", "pages/1.thumbnail.png"} {
		if code, body := d.ask("reader", "GET", "/api/v1/faxes/abc/"+path, ""); code != 503 || strings.Contains(body, "content") || !strings.Contains(body, "FAX_AUDIT") {
			t.Errorf("a read of %s that cannot be recorded: %d %s", path, code, body)
		}
	}
}

// Without a login the caller's word counts, cut to what a line can hold.
func TestWhoReadsWithoutLogin(t *testing.T) {
	d := &desk{t: t}
	st := twoFaxes()
	h := NewHandler(Config{Board: &Board{}, Ledgers: st, Letters: st, Archive: st, Audit: d, Metrics: http.NotFoundHandler()})
	for stated, want := range map[string]string{"": "local", "alice": "alice", " a\x01b ": "ab", strings.Repeat("x", 400): strings.Repeat("x", maxStated)} {
		r := httptest.NewRequest("GET", "http://localhost/api/v1/faxes/abc/document.pdf", nil)
		r.Header.Set(HeaderBy, stated)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if a := d.recorded[len(d.recorded)-1]; w.Code != 200 || a.By != want || a.Login {
			t.Errorf("%q: %d %+v", stated, w.Code, a)
		}
	}
}

// A link is as good as the token that made it: who is removed reads on by none.
func TestALinkEndsWithItsMakersToken(t *testing.T) {
	d := newDesk(t, nil)
	path := d.makeLink(`{"as":"pdf","ttl":"10m"}`)
	for _, c := range []struct {
		name   string
		scopes []Scope
		want   int
	}{{"reader", []Scope{ScopeOperate}, 410}, {"other", []Scope{ScopeRead}, 410}, {"reader", []Scope{ScopeRead}, 200}} {
		_, line, err := NewToken(c.name, c.scopes)
		if err != nil {
			t.Fatal(err)
		}
		d.tokens(line)
		if code, body := d.ask("", "GET", path, ""); code != c.want || c.want != 200 && strings.Contains(body, "content") {
			t.Errorf("with the token %q: %d %s, want %d", line[:14], code, body, c.want)
		}
	}
	d.tokens("garbage")
	if code, _ := d.ask("", "GET", path, ""); code != 503 {
		t.Errorf("while the tokens cannot be read: %d", code)
	}
}

// Whoever reads the log gets no link from it, and no link has room for more than a sentence in FAX_AUDIT.
func TestALinkStandsInNoLog(t *testing.T) {
	broken := false
	d := newDesk(t, func(c *Config) {
		key := c.LinkKey
		c.LinkKey = func() ([]byte, error) {
			if broken {
				return nil, errors.New("permission denied")
			}
			return key()
		}
	})
	path := d.makeLink(`{"as":"pdf","ttl":"10m","why":"` + strings.Repeat("x", 1000) + `"}`)
	if a := d.recorded[0]; len(a.Why) != maxStated {
		t.Errorf("%d bytes say why", len(a.Why))
	}
	broken = true
	if code, _ := d.ask("", "GET", path, ""); code != 503 {
		t.Errorf("without the key: %d", code)
	}
	if log := d.log.String(); !strings.Contains(log, "permission denied") || strings.Contains(log, strings.TrimPrefix(path, "/links/")) {
		t.Errorf("log:\n%s", log)
	}
}
