package s3

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// A link gives the object to whoever holds it, and nothing once it was altered or is over.
func TestLinks(t *testing.T) {
	endpoint, access, secret := storagetest.VersityGW(t)
	s := open(t, Config{Bucket: storagetest.Bucket, Prefix: "links", Endpoint: endpoint, AccessKey: access, SecretKey: secret})
	for _, key := range []string{"faxes/a/document.pdf", "faxes/b/document.pdf"} {
		if err := create(t.Context(), s, key, []byte("content of "+key)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(ttl time.Duration) string {
		t.Helper()
		u, err := s.Link(t.Context(), "faxes/a/document.pdf", ttl, "a-document.pdf", "application/pdf")
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	good := link(time.Minute)
	resp, body := get(t, good)
	if resp.StatusCode != http.StatusOK || body != "content of faxes/a/document.pdf" ||
		resp.Header.Get("Content-Type") != "application/pdf" || resp.Header.Get("Content-Disposition") != `inline; filename="a-document.pdf"` {
		t.Errorf("a good link: %s %v %q", resp.Status, resp.Header, body)
	}
	for what, u := range map[string]string{
		"another object": strings.Replace(good, "/a/", "/b/", 1),
		"a later end":    strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=6000", 1),
		"another name":   strings.Replace(good, "a-document.pdf", "b-document.pdf", 1),
		"another sign":   good[:len(good)-4] + "0000",
		"no sign":        good[:strings.Index(good, "&X-Amz-Signature")],
		"no query":       good[:strings.Index(good, "?")],
		"made long ago":  expired(t, s),
	} {
		if resp, body := get(t, u); resp.StatusCode < 400 || strings.Contains(body, "content of") {
			t.Errorf("%s: %s %q", what, resp.Status, body)
		}
	}
	for _, ttl := range []time.Duration{0, 7*24*time.Hour + time.Second} {
		if _, err := s.Link(t.Context(), "faxes/a/document.pdf", ttl, "x", "y"); err == nil {
			t.Errorf("a link for %s was made", ttl)
		}
	}
	if _, err := s.Link(t.Context(), "../x", time.Minute, "x", "y"); err == nil {
		t.Error("a link outside the prefix was made")
	}
}

// expired is a link that was good on 1 January 2000, when every bubble begins.
func expired(t *testing.T, s *Store) (u string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if u, err = s.Link(t.Context(), "faxes/a/document.pdf", time.Hour, "a-document.pdf", "application/pdf"); err != nil {
			t.Fatal(err)
		}
	})
	return u
}

func get(t *testing.T, u string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
