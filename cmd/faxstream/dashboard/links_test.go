package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// makeLink orders a link as the reader and gives its path.
func (d *listener) makeLink(t *testing.T, order string) string {
	t.Helper()
	code, body := d.Ask("reader", "POST", "/api/v1/faxes/abc/links", order)
	var l api.Link
	if err := json.Unmarshal([]byte(body), &l); err != nil || code != 200 || !strings.HasPrefix(l.URL, d.URL+"/links/") {
		t.Fatalf("%d %s, %v", code, body, err)
	}
	return strings.TrimPrefix(l.URL, d.URL)
}

// A link gives what it was made for to whoever holds it, with ranges, and both its making and its use are recorded.
func TestALinkNeedsNoLogin(t *testing.T) {
	d := newListener(t, nil)
	for order, want := range map[string]string{
		`{"as":"pdf","ttl":"10m","by":"ignored","why":"a patient asked"}`: "content of a.pdf",
		`{"as":"png","page":1,"ttl":"168h"}`:                              "content of p.png",
		`{"as":"original","page":1,"ttl":"1s"}`:                           "content of p.tiff",
	} {
		path := d.makeLink(t, order)
		d.recorded = d.recorded[len(d.recorded)-1:]
		if code, body := d.Ask("", "GET", path, ""); code != 200 || body != want {
			t.Errorf("%s: %d %s, want %s", order, code, body, want)
		}
		if len(d.recorded) != 2 || d.recorded[0].Kind != session.AccessLink || d.recorded[0].By != "reader" || d.recorded[0].Until.IsZero() ||
			d.recorded[1].Kind != session.AccessLinkUsed || d.recorded[1].By != "link of reader" || d.recorded[1].Object == "" {
			t.Errorf("%s: recorded %+v", order, d.recorded)
		}
	}
	path := d.makeLink(t, `{"as":"pdf","ttl":"10m","why":"a patient asked"}`)
	if why := d.recorded[len(d.recorded)-1].Why; why != "a patient asked" {
		t.Errorf("why: %q", why)
	}
	begin := func(r *http.Request) { r.Header.Set("Range", "bytes=0-6") }
	if code, body := d.Ask("", "GET", path, "", begin); code != 206 || body != "content" {
		t.Errorf("a range: %d %q", code, body)
	}
	d.refuse = errors.New("no room")
	if code, body := d.Ask("", "GET", path, ""); code != 503 || strings.Contains(body, "content") {
		t.Errorf("a use that cannot be recorded: %d %q", code, body)
	}
	if code, _ := d.Ask("reader", "POST", "/api/v1/faxes/abc/links", `{"as":"pdf","ttl":"10m"}`); code != 503 {
		t.Errorf("a link whose making cannot be recorded: %d", code)
	}
}

func TestLinksThatCannotBeMade(t *testing.T) {
	d := newListener(t, nil)
	for order, want := range map[string]int{
		`{"as":"pdf","ttl":"169h"}`: 400, `{"as":"pdf","ttl":"0s"}`: 400, `{"as":"pdf","ttl":"-1h"}`: 400, `{"as":"pdf"}`: 400,
		`{"as":"docx","ttl":"1m"}`: 400, `{"as":"pdf","page":1,"ttl":"1m"}`: 400, `{"as":"png","page":-1,"ttl":"1m"}`: 400,
		`{"as":"png","page":2,"ttl":"1m"}`: 404, `{"as":"tiff","ttl":"1m"}`: 404,
	} {
		if code, body := d.Ask("reader", "POST", "/api/v1/faxes/abc/links", order); code != want {
			t.Errorf("%s: %d %s, want %d", order, code, body, want)
		}
	}
}

// A link is as good as the token that made it: who is removed reads on by none.
func TestALinkEndsWithItsMakersToken(t *testing.T) {
	d := newListener(t, nil)
	path := d.makeLink(t, `{"as":"pdf","ttl":"10m"}`)
	for _, c := range []struct {
		name   string
		scopes []access.Scope
		want   int
	}{
		{"reader", []access.Scope{access.ScopeOperate}, 410},
		{"other", []access.Scope{access.ScopeRead}, 410},
		{"reader", []access.Scope{access.ScopeRead}, 200},
	} {
		_, line, err := access.NewToken(c.name, c.scopes)
		if err != nil {
			t.Fatal(err)
		}
		d.SetTokens(line)
		if code, body := d.Ask("", "GET", path, ""); code != c.want || c.want != 200 && strings.Contains(body, "content") {
			t.Errorf("with the token %q: %d %s, want %d", line[:14], code, body, c.want)
		}
	}
	d.SetTokens("garbage")
	if code, _ := d.Ask("", "GET", path, ""); code != 503 {
		t.Errorf("while the tokens cannot be read: %d", code)
	}
}

// Whoever reads the log gets no link from it, and no link has room for more than a sentence in FAX_AUDIT.
func TestALinkStandsInNoLog(t *testing.T) {
	broken := false
	d := newListenerWith(t, func(c *access.Config) {
		key := c.LinkKey
		c.LinkKey = func() ([]byte, error) {
			if broken {
				return nil, errors.New("permission denied")
			}
			return key()
		}
	}, nil)
	path := d.makeLink(t, `{"as":"pdf","ttl":"10m","why":"`+strings.Repeat("x", 1000)+`"}`)
	if a := d.recorded[0]; len(a.Why) != maxStated {
		t.Errorf("%d bytes say why", len(a.Why))
	}
	broken = true
	if code, _ := d.Ask("", "GET", path, ""); code != 503 {
		t.Errorf("without the key: %d", code)
	}
	if log := d.Log.String(); !strings.Contains(log, "permission denied") || strings.Contains(log, strings.TrimPrefix(path, "/links/")) {
		t.Errorf("log:\n%s", log)
	}
}

// A link that is altered or expired gives nothing, says which, and stands in no log.
func TestABadLinkGivesNothing(t *testing.T) {
	d := newListener(t, nil)
	good := d.makeLink(t, `{"as":"pdf","ttl":"10m"}`)
	for path, says := range map[string]string{good[:len(good)-4]: "bad_link", "/links/x": "bad_link"} {
		if code, body := d.Ask("", "GET", path, ""); code != 403 || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if d.Refused["link"] != 2 || strings.Contains(d.Log.String(), "/links/") {
		t.Errorf("counted %v; log:\n%s", d.Refused, &d.Log)
	}
}

// The form of the fax's page gives a link that works without a login, and is recorded; what is refused is refused here too.
func TestALinkFromTheScreen(t *testing.T) {
	d := newListener(t, nil)
	status, body := d.send("reader", "/fax/abc/link", url.Values{"as": {"pdf"}, "ttl": {"10m"}, "why": {"for the court"}})
	link := regexp.MustCompile(`<a id="link" href="([^"]+)"`).FindStringSubmatch(body)
	if status != http.StatusOK || link == nil {
		t.Fatalf("%d %s", status, body)
	}
	resp, err := http.Get(link[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("the link answers %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	for _, c := range []struct {
		who    string
		fields url.Values
		status int
	}{
		{"", url.Values{"as": {"pdf"}, "ttl": {"10m"}}, http.StatusUnauthorized},
		{"reader", url.Values{"as": {"pdf"}, "ttl": {"1000h"}}, http.StatusBadRequest},
		{"reader", url.Values{"as": {"exe"}, "ttl": {"10m"}}, http.StatusBadRequest},
	} {
		if status, body := d.send(c.who, "/fax/abc/link", c.fields); status != c.status {
			t.Errorf("%s %v: %d %s, want %d", c.who, c.fields, status, body, c.status)
		}
	}
}
