package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/access/accesstest"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// passphrase is the password of everybody in these tests.
const passphrase = "correct horse battery"

// people are a person of each role, and temp, who works on faxes without seeing numbers.
func people(t *testing.T) func(*access.Config) {
	t.Helper()
	hash, err := access.HashPassword(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	all := []access.User{{Name: "temp", Role: access.RoleWork, Masked: true, Hash: hash}}
	for _, role := range access.Roles() {
		all = append(all, access.User{Name: "the-" + string(role), Role: role, Hash: hash})
	}
	return accesstest.People(all...)
}

// peopleDesk is the office's desk with people; a fax of it has a document, and a subscriber has events of it.
func peopleDesk(t *testing.T, change func(*Config)) *listener {
	t.Helper()
	return newListenerWith(t, people(t), func(c *Config) {
		s := fourFaxes()
		c.Ledgers, c.Letters, c.Archive = s, s, s
		c.Holds = &holdStub{stores: s}
		c.Names = map[string]string{session.NumberToken(office): "Laboratory"}
		for _, st := range s.states {
			c.Board.put(st)
		}
		c.Trail = func(context.Context, time.Time, time.Time, func(api.AuditLine) error) error { return nil }
		if change != nil {
			change(c)
		}
	})
}

// numbers are those of the faxes, in every form.
var numbers = regexp.MustCompile(`334.{0,4}304|3040000|304-0000|\+1 222|1222`)

// For whom numbers are masked nothing of faxstream's shows a number, and no filter or search tells one.
func TestMaskedPeopleSeeNoNumbers(t *testing.T) {
	asked := &search.Query{}
	d := peopleDesk(t, func(c *Config) {
		c.Search = catalogue{asked, true}
		c.Events = func(_ context.Context, _ *bus.Place, f func(bus.Stored, bus.Place) bool) error {
			f(bus.Stored{
				Subject: "fax.v1.page.archived.13343040000.mine.1",
				Data:    []byte(`{"session":"mine","page":1,"from":"+1 222","to":"1 (334) 304-0000","to_token":"13343040000"}`),
			}, bus.Place{})
			return nil
		}
	})
	temp, whole := d.LogIn("temp", passphrase), d.LogIn("the-work", passphrase)
	for _, c := range []struct {
		path  string
		shows string // a word that proves that the right thing was looked at
	}{
		{"/", "Laboratory"},
		{"/?direction=outgoing", "***0000"},
		{"/api/v1/faxes", `"to":"***0000"`},
		{"/fax/mine", "***0000"},
		{"/api/v1/faxes/mine", `"to":"***0000"`},
		{"/api/v1/faxes/sent", `"from":"***0000"`},
		{"/api/v1/events", `"to_token":"***0000"`},
		{"/fax/mine/history", "did"},
	} {
		code, body := d.Ask("", "GET", c.path, "", temp)
		if code != 200 || !strings.Contains(body, c.shows) || numbers.MatchString(body) {
			t.Errorf("%s: %d, number %q, want %q:\n%s", c.path, code, numbers.FindString(body), c.shows, body)
		}
		if code, body := d.Ask("", "GET", c.path, "", whole); code != 200 || c.path != "/fax/mine/history" && !numbers.MatchString(body) {
			t.Errorf("%s shows the others no number: %d %s", c.path, code, body)
		}
	}
	// The snippets of the stub have a number: the index leaves these out.
	code, body := d.Ask("", "GET", "/api/v1/search?q=order", "", temp)
	if code != 200 || !strings.Contains(body, "***0000") || numbers.MatchString(strings.ReplaceAll(body, "+1 222", "")) || !asked.PagesOnly {
		t.Errorf("search: %d, %+v\n%s", code, asked, body)
	}
	if _, _ = d.Ask("", "GET", "/api/v1/search?q=order", "", whole); asked.PagesOnly {
		t.Error("the others do not find numbers")
	}
	for _, path := range []string{
		"/api/v1/faxes/mine/document.pdf", "/api/v1/faxes/mine/document.searchable.pdf", "/api/v1/faxes/mine/manifest.json",
		"/?from=%2B1222", "/?to=334", "/live?to=334", "/api/v1/faxes?to=13343040000", "/api/v1/search?q=order&from=%2B1222",
		"/search?q=order&to=1",
		"/letters", "/api/v1/dlq", "/api/v1/dlq/7", "/health", "/api/v1/subscribers", "/api/v1/holds", "/api/v1/webhooks/refused",
		"/api/v1/audit", "/api/v1/audit?session=mine",
	} {
		if code, body := d.Ask("", "GET", path, "", temp); code != 403 || !strings.Contains(body, "numbers are masked for") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for path, body := range map[string]string{
		"/api/v1/faxes/mine/links":       `{"as":"pdf","ttl":"10m"}`,
		"/api/v1/subscribers/temp/claim": `{"max":1}`,
		"/api/v1/faxes/mine/replay":      `{"stage":"decode"}`,
	} {
		if code, got := d.Ask("", "POST", path, body, temp); code != 403 {
			t.Errorf("POST %s: %d %s", path, code, got)
		}
	}
	for _, path := range []string{"/api/v1/faxes/mine/pages/1.tiff", "/api/v1/faxes/mine/pages/1.png"} {
		if code, body := d.Ask("", "GET", path, "", temp); code != 200 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	d.ready = errors.New("no page of +1 222 can be fetched")
	if code, body := d.Ask("", "GET", "/readyz", "", temp); code != 503 || numbers.MatchString(body) {
		t.Errorf("readiness: %d %s", code, body)
	}
	if _, page := d.Ask("", "GET", "/fax/mine", "", temp); strings.Contains(page, "document.pdf") || strings.Contains(page, "manifest.json") {
		t.Errorf("the page leads to what is refused:\n%s", page)
	}
}

// A list that fills in stays masked, also what only the archive has, and is another view than that of somebody who sees the numbers.
func TestALiveListStaysMasked(t *testing.T) {
	d := &server{Config: Config{Board: &Board{}, Names: map[string]string{"13343040000": "Laboratory"}}}
	d.Board.put(session.State{Session: "new", Opened: noon, To: office, From: "+1 222"})
	f := faxFilter{reader: access.Token{Masked: true}}
	before := api.FaxList{Faxes: []api.Fax{{Session: "old", Opened: noon.Add(-time.Hour), To: "***0000", ToName: "Laboratory", Older: true}}}
	l := d.newer(f, orderKey{}, 10, before)
	if len(l.Faxes) != 2 {
		t.Fatalf("%+v", l.Faxes)
	}
	for _, x := range l.Faxes {
		if x.To != "***0000" || x.ToName != "Laboratory" || numbers.MatchString(x.From) {
			t.Errorf("%+v", x)
		}
	}
}

// A person and a token of one name share no live view if only one of them sees the numbers.
func TestALiveViewIsNotSharedWithTheMasked(t *testing.T) {
	d := peopleDesk(t, nil)
	d.admit(t, "temp", []access.Scope{access.ScopeRead})
	const path = "/live?direction=outgoing"
	if html := next(t, listen(t, d, "temp", path)); !numbers.MatchString(html) {
		t.Errorf("the token sees %s", html)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.LogIn("temp", passphrase)(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if html := next(t, bufio.NewScanner(resp.Body)); !strings.Contains(html, "***0000") || numbers.MatchString(html) {
		t.Errorf("the person sees %s", html)
	}
}

// What the provider writes about a failure may have a number: the timeline and the events say the reason only, and the log of an event that
// cannot be masked has no number either.
func TestMaskedPeopleSeeNoWordsOfTheProvider(t *testing.T) {
	const said = "404: no fax to 304-0000"
	failures := []session.Fact{
		session.PageFailed{Session: "mine", Page: 1, ToToken: "1222", Attempt: 1, Stage: "fetch", Reason: session.ReasonEmpty, Detail: said},
		session.WholeDone{
			Session: "mine", ToToken: "1222", N: 1, Reason: session.ReasonEmpty, Detail: said,
			Attempts: []session.Attempt{{Reason: session.ReasonEmpty, Detail: said}},
		},
		session.DocFailed{Session: "mine", ToToken: "1222", Revision: 1, Reason: session.ReasonLost, Detail: said},
	}
	d := peopleDesk(t, func(c *Config) {
		c.Facts = func(context.Context, string, int) (facts []bus.Stored, more bool, err error) {
			for _, f := range failures {
				facts = append(facts, stored(t, noon, f))
			}
			return facts, false, nil
		}
		c.Events = func(_ context.Context, _ *bus.Place, f func(bus.Stored, bus.Place) bool) error {
			f(stored(t, noon, failures[0]), bus.Place{})
			f(bus.Stored{Subject: "fax.v1.page.archived.1222.mine.2", Data: []byte(`{"to":[]}`)}, bus.Place{})
			return nil
		}
	})
	temp, whole := d.LogIn("temp", passphrase), d.LogIn("the-work", passphrase)
	for _, path := range []string{"/fax/mine/timeline", "/api/v1/events"} {
		code, body := d.Ask("", "GET", path, "", temp)
		if code != 200 || !strings.Contains(body, session.ReasonEmpty.Words()) || numbers.MatchString(body) {
			t.Errorf("%s: %d, number %q in %s", path, code, numbers.FindString(body), body)
		}
		if _, body = d.Ask("", "GET", path, "", whole); !strings.Contains(body, said) {
			t.Errorf("%s tells the others nothing: %s", path, body)
		}
	}
	if log := d.Log.String(); !strings.Contains(log, "an event is not JSON") || numbers.MatchString(log) {
		t.Errorf("the log has %q: %s", numbers.FindString(log), log)
	}
}

// No number is left in an event of any kind.
func TestEveryEventIsMasked(t *testing.T) {
	golden := filepath.Join("..", "..", "..", "pipeline", "events", "testdata", "golden")
	files, err := filepath.Glob(filepath.Join(golden, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".schema.json") || filepath.Base(file) == "asyncapi.json" {
			continue
		}
		events++
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := maskEvent(data)
		if err != nil || !json.Valid(got) {
			t.Fatalf("%s: %v", file, err)
		}
		if left := regexp.MustCompile(`[+(]\d|\d{3}-\d{3}|1334`).Find(got); left != nil {
			t.Errorf("%s: %q is left in %s", file, left, got)
		}
	}
	if events < 5 {
		t.Errorf("%d events in %s", events, golden)
	}
	got, err := maskEvent([]byte(`{"session":"s","attempts":[{"stage":"whole","reason":"refused","detail":"no fax of +1 334 304 0001"}]}`))
	if err != nil || strings.Contains(string(got), "334") || !strings.Contains(string(got), session.ReasonRefused.Words()) {
		t.Errorf("attempts are shown as %s, %v", got, err)
	}
	if _, err := maskEvent([]byte(`{"to":[]}`)); err == nil {
		t.Error("a number of another type is let through")
	}
}

// Nothing changes without a login, with the login of somebody who may not, with a cookie that was somebody's, or from another origin.
func TestEveryChangeNeedsTheRightLoginFromHere(t *testing.T) {
	d := peopleDesk(t, nil)
	admin, reader, worker := d.LogIn("the-admin", passphrase), d.LogIn("the-read", passphrase), d.LogIn("the-work", passphrase)
	ended := d.LogIn("the-admin", passphrase)
	d.Ask("", "POST", "/logout", "", ended)
	forged := func(r *http.Request) { r.Header.Set("Cookie", "faxstream_session=AAAAAAAAAAAAAAAAAAAAAAAAAA") }
	from := func(header, value string) func(*http.Request) {
		return func(r *http.Request) { admin(r); r.Header.Set(header, value) }
	}
	fill := strings.NewReplacer("{session}", "mine", "{page}", "1", "{name}", "lab", "{id}", "7")
	s := &server{Config: Config{Metrics: http.NotFoundHandler()}}
	changes := 0
	for _, route := range s.routes() {
		method, path, _ := strings.Cut(route.pattern, " ")
		if path = fill.Replace(path); method == http.MethodGet {
			continue
		}
		changes++
		for _, c := range []struct {
			who  string
			as   func(*http.Request)
			want int
		}{
			{"nobody", func(*http.Request) {}, 401},
			{"a cookie that was logged out", ended, 401},
			{"a cookie that never was", forged, 401},
			{"an admin, from another origin", from("Origin", "https://evil.example"), 403},
			{"an admin, from a page without an origin", from("Origin", "null"), 403},
			{"an admin, from another site", from("Sec-Fetch-Site", "cross-site"), 403},
			{"an admin, from a site beside this", from("Sec-Fetch-Site", "same-site"), 403},
		} {
			if code, body := d.Ask("", method, path, "{}", c.as); code != c.want {
				t.Errorf("%s %s by %s: %d %s", method, path, c.who, code, body)
			}
		}
		if route.scope == access.ScopeOwn {
			continue // a reader may
		}
		if code, body := d.Ask("", method, path, "{}", reader); code != 403 {
			t.Errorf("%s %s by a reader: %d %s", method, path, code, body)
		}
		if code, body := d.Ask("", method, path, "{}", worker); route.scope != access.ScopeWork && code != 403 {
			t.Errorf("%s %s by a worker: %d %s", method, path, code, body)
		}
	}
	if changes < 20 {
		t.Errorf("only %d requests change something", changes)
	}
	for _, path := range []string{"/login", "/logout"} {
		if code, _ := d.Ask("", "POST", path, "", from("Origin", "https://evil.example")); code != 403 {
			t.Errorf("POST %s from another origin: %d", path, code)
		}
	}
	if code, body := d.Ask("", "GET", "/", "", admin); code != 200 || !strings.Contains(body, "Logged in as the-admin") {
		t.Errorf("after all that the admin is logged out: %d", code)
	}
}

// A person takes no events of a service, also under its name.
func TestPeopleClaimNoEvents(t *testing.T) {
	d := peopleDesk(t, nil)
	for _, path := range []string{"/api/v1/subscribers/the-admin/claim", "/api/v1/subscribers/the-admin/settle"} {
		code, body := d.Ask("", "POST", path, `{"max":1}`, d.LogIn("the-admin", passphrase))
		if code != 403 || !strings.Contains(body, "people cannot claim") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// What a person does is recorded under the person's name.
func TestAPersonIsRecorded(t *testing.T) {
	d := peopleDesk(t, nil)
	if code, body := d.Ask("", "GET", "/fax/mine", "", d.LogIn("the-read", passphrase)); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if len(d.recorded) != 1 || d.recorded[0].By != "the-read" || !d.recorded[0].Login {
		t.Errorf("recorded %+v", d.recorded)
	}
}
