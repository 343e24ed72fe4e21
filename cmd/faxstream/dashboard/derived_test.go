package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// copyist carries out orders of derived documents at once.
type copyist struct {
	stores
	listed  session.ManifestPages
	err     error
	made    []session.Derived
	ordered []session.Action
}

func (s *copyist) Documents(context.Context, string) ([]session.Derived, error) {
	return slices.Clone(s.made), nil
}

func (s *copyist) Pages(context.Context, session.Object) (session.ManifestPages, error) {
	return s.listed, s.err
}

func (s *copyist) Act(_ context.Context, a session.Action) (uint64, error) {
	s.ordered = append(s.ordered, a)
	n := len(s.ordered)
	object := func(ext string) session.Object {
		return session.Object{Key: fmt.Sprintf("faxes/abc/r1/derived.%d.%s", n, ext), Size: 1, SHA256: strings.Repeat(fmt.Sprint(n%10), 64)}
	}
	s.made = append(s.made, session.Derived{
		By: a.By, Asked: fmt.Sprintf("a%d-%d", n, time.Now().UnixNano()),
		DocDerived: session.DocDerived{
			Session: a.Session, Derivation: *a.Derive, TIFF: object("tiff"), PDF: object("pdf"), Record: object("json"), At: time.Now(),
		},
	})
	return uint64(n), nil
}

func newCopyist() *copyist {
	return &copyist{stores: twoFaxes(), listed: session.ManifestPages{
		Usable: session.Span(1, 6), Missing: session.Span(7, 7), Blank: session.Span(4, 5),
	}}
}

func (s *copyist) config(c *Config) {
	c.Letters, c.Derived = s, s
}

// Each list of pages becomes a document, with the turns of its own pages; what cannot be made is refused before anything is ordered.
func TestDeriveOrders(t *testing.T) {
	for _, c := range []struct {
		who, body string
		status    int
		says      string
		want      []string // the documents that are ordered
	}{
		{"worker", `{"by":"x"}`, 200, `"done":true`, []string{"pages 1-7"}},
		{"worker", `{"documents":["1-3","5-"],"turn_90":"2,6","skip_blank":true}`, 200, "turned right", []string{
			"pages 1-3 (page 2 turned right)", "pages 6-7 (page 6 turned right)",
		}},
		{"worker", `{"documents":["4-5"]}`, 200, `"id":"1111111111111111"`, []string{"pages 4-5"}},
		{"worker", `{"documents":["4-5"],"skip_blank":true}`, 400, "none of its pages", nil},
		{"worker", `{"documents":["7"]}`, 400, "none of its pages", nil},
		{"worker", `{"documents":["8"]}`, 400, "from 1 to 7", nil},
		{"worker", `{"documents":["../x"]}`, 400, "want numbers", nil},
		{"worker", `{"documents":["1-3"],"turn_90":"5"}`, 400, "page 5 to turn: in none", nil},
		{"worker", `{"turn_90":"1","turn_180":"1"}`, 400, "twice", nil},
		{"worker", `{"documents":[` + strings.TrimSuffix(strings.Repeat(`"1",`, 51), ",") + `]}`, 400, "at most 50", nil},
		{"reader", `{}`, 403, "work", nil},
		{"", `{}`, 401, "token", nil},
	} {
		s := newCopyist()
		d := newListener(t, s.config)
		status, body := d.Ask(c.who, "POST", "/api/v1/faxes/abc/derived", c.body)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s as %q: %d %s, want %d with %q", c.body, c.who, status, body, c.status, c.says)
		}
		var got []string
		for _, a := range s.ordered {
			if got = append(got, a.Derive.Text()); a.By != "worker" || a.Kind != session.ActionDerived {
				t.Errorf("the order is %+v, want the name of the token", a)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s orders %q, want %q", c.body, got, c.want)
		}
	}
}

