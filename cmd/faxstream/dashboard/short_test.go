package dashboard

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

// ask gives an answer without following redirects.
func ask(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestAnEmptySessionIsAnError(t *testing.T) {
	srv := newServer(t, twoFaxes())
	for _, path := range []string{
		"/api/v1/faxes//document.pdf", "/api/v1/faxes//pages/1.tiff", "/api/v1/faxes//keep", "/api/v1/faxes/", "/fax/", "//",
		"/api/v1/faxes/../faxes/abc", "/api/v1/faxes/./document.pdf", "/api/v1/faxes/%2e%2e/document.pdf", "/api/v1//faxes",
	} {
		if status, body := ask(t, srv.URL+path); status != http.StatusBadRequest || !strings.Contains(body, `"code":"bad_request"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for path, want := range map[string]int{
		"/": 200, "/api/v1/faxes": 200, "/api/v1/faxes/abc": 200, "/fax/abc": 200, "/api/v1/faxes/abc/": 404, "/api/v1/faxes/a%2Fb": 400,
	} {
		if status, body := ask(t, srv.URL+path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestAShortIDStandsForTheOnlyFaxThatBeginsSo(t *testing.T) {
	on := func(ids ...string) (states []session.State) {
		for _, id := range ids {
			st := fax(1, "+1 111", session.StatusComplete)
			st.Session = id
			states = append(states, st)
		}
		return states
	}
	shelf := &shelf{faxes: map[string]session.State{}}
	for _, st := range on("board-only-1", "old-fax-1111", "twice-there-1", "twice-there-2x", "both-here-1", "both-here") {
		shelf.faxes[st.Session] = st
	}
	srv := library(t, on("board-only-1", "twice-there-2x", "twice-there-3", "both-here-1"), shelf)
	for id, want := range map[string]string{
		"old-fax-1111": "old-fax-1111", "old-fax-": "old-fax-1111", "old-fax-11": "old-fax-1111", "both-here": "both-here",
		"twice-there-1": "twice-there-1", "old-fax": "", "old-fax-2": "", "OLD-FAX-": "",
	} {
		status, body := ask(t, srv.URL+"/api/v1/faxes/"+id)
		if want == "" && status != http.StatusNotFound || want != "" && (status != 200 || !strings.Contains(body, `"session":"`+want+`"`)) {
			t.Errorf("%s: %d %s; want %q", id, status, body, want)
		}
	}
	for _, path := range []string{
		"/api/v1/faxes/twice-there", "/api/v1/faxes/twice-there/document.pdf", "/fax/twice-there", "/api/v1/dlq?session=twice-there",
	} {
		status, body := ask(t, srv.URL+path)
		named := strings.Contains(body, "twice-there-1, twice-there-2x, twice-there-3")
		if status != http.StatusBadRequest || !strings.Contains(body, `"code":"ambiguous"`) || !named {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	shelf.err = errors.New("no archive")
	if status, _ := ask(t, srv.URL+"/api/v1/faxes/board-on"); status != http.StatusServiceUnavailable {
		t.Errorf("the archive may have another fax that begins so: %d", status)
	}
}

// What a short id does is recorded under the whole one.
func TestAReadByAShortIDIsRecordedUnderTheWholeOne(t *testing.T) {
	const id = "abcdefgh-1234"
	d := newListener(t, func(c *Config) {
		st := twoFaxes()
		whole := st.states["abc"]
		whole.Session = id
		st.states[id] = whole
		c.Board.put(whole)
		c.Ledgers = st
	})
	if code, body := d.Ask("reader", "GET", "/api/v1/faxes/"+id[:session.MinShortID]+"/document.pdf", ""); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if len(d.recorded) != 1 || d.recorded[0].Session != id {
		t.Errorf("recorded: %+v", d.recorded)
	}
}
