package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/health"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// english are words that every English sentence of the pages has one of, and no German one.
var english = regexp.MustCompile(`(?i)\b(the|of|and|is|are|this|with|from|pages?|by|for|not|no|to|or|it|yes|done|unread|failed|ordered|` +
	`archived|missing|assigned|added|removed|turned|differs?|complete|partial|receiving|search|filter|reason|since|health|labels?)\b`)

// germanPage is the text of a page that a person sees or hears, without what says that it is in English.
func germanPage(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	var read func(n *html.Node)
	read = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + "\n")
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "lang" && a.Val == "en":
				return
			case a.Key == "alt", a.Key == "title", a.Key == "aria-label", a.Key == "placeholder":
				b.WriteString(a.Val + "\n")
			}
		}
		if n.Type == html.ElementNode && (n.Data == "style" || n.Data == "script" || n.Data == "code") {
			return
		}
		for child := range n.ChildNodes() {
			read(child)
		}
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	read(root)
	return b.String()
}

func wantGerman(t *testing.T, what, page string) {
	t.Helper()
	for line := range strings.Lines(germanPage(t, page)) {
		if word := english.FindString(line); word != "" {
			t.Errorf("%s: %q is English in %q", what, word, strings.TrimSpace(line))
		}
	}
}

func inGerman(r *http.Request) { r.Header.Set("Accept-Language", "de-DE,de;q=0.9,en;q=0.5") }

