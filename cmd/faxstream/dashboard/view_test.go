package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

var imageURL = regexp.MustCompile(`src="([^"]+thumbnail[^"]+)"`)

// Who looks at a fax in the dashboard is recorded once, not once for each small image; an image without such a look is recorded as what it
// is, and not as a read of the original.
func TestALookAtAFaxIsOneRecord(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.Thumbnail = func(context.Context, io.Reader) ([]byte, error) { return []byte("small content"), nil }
	})
	code, page := d.Ask("reader", "GET", "/fax/abc", "")
	urls := imageURL.FindAllStringSubmatch(page, -1)
	if code != 200 || len(urls) != 1 {
		t.Fatalf("%d, images %q in\n%s", code, urls, page)
	}
	for range 2 {
		if code, body := d.Ask("reader", "GET", urls[0][1], ""); code != 200 || body != "small content" {
			t.Errorf("%s: %d %s", urls[0][1], code, body)
		}
	}
	view := session.Access{Kind: session.AccessView, By: "reader", Login: true, Address: "127.0.0.1", Session: "abc"}
	if len(d.recorded) != 1 || d.recorded[0] != view {
		t.Fatalf("recorded %+v, want only %+v", d.recorded, view)
	}
	d.Ask("reader", "HEAD", "/fax/abc", "")
	if d.Ask("reader", "GET", "/fax/abc", ""); len(d.recorded) != 2 {
		t.Errorf("a second look: %d records, want 2", len(d.recorded))
	}
	small := session.Access{
		Kind: session.AccessThumbnail, By: "reader", Login: true, Address: "127.0.0.1", Session: "abc", Page: 1, Object: "p.tiff",
	}
	plain, _, _ := strings.Cut(urls[0][1], "?")
	for name, url := range map[string]string{
		"without a look": plain, "with an invented mark": plain + "?view=99999999999.x",
	} {
		d.recorded = nil
		if code, _ := d.Ask("reader", "GET", url, ""); code != 200 || len(d.recorded) != 1 || d.recorded[0] != small {
			t.Errorf("an image %s: %d, recorded %+v, want %+v", name, code, d.recorded, small)
		}
	}
	d.recorded = nil
	d.admit(t, "alice", []access.Scope{access.ScopeRead})
	if code, _ := d.Ask("alice", "GET", urls[0][1], ""); code != 200 || len(d.recorded) != 1 || d.recorded[0].By != "alice" {
		t.Errorf("an image with somebody else's mark: %d, recorded %+v", code, d.recorded)
	}
	d.refuse = context.DeadlineExceeded
	if code, body := d.Ask("alice", "GET", "/fax/abc", ""); code != 503 || strings.Contains(body, "thumbnail") {
		t.Errorf("a look that cannot be recorded: %d", code)
	}
}

// The list shows first pages only where somebody switches them on, and goes on with them; each that a browser gets is recorded.
func TestTheListShowsFirstPagesOnRequest(t *testing.T) {
	d := officeDesk(t, nil)
	d.recorded = nil
	_, plain := d.Ask("clerk", "GET", "/?status=partial", "")
	if strings.Contains(plain, "thumbnail") || !strings.Contains(plain, `name="thumbs"`) {
		t.Errorf("a list without first pages: %s", plain)
	}
	code, page := d.Ask("clerk", "GET", "/?thumbs=1", "")
	urls := imageURL.FindAllStringSubmatch(page, -1)
	if code != 200 || len(urls) != 1 || !strings.Contains(page, `/live?thumbs=1"`) || !strings.Contains(page, "<input type=\"checkbox\" "+
		`name="thumbs" value="1" checked>`) || len(d.recorded) != 0 {
		t.Fatalf("%d, images %q, recorded %+v in\n%s", code, urls, d.recorded, page)
	}
	if live := next(t, listen(t, d, "clerk", "/live?thumbs=1")); !strings.Contains(live, urls[0][0]) {
		t.Errorf("the live list has no image: %s", live)
	}
	code, body := d.Ask("clerk", "GET", urls[0][1], "")
	want := session.Access{
		Kind: session.AccessThumbnail, By: "clerk", Login: true, Address: "127.0.0.1", Session: "mine", Page: 1, Object: "p.tiff",
	}
	if code != 200 || body != "small content" || len(d.recorded) != 1 || d.recorded[0] != want {
		t.Errorf("an image: %d %s, recorded %+v, want %+v", code, body, d.recorded, want)
	}
	if code, body := d.Ask("clerk", "GET", "/?thumbs=all", ""); code != 400 || !strings.Contains(body, "want 1") {
		t.Errorf("a wrong word: %d %s", code, body)
	}
	if _, page := newListener(t, nil).Ask("reader", "GET", "/?thumbs=1", ""); strings.Contains(page, "thumb") {
		t.Errorf("a server without thumbnails: %s", page)
	}
}

