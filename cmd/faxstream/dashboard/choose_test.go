package dashboard

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/pipeline/session"
)

// choiceStub has a fax whose page 1 differs from the whole file, and follows a choice at once.
type choiceStub struct {
	stores
	ordered []session.Action
}

func newChoiceStub() *choiceStub {
	s := &choiceStub{stores: twoFaxes()}
	st := s.states["abc"]
	report := session.Object{Key: "report"}
	st.Dispute(report, 1, "inverted")
	s.states["abc"] = st
	return s
}

func (s *choiceStub) Act(_ context.Context, a session.Action) (uint64, error) {
	s.ordered = append(s.ordered, a)
	st := s.states[a.Session]
	document := *st.Document
	document.Revision++
	st.Document = &document
	for page := range a.Pages.Add(a.Page).All() {
		st.Choices = append(st.Choices, session.Choice{Page: page, Image: a.Image, By: a.By, Why: a.Why})
	}
	s.states[a.Session] = st
	return uint64(len(s.ordered)), nil
}

func (s *choiceStub) images(_ context.Context, report session.Object) (map[int]map[string]session.PageArchived, error) {
	image := func(key string) session.PageArchived {
		return session.PageArchived{
			Page: 1, Original: session.Object{Key: key + ".tiff", SHA256: key}, PNG: session.Object{Key: key + ".png"}, Width: 1728, Height: 1100,
		}
	}
	if report.Key != "report" {
		return nil, nil
	}
	return map[int]map[string]session.PageArchived{1: {"streamed": image("streamed"), "file": image("file")}}, nil
}

func (s *choiceStub) config(c *Config) {
	c.Letters, c.Ledgers, c.Images = s, s, s.images
	c.Thumbnail = func(_ context.Context, original io.Reader) ([]byte, error) {
		data, err := io.ReadAll(original)
		return append([]byte("small "), data...), err
	}
	for _, st := range s.states {
		c.Board.put(st)
	}
}

// Who may choose, what is refused and why, and what is then told and served.
func TestChoosingAnImage(t *testing.T) {
	s := newChoiceStub()
	d := newListener(t, s.config)
	const file = `{"by":"somebody else","why":"the streamed page is black","image":"file"}`
	for _, c := range []struct {
		who, method, path, body string
		status                  int
		says                    string
	}{
		{"reader", "GET", "", "", 200, `"verification":"differs"`},
		{"reader", "GET", "", "", 200, `"pages_differing":[[1,1]]`},
		{"reader", "GET", "", "", 200, `"difference":"inverted"`},
		{"reader", "GET", "/pages/1.tiff", "", 200, "content of p.tiff"},
		{"reader", "GET", "/pages/1.tiff?image=streamed", "", 200, "content of streamed.tiff"},
		{"reader", "GET", "/pages/1.png?image=file", "", 200, "content of file.png"},
		{"reader", "GET", "/pages/1.thumbnail.png?image=file", "", 200, "small content of file.tiff"},
		{"reader", "GET", "/pages/1.png?image=best", "", 400, "want streamed"},
		{"reader", "POST", "/pages/1/choose", file, 403, "operate"},
		{"operator", "POST", "/pages/1/choose", `{"image":"file","why":" "}`, 400, "reason"},
		{"operator", "POST", "/pages/1/choose", `{"image":"best","why":"x"}`, 400, "want streamed"},
		{"operator", "POST", "/pages/0/choose", file, 400, "from 1 to"},
		{"operator", "POST", "/pages/2/choose", file, 409, "nothing to choose"},
		{"operator", "POST", "/pages/1/choose", file, 200, `"revision":2,"done":true`},
		{"reader", "GET", "", "", 200, `"choices":[{"page":1,"image":"file","by":"operator"`},
		{"reader", "GET", "", "", 200, `"height":1100`},
		{"reader", "GET", "/pages/1.tiff", "", 200, "content of file.tiff"},
		{"reader", "GET", "/pages/1.tiff?image=streamed", "", 200, "content of streamed.tiff"},
	} {
		if status, body := d.Ask(c.who, c.method, "/api/v1/faxes/abc"+c.path, c.body); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s as %s: %d %s, want %d with %q", c.method, c.path, c.who, status, body, c.status, c.says)
		}
	}
	if status, body := d.Ask("operator", "POST", "/api/v1/faxes/none/pages/1/choose", file); status != 404 {
		t.Errorf("of no fax: %d %s", status, body)
	}
	want := session.Action{
		Kind: session.ActionChosen, By: "operator", Why: "the streamed page is black", Session: "abc", Page: 1, Image: session.ImageFile,
	}
	if !reflect.DeepEqual(s.ordered, []session.Action{want}) {
		t.Errorf("ordered %+v, want %+v once", s.ordered, want)
	}
	var read []string
	for _, a := range d.recorded {
		read = append(read, a.Object)
	}
	if !slices.Contains(read, "file.png") || !slices.Contains(read, "streamed.tiff") {
		t.Errorf("recorded reads of %v", read)
	}
}

