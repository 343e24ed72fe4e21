package dashboard

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// admit adds a token to the file of tokens.
func (d *listener) admit(t *testing.T, name string, scopes []access.Scope, numbers ...string) {
	t.Helper()
	secret, line, err := access.NewToken(name, scopes, numbers...)
	if err != nil {
		t.Fatal(err)
	}
	d.Secrets[name] = secret
	d.lines = append(d.lines, line)
	d.SetTokens(strings.Join(d.lines, "\n"))
}

// office is the number of a limited token, as two faxes have it.
const office = "+1 334-304-0000"

// fourFaxes are a received and a sent one of the office, one that the office sent to us, and one that was purged.
func fourFaxes() stores {
	s := twoFaxes()
	doc := s.states["abc"].Document
	at := s.states["abc"].Opened
	s.states = map[string]session.State{
		"mine":  {Session: "mine", Opened: at, To: "1 (334) 304-0000", From: "+1 222", Usable: session.Span(1, 1), Document: doc},
		"sent":  {Session: "sent", Opened: at, Direction: session.Outgoing, From: "13343040000", To: "+1 222", Document: doc},
		"other": {Session: "other", Opened: at, To: "+1 222", From: office, Usable: session.Span(1, 1), Document: doc},
		"gone":  {Session: "gone", Opened: at, Purged: true},
	}
	return s
}

// officeDesk is a desk with a token that is limited to the office, and one without limit.
func officeDesk(t *testing.T, change func(*Config)) *listener {
	t.Helper()
	d := newListener(t, func(c *Config) {
		s := fourFaxes()
		log := []session.KeepEntry{{Session: "gone", Kind: session.ActionPurged, Why: "case 1"}}
		held := &holdStub{stores: s, logs: map[string][]session.KeepEntry{"gone": log, "other": {{Session: "other", Kind: session.ActionHeld}}}}
		c.Ledgers, c.Letters, c.Archive, c.Holds = s, s, s, held
		for _, st := range s.states {
			c.Board.put(st)
		}
		c.Thumbnail = func(context.Context, io.Reader) ([]byte, error) { return []byte("small content"), nil }
		c.Trail = func(_ context.Context, _, _ time.Time, give func(api.AuditLine) error) error {
			for _, id := range []string{"mine", "other", "gone"} {
				if err := give(api.AuditLine{Entry: json.RawMessage(`{"access":"read","by":"bob","session":"` + id + `"}`)}); err != nil {
					return err
				}
			}
			return nil
		}
		if change != nil {
			change(c)
		}
	})
	d.admit(t, "boss", []access.Scope{access.ScopeRead})
	d.admit(t, "clerk", []access.Scope{access.ScopeRead}, office)
	d.admit(t, "monitor", []access.Scope{access.ScopeMetrics})
	return d
}