// A mark holds for one image, and for two hours at most.
func TestAMarkIsForOneImageAndEnds(t *testing.T) {
	s := &server{viewKey: []byte("key")}
	f := file{session: "abc", page: 1, object: session.Object{SHA256: "aa"}}
	now := time.Now()
	if end := time.Unix(viewEnds(now), 0); end.Before(now.Add(time.Hour)) || end.After(now.Add(2*time.Hour)) {
		t.Errorf("at %s a mark is made until %s", now, end)
	}
	soon := now.Add(time.Hour).Unix()
	ask := func(mark string) bool {
		return s.viewed(httptest.NewRequest("GET", "/?view="+mark, nil), f)
	}
	r := httptest.NewRequest("GET", "/fax/abc", nil)
	for name, c := range map[string]struct {
		mark string
		want bool
	}{
		"good": {s.mark(r, "abc", 1, "aa", soon), true}, "over": {s.mark(r, "abc", 1, "aa", now.Unix()), false},
		"of another fax": {s.mark(r, "abd", 1, "aa", soon), false}, "of another page": {s.mark(r, "abc", 2, "aa", soon), false},
		"of another original": {s.mark(r, "abc", 1, "ab", soon), false}, "none": {"", false},
	} {
		if ask(c.mark) != c.want {
			t.Errorf("a mark that is %s: %t", name, !c.want)
		}
	}
}