// Who prefers German reads no English sentence on a page.
func TestPagesInGerman(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	object := session.Object{Key: "k", SHA256: strings.Repeat("a", 64)}
	s := newTeam()
	d := newListener(t, func(c *Config) {
		s.config(c)
		c.Facts = func(_ context.Context, id string, _ int) (facts []bus.Stored, more bool, err error) {
			for _, f := range []session.Fact{
				session.PageAnnounced{Session: id, Page: 2},
				session.PageFailed{Session: id, Page: 2, ToToken: "1", Attempt: 3, Stage: "fetch", Reason: session.ReasonEmpty, Final: true},
				session.PageArchived{Session: id, Page: 2, ToToken: "1", Source: session.SourceWholeFile, BadRows: 7},
				session.Closed{Session: id, Status: "success", Pages: 2},
				session.WholeOrdered{Session: id, N: 1, Wanted: session.Span(2, 2), Compare: session.Span(1, 1)},
				session.WholeDone{Session: id, ToToken: "1", N: 1, Object: &object, Pages: 2, Attempts: []session.Attempt{{Reason: "empty"}}},
				session.DocReady{Session: id, ToToken: "1", Revision: 1, Status: session.StatusPartial},
				session.DocAssembled{Session: id, ToToken: "1", Revision: 1, Status: session.StatusPartial, Pages: 2},
				session.DocVerified{Session: id, ToToken: "1", Report: object, Differing: session.Span(1, 2)},
				session.DocVerified{Session: id, ToToken: "1", Report: object},
				session.Desk{Session: id, Work: session.Work{N: 1, By: "ada"}},
				session.Kept{Session: id, Kind: session.ActionHeld, Asked: "a1"},
				session.Again{Session: id, Asked: "a2"},
				session.DocSearchable{Session: id, ToToken: "1", Revision: 1, Record: object},
				session.PageAmended{PageArchived: session.PageArchived{Session: id, Page: 1, ToToken: "1", RasterSHA256: raster}},
				session.RecordAsked{Session: id, N: 1},
			} {
				facts = append(facts, stored(t, at, f))
			}
			return facts, true, nil
		}
		c.Trail = func(_ context.Context, _, _ time.Time, give func(api.AuditLine) error) error {
			for _, entry := range []string{
				`{"access":"view","by":"ada","session":"abc"}`, `{"access":"read","by":"ada","session":"abc","object":"x.pdf"}`,
				`{"action":"held","by":"ada","session":"abc","why":"A"}`,
				`{"action":"worked","by":"ada","session":"abc","work":{"assignee":"ada","add_labels":["lab"],"read":true,"done":true}}`,
			} {
				if err := give(api.AuditLine{Time: at, Entry: json.RawMessage(entry)}); err != nil {
					return err
				}
			}
			return nil
		}
		c.Health = func() health.Report {
			return health.Report{
				Since: at, Plots: []health.Plot{{Title: "Webhooks a minute", Now: "1", Most: "2"}}, Stages: []health.Stage{{Name: "fetch"}},
				Waiting: []health.Waiting{{Consumer: "x"}}, Rooms: []health.Room{{Name: "disk of /data", Text: "3.0 GB free"}},
			}
		}
		c.Verify = func(context.Context, string) (Verdict, error) {
			return Verdict{Objects: 2, Revisions: 1, Pages: 2, Remade: 1, Signed: 1, Faults: []Fault{{
				Object: "k", What: "An object was changed after it was written. ABC.", Do: "Restore the original version.",
			}}}, nil
		}
	})
	d.admit(t, "chief", []access.Scope{access.ScopeRead, access.ScopeWork, access.ScopeOperate, access.ScopeAdmin})
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	post := func(path, body string) {
		t.Helper()
		_, page := d.Ask("chief", "POST", path, body, inGerman, form)
		wantGerman(t, path, page)
		if !strings.Contains(page, `<html lang="de">`) {
			t.Errorf("%s says that it is in another language: %s", path, page)
		}
	}
	post("/bulk", "status=partial&do=done&by=ada")
	d.Ask("chief", "POST", "/fax/abc/desk", "do=take&by=ada", form)
	d.Ask("chief", "POST", "/fax/abc/desk", "do=label&labels=lab&by=ada", form)
	for _, path := range []string{
		"/", "/?status=partial", "/?status=complete", "/fax/abc", "/fax/abc/timeline", "/fax/abc/history",
		"/fax/abc/pages/1", "/fax/abc/pages/2", "/fax/none", "/letters", "/letters?stage=x", "/health", "/login",
	} {
		code, page := d.Ask("chief", "GET", path, "", inGerman)
		if code >= 500 || !strings.Contains(page, `<html lang="de">`) || !strings.Contains(page, ">English</button>") {
			t.Errorf("%s: %d %s", path, code, page)
		}
		wantGerman(t, path, page)
	}
	post("/fax/abc/verify", "")
	post("/fax/abc/purge", "by=ada&why=A")
	post("/fax/abc/desk", "do=nonsense&by=ada")
	post("/fax/abc/derive", "documents=9&by=ada")
	post("/fax/abc/link", "as=pdf&ttl=10m&by=ada")
	post("/fax/abc/link", "as=tiff&ttl=10m&by=ada")
	post("/reconcile", "since=nonsense&by=ada")
}