// A token that is limited to numbers gets their faxes; of others it learns not even that they are there.
func TestALimitedTokenSeesOnlyItsNumbers(t *testing.T) {
	d := officeDesk(t, nil)
	const link = `{"as":"pdf","ttl":"10m"}`
	for _, c := range []struct {
		method, path, body   string
		boss, clerk, monitor int
	}{
		{"GET", "/api/v1/faxes/mine", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/sent", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/other", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/gone", "", 410, 404, 403},
		{"GET", "/fax/mine", "", 200, 200, 403},
		{"GET", "/fax/other", "", 200, 404, 403},
		{"GET", "/fax/mine/history", "", 200, 200, 403},
		{"GET", "/fax/mine/pages/1", "", 200, 200, 403},
		{"GET", "/fax/other/pages/1", "", 200, 404, 403},
		{"GET", "/fax/other/history", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/mine/document.pdf", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/other/document.pdf", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/mine/pages/1.png", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/mine/pages/1.thumbnail.png", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/other/pages/1.png", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/other/pages/1.tiff", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/other/pages/1.thumbnail.png", "", 200, 404, 403},
		{"POST", "/api/v1/faxes/mine/links", link, 200, 200, 403},
		{"POST", "/api/v1/faxes/other/links", link, 200, 404, 403},
		{"GET", "/api/v1/faxes/mine/keep", "", 200, 200, 403},
		{"GET", "/api/v1/faxes/other/keep", "", 200, 404, 403},
		{"GET", "/api/v1/faxes/gone/keep", "", 200, 404, 403},
		{"GET", "/api/v1/audit?session=mine", "", 200, 200, 403},
		{"GET", "/api/v1/audit?session=other", "", 200, 404, 403},
		{"GET", "/api/v1/audit?session=gone", "", 200, 404, 403},
		{"GET", "/api/v1/audit", "", 200, 403, 403},
		{"GET", "/api/v1/holds", "", 503, 403, 403}, // the stub's list ends with an error
		{"GET", "/api/v1/dlq", "", 200, 403, 403},
		{"GET", "/api/v1/dlq/7", "", 200, 403, 403},
		{"GET", "/metrics", "", 200, 403, 200},
		{"GET", "/none", "", 404, 403, 403},
		{"POST", "/api/v1/faxes/mine/purge", `{"why":"x"}`, 403, 403, 403},
	} {
		for name, want := range map[string]int{"boss": c.boss, "clerk": c.clerk, "monitor": c.monitor} {
			code, body := d.Ask(name, c.method, c.path, c.body)
			if code != want || code >= 400 && (strings.Contains(body, "content of") || name == "clerk" && strings.Contains(body, "case 1")) {
				t.Errorf("%s %s as %s: %d %s, want %d", c.method, c.path, name, code, body, want)
			}
		}
	}
	for _, path := range []string{"/live/other", "/live/gone", "/live/other?view=x"} {
		if code, body := d.Ask("clerk", "GET", path, ""); code != 404 {
			t.Errorf("%s as clerk: %d %s", path, code, body)
		}
	}
	_, missing := d.Ask("clerk", "GET", "/api/v1/faxes/nowhere", "")
	for _, id := range []string{"other", "gone"} {
		if _, body := d.Ask("clerk", "GET", "/api/v1/faxes/"+id, ""); strings.ReplaceAll(body, id, "nowhere") != missing {
			t.Errorf("%s is told from a fax that never was: %s", id, body)
		}
	}
	if code, body := d.Ask("clerk", "GET", "/api/v1/audit?session=mine", ""); code != 200 || strings.Count(body, "\n") != 1 {
		t.Errorf("audit of the own fax: %d %s", code, body)
	}
}

func TestALimitedTokensListsAndReadiness(t *testing.T) {
	d := officeDesk(t, nil)
	for path, want := range map[string][]string{
		"/api/v1/faxes": {"sent", "mine"}, "/api/v1/faxes?to=%2B1222": {"sent"}, "/api/v1/faxes?limit=1": {"sent"},
	} {
		var l api.FaxList
		code, body := d.Ask("clerk", "GET", path, "")
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		var got []string
		for _, f := range l.Faxes {
			got = append(got, f.Session)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	_, mine := d.Ask("clerk", "GET", "/", "")
	_, all := d.Ask("boss", "GET", "/", "")
	if strings.Contains(mine, "/fax/other") || !strings.Contains(mine, "/fax/mine") || strings.Contains(mine, "dead letter") ||
		!strings.Contains(all, "/fax/other") || !strings.Contains(all, "1 dead letter") {
		t.Errorf("the list of the limited:\n%s\nthe list of all:\n%s", mine, all)
	}
	d.ready = context.DeadlineExceeded
	for name, told := range map[string]bool{"clerk": false, "boss": true} {
		if code, body := d.Ask(name, "GET", "/readyz", ""); code != 503 || strings.Contains(body, "deadline") != told {
			t.Errorf("readiness as %s: %d %s", name, code, body)
		}
	}
}

// A stream of events has those of the own numbers only, whatever other subjects there will be.
func TestALimitedTokensEvents(t *testing.T) {
	d := officeDesk(t, func(c *Config) {
		c.Events = func(_ context.Context, _ *bus.Place, f func(bus.Stored, bus.Place) bool) error {
			for _, subject := range []string{
				"fax.v1.page.archived.1222.other.1", "fax.v1.doc.assembled.unknown.x.1", "fax.v1.alert.13343040000.x",
				"fax.v1.page.archived.13343040000.mine.1", "fax.v1.doc.assembled.13343040000.mine.1",
			} {
				f(bus.Stored{Subject: subject, Data: []byte(`{}`)}, bus.Place{})
			}
			return nil
		}
	})
	for name, want := range map[string]int{"boss": 5, "clerk": 2} {
		if _, body := d.Ask(name, "GET", "/api/v1/events", ""); strings.Count(body, "data: ") != want {
			t.Errorf("%s: want %d events:\n%s", name, want, body)
		}
	}
}

// A link that somebody made gives nothing any more once its maker is limited to other numbers.
func TestALinkEndsWhenItsMakerIsLimited(t *testing.T) {
	for number, want := range map[string]int{office: 200, "+1 222": 410} {
		d := officeDesk(t, nil)
		_, body := d.Ask("boss", "POST", "/api/v1/faxes/mine/links", `{"as":"pdf","ttl":"10m"}`)
		var l api.Link
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatal(err)
		}
		d.lines = nil
		d.admit(t, "boss", []access.Scope{access.ScopeRead}, number)
		if code, body := d.Ask("", "GET", strings.TrimPrefix(l.URL, d.URL), ""); code != want {
			t.Errorf("limited to %s: %d %s, want %d", number, code, body, want)
		}
	}
}

// For whom numbers are masked now, a link of before leads to nothing that has numbers in it.
func TestALinkEndsWhenItsMakerIsMasked(t *testing.T) {
	hash, err := access.HashPassword(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		as     string
		masked bool
		want   int
	}{
		{`"as":"pdf"`, false, 200},
		{`"as":"pdf"`, true, 410},
		{`"as":"manifest"`, true, 410},
		{`"as":"tiff","page":1`, true, 200},
	} {
		ann := access.User{Name: "ann", Role: access.RoleRead, Hash: hash}
		d := newListenerWith(t, func(g *access.Config) {
			g.Users = func() ([]access.User, error) { return []access.User{ann}, nil }
		}, nil)
		_, body := d.Ask("", "POST", "/api/v1/faxes/abc/links", `{`+c.as+`,"ttl":"10m"}`, d.LogIn("ann", passphrase))
		var l api.Link
		if err := json.Unmarshal([]byte(body), &l); err != nil || l.URL == "" {
			t.Fatalf("%s: %v", body, err)
		}
		ann.Masked = c.masked
		if code, body := d.Ask("", "GET", strings.TrimPrefix(l.URL, d.URL), ""); code != c.want {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
}

// No cursor names a fax that its reader may not see, and none of the own faxes is skipped or stands twice.
func TestALimitedTokensCursorNamesNoOtherFax(t *testing.T) {
	older := &shelf{faxes: map[string]session.State{}}
	var want []string
	for i := range 3 * maxScanned {
		st := fax(i, "+1 222", session.StatusComplete)
		st.Opened = noon.Add(time.Duration(i/48) * time.Second) // many a second
		if i%7 == 3 {
			st.To = office
			want = append(want, st.Session)
		}
		older.faxes[st.Session] = st
	}
	slices.Reverse(want)
	d := officeDesk(t, func(c *Config) { c.Board, c.Older = &Board{}, older })
	for _, limit := range []string{"3", "500"} {
		var got []string
		for cursor, pages := "", 0; pages < 1000; pages++ {
			var l api.FaxList
			code, body := d.Ask("clerk", http.MethodGet, "/api/v1/faxes?limit="+limit+"&cursor="+cursor, "")
			if err := json.Unmarshal([]byte(body), &l); err != nil || code != 200 {
				t.Fatalf("%d %s", code, body)
			}
			for _, f := range l.Faxes {
				got = append(got, f.Session)
			}
			if cursor = l.Next; cursor == "" {
				break
			}
			k, err := parseCursor(cursor)
			if err != nil || k.session != leastID && !slices.Contains(want, k.session) {
				t.Fatalf("the cursor names %q, %v", k.session, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s at a time: walked %v, want %v", limit, got, want)
		}
	}
}