// One choice for several pages is one order, and one form; it is for all of them or for none.
func TestOneChoiceForSeveralPages(t *testing.T) {
	s := newChoiceStub()
	st := s.states["abc"]
	st.Announced, st.Usable = session.Span(1, 4), session.Span(1, 4)
	for page := 2; page <= 4; page++ {
		st.Dispute(session.Object{Key: "report"}, page, "")
	}
	s.states["abc"] = st
	d := newListener(t, s.config)
	d.admit(t, "chief", []access.Scope{access.ScopeRead, access.ScopeOperate})
	const form = `action="/fax/abc/pages/1-4/choose"`
	if _, page := d.Ask("chief", "GET", "/fax/abc", ""); !strings.Contains(page, form) || !strings.Contains(page, "4 pages differ.") {
		t.Errorf("no form for all pages: %s", page)
	}
	if _, page := d.Ask("reader", "GET", "/fax/abc", ""); strings.Contains(page, form) {
		t.Error("a reader has the form")
	}
	const file = `{"why":"the streamed ones are black","image":"file"}`
	for path, want := range map[string]int{"1-5": 409, "4,9": 409, "2-1": 400, "1-10001": 400, "x": 400, "1-": 409} {
		if status, body := d.Ask("chief", "POST", "/api/v1/faxes/abc/pages/"+path+"/choose", file); status != want || len(s.ordered) > 0 {
			t.Errorf("%s: %d %s, want %d and no order", path, status, body, want)
		}
	}
	status, body := d.Ask("chief", "POST", "/api/v1/faxes/abc/pages/1,3-4/choose", file)
	if status != 200 || !strings.Contains(body, `"done":true,"pages":[[1,1],[3,4]]`) || len(s.ordered) != 1 || s.ordered[0].Page != 1 ||
		s.ordered[0].Pages.Text() != "pages 1, 3-4" {
		t.Errorf("%d %s, ordered %+v", status, body, s.ordered)
	}
	if _, page := d.Ask("chief", "GET", "/fax/abc", ""); strings.Contains(page, `pages/2/choose" hx-morph-skip`) ||
		strings.Contains(page, form) {
		t.Error("one page is left, and there is a form for several")
	}
}

// A list shows which faxes wait for a choice, to programs and to people.
func TestTheListShowsWhatDiffers(t *testing.T) {
	d := newListener(t, newChoiceStub().config)
	for path, want := range map[string]string{
		"/":                                   "page 1 differs from the whole file: look at both images and choose one",
		"/api/v1/faxes":                       `"pages_differing":[[1,1]]`,
		"/api/v1/faxes?verification=differs":  `"session":"abc"`,
		"/api/v1/faxes?verification=verified": `"faxes":[]`,
		"/api/v1/faxes?verification=good":     "want none, pending, verified, differs, chosen, unavailable",
	} {
		if _, body := d.Ask("reader", "GET", path, ""); !strings.Contains(body, want) {
			t.Errorf("%s: no %q in\n%s", path, want, body)
		}
	}
	if _, body := d.Ask("reader", "GET", "/api/v1/faxes?verification=differs", ""); strings.Contains(body, "later") {
		t.Errorf("a fax without a difference is listed: %s", body)
	}
}