// Bad rows are marked on a page and said in words when somebody asks; they stay marked from page to page. Without bad rows, or where they
// are not looked for, there is nothing to ask for.
func TestBadRowsAreMarkedOnRequest(t *testing.T) {
	s := twoFaxes()
	bad := s.facts[1]
	bad.BadRows = 4
	s.facts[1] = bad
	var found [][2]int
	fails := error(nil)
	looks := func(c *Config) {
		c.Ledgers = s
		c.BadRows = func(_ context.Context, original io.Reader) ([][2]int, error) {
			data, err := io.ReadAll(original)
			if err != nil || string(data) != "content of p.tiff" {
				t.Errorf("the original is %q, %v", data, err)
			}
			return found, fails
		}
	}
	d := newListener(t, looks)
	found = [][2]int{{0, 0}, {9, 11}}
	_, page := d.Ask("reader", "GET", "/fax/abc/pages/1", "")
	if !strings.Contains(page, `href="/fax/abc/pages/1?zoom=fit&amp;turn=0&amp;rows=bad">Mark bad rows`) || strings.Contains(page, "<rect") {
		t.Errorf("before somebody asks: %s", page)
	}
	_, page = d.Ask("reader", "GET", "/fax/abc/pages/1?rows=bad", "")
	for _, want := range []string{
		`<rect class="bad" x="0" y="0" width="1728" height="1">`, `<rect class="bad" x="0" y="9" width="1728" height="3">`,
		"was sent: 1, 10–12.", `<svg viewBox="0 0 1728 2200"`, `href="/fax/abc/pages/1?zoom=fit&amp;turn=0">Hide bad rows`,
		`zoom=200&amp;turn=0&amp;rows=bad`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	found = make([][2]int, maxBadRows+1)
	if _, page = d.Ask("reader", "GET", "/fax/abc/pages/1?rows=bad", ""); strings.Count(page, `class="bad"`) != maxBadRows ||
		!strings.Contains(page, " and more.") {
		t.Errorf("%d of too many are marked", strings.Count(page, `class="bad"`))
	}
	if fails = errors.New("no page"); true {
		status, page := d.Ask("reader", "GET", "/fax/abc/pages/1?rows=bad", "")
		if status != 200 || !strings.Contains(page, "The bad rows cannot be marked: ") || !strings.Contains(page, "/pages/1.png") {
			t.Errorf("a page that cannot be decoded: %d %s", status, page)
		}
	}
	if status, _ := d.Ask("reader", "GET", "/fax/abc/pages/1?rows=all", ""); status != 400 {
		t.Errorf("a wrong word: %d", status)
	}
	none := newListener(t, func(c *Config) { looks(c); c.Ledgers = twoFaxes() })
	if _, page := none.Ask("reader", "GET", "/fax/abc/pages/1?rows=bad", ""); strings.Contains(page, "bad rows") {
		t.Errorf("a page without bad rows: %s", page)
	}
}

// Rows of a page that is stored turned are marked where a reader sees them.
func TestBadRowsOfATurnedPage(t *testing.T) {
	for orientation, want := range []string{
		0: "[0 2 100 5]", 1: "[0 2 100 5]", 2: "[0 2 100 5]", 3: "[0 45 100 48]", 4: "[0 45 100 48]",
		5: "[2 0 5 100]", 6: "[45 0 48 100]", 7: "[45 0 48 100]", 8: "[2 0 5 100]",
	} {
		f := session.PageArchived{Width: 100, Height: 50, Orientation: orientation}
		if got := fmt.Sprint(uprightRows(f, 2, 5)); got != want {
			t.Errorf("orientation %d: %s, want %s", orientation, got, want)
		}
	}
}

// Tabs of a fax say what they show.
func TestTitlesOfAFax(t *testing.T) {
	d := newListener(t, func(c *Config) {
		c.Trail = func(context.Context, time.Time, time.Time, func(api.AuditLine) error) error { return nil }
	})
	for _, c := range []struct{ path, want string }{
		{"", "Fax abc"},
		{"/pages/1", "Page 1 of fax abc"},
		{"/timeline", "How fax abc came"},
		{"/history", "What people did with fax abc"},
	} {
		if _, page := d.Ask("reader", "GET", "/fax/abc"+c.path, ""); !strings.Contains(page, "<title>"+c.want+"</title>") {
			t.Errorf("%s is not called %q: %s", c.path, c.want, page)
		}
	}
}

// The state of a page is told as it goes: announced, a try that failed, archived or recovered, missing.
func TestThePageOfAFaxSaysHowFarEachPageIs(t *testing.T) {
	v := faxView{FaxDetail: api.FaxDetail{Fax: api.Fax{Status: session.StatusRecovered}}}
	for _, c := range []struct {
		page api.Page
		want string
	}{
		{api.Page{Status: session.PageStatusAnnounced}, "announced"},
		{api.Page{Status: session.PageStatusAnnounced, Reason: session.ReasonNotYet}, "a try failed, tried again"},
		{api.Page{Status: session.PageStatusArchived, Source: session.SourceFetch}, "archived"},
		{api.Page{Status: session.PageStatusArchived, Source: session.SourceWholeFile}, "recovered"},
		{api.Page{Status: session.PageStatusMissing, Reason: session.ReasonEmpty}, "missing"},
	} {
		if got := v.StateOf(c.page); got != c.want {
			t.Errorf("%+v is %q, want %q", c.page, got, c.want)
		}
	}
	v.Status = session.StatusComplete // it never streamed: nothing was recovered
	if got := v.StateOf(api.Page{Status: session.PageStatusArchived, Source: session.SourceWholeFile}); got != "archived" {
		t.Errorf("a page of a fax that came whole is %q", got)
	}
}
