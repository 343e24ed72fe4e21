package dashboard

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

// madeForm is a form that knows whether it was closed.
type madeForm struct {
	*strings.Reader
	open *int
}

func (f madeForm) Close() error { *f.open--; return nil }

// The form for fax machines is made when somebody asks, and has headers and records as other documents have.
func TestFaxFormIsServedLikeADocument(t *testing.T) {
	open, fail := 0, error(nil)
	var asked []string
	d := newListener(t, func(c *Config) {
		s := twoFaxes()
		s.states["abc"].Document.TIFF = &session.Object{Key: "a.tiff", SHA256: "00aa"}
		c.Ledgers, c.Archive = s, s
		c.FaxForm = func(_ context.Context, m session.Object) (io.ReadSeekCloser, string, error) {
			asked = append(asked, m.Key)
			if fail != nil {
				return nil, "", fail
			}
			open++
			return madeForm{strings.NewReader("content of a form"), &open}, "00ff", nil
		}
	})
	const path = "/api/v1/faxes/abc/document.fax.tiff"
	var got http.Header
	req, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.Secrets["reader"])
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got = resp.Header
	if got.Get("ETag") != `"00ff"` || got.Get("Content-Type") != "image/tiff" ||
		!strings.Contains(got.Get("Content-Disposition"), "abc-document.fax.tiff") ||
		got.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("headers %v", got)
	}
	want := session.Access{Kind: session.AccessFaxForm, By: "reader", Login: true, Address: "127.0.0.1", Session: "abc", Object: "a.tiff"}
	if len(d.recorded) != 1 || d.recorded[0] != want || asked[0] != "gone" {
		t.Errorf("recorded %+v, made from %q, want %+v from the manifest", d.recorded, asked, want)
	}
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	if code, body := d.Ask("reader", "GET", path, "", with("Range", "bytes=0-6")); code != 206 || body != "content" {
		t.Errorf("a range: %d %q", code, body)
	}
	before := len(d.recorded)
	if code, _ := d.Ask("reader", "GET", path, "", with("If-None-Match", `"00ff"`)); code != 304 || len(d.recorded) != before {
		t.Errorf("for who has it: %d, %d more records", code, len(d.recorded)-before)
	}
	for err, code := range map[error]int{fs.ErrNotExist: 502, errors.New("the archive is down"): 503} {
		fail = err
		if got, body := d.Ask("reader", "GET", path, ""); got != code || strings.Contains(body, "down") {
			t.Errorf("%v: %d %s, want %d", err, got, body, code)
		}
	}
	fail, d.refuse = nil, errors.New("FAX_AUDIT is full")
	if code, body := d.Ask("reader", "GET", path, ""); code != 503 || strings.Contains(body, "content") {
		t.Errorf("a read that cannot be recorded: %d %s", code, body)
	}
	if open != 0 {
		t.Errorf("%d forms are not deleted", open)
	}
	for path, says := range map[string]string{
		"/api/v1/faxes/later/document.fax.tiff": "no document yet", "/api/v1/faxes/none/document.fax.tiff": "no fax",
	} {
		if code, body := d.Ask("reader", "GET", path, ""); code != 404 || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// A document without a usable page has no form, and a server without a maker none at all.
func TestNoFaxForm(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.FaxForm = func(context.Context, session.Object) (io.ReadSeekCloser, string, error) { panic("nothing to make") }
	})
	if code, body := d.Ask("reader", "GET", "/api/v1/faxes/abc/document.fax.tiff", ""); code != 404 ||
		!strings.Contains(body, "no page of it is usable") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := newListener(t, nil).Ask("reader", "GET", "/api/v1/faxes/abc/document.fax.tiff", ""); code != 404 {
		t.Errorf("%d %s", code, body)
	}
}