// The page of a fax has many parts that few faxes have; none of them is in English, and what people and strangers write is only text.
func TestEveryPartOfAFaxInGerman(t *testing.T) {
	const hostile = `<script>%d</script> {n} %s`
	done := 2
	v := faxView{
		FaxDetail: api.FaxDetail{
			Fax: api.Fax{
				Session: "abc", From: hostile, To: "+1", Status: session.StatusRecovered, Reason: session.RecoveredBeyond, Revision: 2, Held: true,
			},
			Choices: []session.Choice{{Page: 1, Image: session.ImageFile, By: hostile, Why: hostile}},
			Work:    session.Work{N: 1, Assignee: hostile, Labels: []string{hostile}, Note: hostile, Read: true, By: hostile},
			Pages: []api.Page{
				{
					Page: 1, Status: session.PageStatusArchived, Source: session.SourceWholeFile, SHA256: "aa", Width: 1, Height: 1,
					Difference: "inverted", Chosen: session.ImageFile, Orientation: 6, ReceivedBad: true,
					Received: &session.Received{BadRows: 3, CleanFaxData: &done},
					Quality:  &session.Quality{Blank: true, Skew: 2000, SkewKnown: true, Ink: 400_000, Border: 90_000},
				},
				{Page: 2, Status: session.PageStatusArchived, Source: session.SourceFetch, SHA256: "bb", Difference: "different"},
				{Page: 3, Status: session.PageStatusAnnounced},
				{Page: 4, Status: session.PageStatusAnnounced, Reason: session.ReasonNotYet},
			},
			Searchable: true,
		},
		Derived: []api.Derived{{ID: "x", Text: "pages 1-3 (page 2 turned right)", By: hostile, Derivation: session.Derivation{Revision: 2}}},
		Letters: []api.Letter{{ID: 1, Stage: "fetch", Session: "abc", Reason: "empty", Detail: "the reason in English"}},
		MayWork: true, MayOperate: true, MayAdmin: true, MayVerify: true, Notice: "tick the box to confirm that the fax is deleted for good",
		Unlisted: "The archive does not answer: derived documents are not listed. Load the page again in a while.",
	}
	for _, name := range []session.Reason{
		session.ReasonNotYet, session.ReasonUnavailable, session.ReasonUnauthorized, session.ReasonRefused, session.ReasonTooLarge,
		session.ReasonTruncated, session.ReasonWrongType, session.ReasonManyPages, session.ReasonDamaged, session.ReasonNoPagePath,
		session.ReasonNotInFile, session.ReasonNotAnnounced, session.ReasonLost, session.ReasonInternal,
	} {
		v.Pages = append(v.Pages, api.Page{Page: len(v.Pages) + 1, Status: session.PageStatusMissing, Reason: name})
	}
	show := func(lang string) string {
		page, err := pages.Fragment(layout.Place{Language: lang}, "fax.html", v)
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	page := show("de")
	wantGerman(t, "a fax", codes.ReplaceAllString(page, ""))
	if strings.Contains(page, "<script>%") ||
		!strings.Contains(page, "Zugewiesen an <strong>&lt;script&gt;%d&lt;/script&gt; {n} %s</strong>") {
		t.Errorf("what people write is not shown as text: %s", page)
	}
	v.MayOperate, v.MayWork = false, false
	wantGerman(t, "a fax for a reader", codes.ReplaceAllString(show("de"), ""))
	if page := show("en"); !strings.Contains(page, "This page could not be processed.") || !strings.Contains(page, "with a black border") {
		t.Errorf("in English: %s", page)
	}
}

// codes are the one-word reasons beside a status, as the API and the filter of dead letters have them.
var codes = regexp.MustCompile(`\([a-z]+(_[a-z]+)+\)`)

// What a person chooses in the foot of a page stays, and leads back to the page; a live list is in the language of its page.
func TestALanguageIsChosen(t *testing.T) {
	s := newTeam()
	d := newListener(t, s.config)
	for _, c := range []struct{ referer, want string }{
		{"/fax/abc?x=%20y", "/fax/abc?x=%20y"},
		{"/", "/"},
		{"", "/"},
		{"/bulk", "/"},
		{"//evil.example/", "/"},
		{"/login?next=/", "/login"},
		{"/login/oidc/callback?code=1", "/login"},
		{"\\evil", "/"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL+"/language", strings.NewReader("language=de"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.referer != "" {
			r.Header.Set("Referer", d.URL+c.referer)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		cookies := resp.Cookies()
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != c.want || len(cookies) != 1 || cookies[0].Value != "de" {
			t.Errorf("from %q: %d to %q, cookies %v", c.referer, resp.StatusCode, resp.Header.Get("Location"), cookies)
			continue
		}
		_, page := d.Ask("reader", "GET", "/", "", func(r *http.Request) { r.AddCookie(cookies[0]) })
		if !strings.Contains(page, "<h1>Faxe</h1>") {
			t.Errorf("with the cookie the list is %s", page)
		}
	}
	both := map[string]string{}
	for _, lang := range []string{"en", "de"} { // both are open at the same time
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/live?", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+d.Secrets["reader"])
		r.Header.Set("Accept-Language", lang)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		both[lang] = next(t, bufio.NewScanner(resp.Body))
	}
	if !strings.Contains(both["en"], ">Opened</th>") || !strings.Contains(both["de"], ">Eingang</th>") {
		t.Errorf("live lists: %v", both)
	}
}
