package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A thumbnail that could not be made must not be kept as if it had been: the next request would be answered 304.
func TestAThumbnailThatFailedHasNoETag(t *testing.T) {
	faxes := twoFaxes()
	get := func(t *testing.T, srv *httptest.Server) *http.Response {
		resp, err := http.Get(srv.URL + "/api/v1/faxes/abc/pages/1.thumbnail.png")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if resp := get(t, newServer(t, faxes)); resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == "" {
		t.Errorf("a thumbnail: %s, ETag %q", resp.Status, resp.Header.Get("ETag"))
	}
	lost := faxes.facts[1]
	lost.Original.Key = "gone"
	faxes.facts[1] = lost
	if resp := get(t, newServer(t, faxes)); resp.StatusCode != http.StatusBadGateway || resp.Header.Get("ETag") != "" {
		t.Errorf("of an original that is gone: %s, ETag %q", resp.Status, resp.Header.Get("ETag"))
	}
}