// What is not there is 404, a manifest that is gone says so, and a revision that has all that it may have gets no more.
func TestDeriveRefusesWhatCannotBe(t *testing.T) {
	s := newCopyist()
	d := newListener(t, s.config)
	status, body := d.Ask("worker", "POST", "/api/v1/faxes/later/derived", `{}`)
	if status != 404 || !strings.Contains(body, "no document yet") {
		t.Errorf("a fax without a document: %d %s", status, body)
	}
	s.err = fs.ErrNotExist
	if status, body := d.Ask("worker", "POST", "/api/v1/faxes/abc/derived", `{}`); status != 502 || !strings.Contains(body, "object_gone") {
		t.Errorf("without its manifest: %d %s", status, body)
	}
	s.err = nil
	status, body = d.Ask("worker", "POST", "/api/v1/faxes/abc/derived", `{"documents":["1","1","1-1"]}`)
	if status != 200 || len(s.ordered) != 1 {
		t.Errorf("the same document three times: %d %s, %d orders", status, body, len(s.ordered))
	}
	if status, body := d.Ask("worker", "POST", "/api/v1/faxes/abc/derived", `{"documents":["1"]}`); status != 200 || len(s.ordered) != 1 {
		t.Errorf("once more: %d %s, %d orders", status, body, len(s.ordered))
	}
	s.ordered = nil
	revision := s.states["abc"].Document.Revision
	s.made = make([]session.Derived, session.MaxDerived)
	for i := range s.made {
		s.made[i].Revision = revision
	}
	if status, body := d.Ask("worker", "POST", "/api/v1/faxes/abc/derived", `{}`); status != 409 || !strings.Contains(body, "full") {
		t.Errorf("one too many: %d %s", status, body)
	}
	if len(s.ordered) > 0 {
		t.Errorf("%d orders", len(s.ordered))
	}
}

// The form of the fax's page makes a document of each line, and the page lists them; a reader has no form.
func TestDeriveOnTheFaxPage(t *testing.T) {
	s := newCopyist()
	d := newListener(t, s.config)
	if status, body := d.send("worker", "/fax/abc/derive", url.Values{"documents": {"1-2\r\n\r\n3\r\n"}, "left": {"3"}}); status != 303 {
		t.Fatalf("%d %s", status, body)
	}
	_, page := d.Ask("worker", "GET", "/fax/abc", "")
	for _, want := range []string{
		"pages 1-2 of revision", "page 3 (page 3 turned left)", "/derived/2222222222222222.pdf", `action="/fax/abc/derive"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); strings.Contains(page, "/fax/abc/derive\"") || !strings.Contains(page, "pages 1-2") {
		t.Error("a reader sees the form, or not the documents")
	}
	status, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/derived", "")
	var l struct {
		Documents []struct{ ID, Text, By string }
	}
	if err := json.Unmarshal([]byte(body), &l); err != nil || status != 200 || len(l.Documents) != 2 || l.Documents[0].By != "worker" {
		t.Errorf("%d %s, %v", status, body, err)
	}
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); !strings.Contains(page, `<option value="1111111111111111">pages 1-2 of revision`) {
		t.Errorf("no link to a derived document can be made: %s", page)
	}
	for order, want := range map[string]int{
		`{"derived":"1111111111111111","as":"pdf","ttl":"1h"}`:          200,
		`{"derived":"1111111111111111","as":"json","ttl":"1h"}`:         200,
		`{"derived":"1111111111111111","as":"png","ttl":"1h"}`:          400,
		`{"derived":"3333333333333333","as":"pdf","ttl":"1h"}`:          404,
		`{"derived":"1111111111111111","as":"pdf","page":1,"ttl":"1h"}`: 400,
	} {
		status, body := d.Ask("reader", "POST", "/api/v1/faxes/abc/links", order)
		var link struct{ URL string }
		if err := json.Unmarshal([]byte(body), &link); err != nil || status != want || (link.URL != "") != (want == 200) {
			t.Errorf("link to %s: %d %s, want %d", order, status, body, want)
		}
		if want != 200 {
			continue
		}
		if status, body := d.Ask("", "GET", strings.TrimPrefix(link.URL, d.URL), ""); status != 200 || !strings.Contains(body, "derived.1.") {
			t.Errorf("the link of %s: %d %s", order, status, body)
		}
	}
	for path, want := range map[string]int{
		"1111111111111111.pdf": 200,
		"1111111111111111.exe": 400, "3333333333333333.pdf": 404, "1111111111111111": 400, "..%2f1.pdf": 400,
	} {
		if status, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/derived/"+path, ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}