// The page of a fax has both images side by side, and buttons for whoever may choose.
func TestTheFaxPageOffersAChoice(t *testing.T) {
	s := newChoiceStub()
	d := newListener(t, s.config)
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	foreign := func(r *http.Request) { form(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for want, readers := range map[string]bool{
		"black and white are exchanged":                      true,
		`src="/api/v1/faxes/abc/pages/1.png?image=streamed"`: true,
		`src="/api/v1/faxes/abc/pages/1.png?image=file"`:     true,
		`href="#page-1"`: true,
		"log in with a token that has the scope operate": true,
		`action="/fax/abc/pages/1/choose"`:               false,
		"Use the page of the whole file":                 false,
	} {
		if _, body := d.Ask("reader", "GET", "/fax/abc", ""); strings.Contains(body, want) != readers {
			t.Errorf("a reader sees %q: %t, want %t", want, !readers, readers)
		}
	}
	chosen := url.Values{"image": {"file"}, "why": {"it is <black>"}}.Encode()
	for _, c := range []struct {
		who    string
		change func(*http.Request)
		body   string
		status int
	}{
		{"", form, chosen, 401},
		{"reader", form, chosen, 403},
		{"operator", foreign, chosen, 403},
		{"operator", form, "image=file", 400},
		{"operator", form, "image=file&why=" + strings.Repeat("x", maxWhy+1), 400},
		{"operator", form, chosen, 303},
	} {
		if status, body := d.Ask(c.who, "POST", "/fax/abc/pages/1/choose", c.body, c.change); status != c.status {
			t.Errorf("%q posts %.40s: %d %s, want %d", c.who, c.body, status, body, c.status)
		}
	}
	if len(s.ordered) != 1 || s.ordered[0].By != "operator" || s.ordered[0].Why != "it is <black>" {
		t.Errorf("ordered %+v", s.ordered)
	}
	_, body := d.Ask("reader", "GET", "/fax/abc", "")
	for _, want := range []string{"operator chose the page of the whole file", "it is &lt;black&gt;", "chosen: the page of the whole file"} {
		if !strings.Contains(body, want) {
			t.Errorf("after the choice there is no %q in\n%s", want, body)
		}
	}
}

// Without a login whoever chooses gives a name.
func TestAChoiceWithoutLoginHasAName(t *testing.T) {
	s := newChoiceStub()
	c := Config{Gate: local(), Board: &Board{}, Archive: s, Audit: s, Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)}
	s.config(&c)
	h := NewHandler(c)
	post := func(form url.Values) int {
		r := httptest.NewRequest("POST", "http://localhost/fax/abc/pages/1/choose", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/fax/abc", nil))
	if !strings.Contains(w.Body.String(), `name="by" required`) || !strings.Contains(w.Body.String(), "Use the page as it was streamed") {
		t.Errorf("the form is\n%s", w.Body)
	}
	form := url.Values{"image": {"streamed"}, "why": {"the file is blank"}}
	if code := post(form); code != 400 {
		t.Errorf("without a name: %d", code)
	}
	form.Set("by", "ada")
	if code := post(form); code != 303 || len(s.ordered) != 1 || s.ordered[0].By != "ada" {
		t.Errorf("with a name: %d, %+v", code, s.ordered)
	}
}

// What the receiving fax machine says of a page, how it is stored, and what was assumed, is shown to programs and people.
func TestAPageThatTheReceiverCalledBadIsMarked(t *testing.T) {
	s := twoFaxes()
	clean := 2
	f := s.facts[1]
	f.Received = &session.Received{BadRows: 12, LongestBad: 3, CleanFaxData: &clean}
	f.Orientation, f.ResolutionAssumed = 3, "72 x 72 per inch cannot be: 204 x 98 is assumed"
	s.facts[1] = f
	st := s.states["abc"]
	document := *st.Document
	document.Status, document.Reason, st.Document = session.StatusRecovered, session.RecoveredBeyond, &document
	s.states["abc"] = st
	srv := newServer(t, s)
	for path, wants := range map[string][]string{
		"/api/v1/faxes/abc": {
			`"received_bad_rows":12,"received_longest_bad_run":3,"received_clean_fax_data":2`, `"received_bad":true`, `"orientation":3`,
			`"resolution_assumed":"72 x 72`, `"reason":"more_pages_than_counted"`,
		},
		"/fax/abc": {
			"the receiver calls this page bad: it reports 12 bad rows", "shown upright", "72 x 72 per inch cannot be",
			"the whole file has more pages than the provider counts",
		},
		"/": {"the whole file has more pages than the provider counts"},
	} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		_ = resp.Write(&body)
		resp.Body.Close()
		for _, want := range wants {
			if !strings.Contains(body.String(), want) {
				t.Errorf("%s: no %q in\n%s", path, want, body.String())
			}
		}
	}
}
