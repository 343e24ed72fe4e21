package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// team has two faxes, and carries out orders at once with a real clerk on an archive in memory.
type team struct {
	stores
	mu      sync.Mutex
	board   *Board
	archive *pipelinetest.Desk
	ordered []session.Action
	first   func() // called before the next order is carried out: what somebody else does at the same time
}

func newTeam() *team {
	return &team{stores: twoFaxes(), archive: &pipelinetest.Desk{Objects: map[string][]byte{}, Events: map[string][]byte{}}}
}

func (s *team) config(c *Config) {
	s.board = c.Board
	c.Letters, c.Ledgers, c.Desk = s, s, desk.Logs{Archive: s.archive}
	for _, st := range s.states {
		c.Board.put(st)
	}
}

func (s *team) Load(_ context.Context, id string) (session.State, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[id], 1, nil
}

func (s *team) RecordFact(_ context.Context, f session.Fact) (uint64, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := session.Next(session.Policy{}, s.states[f.SessionID()], session.Event{At: time.Now(), Fact: f})
	s.states[f.SessionID()] = st
	s.board.put(st)
	return 1, nil, err
}

func (s *team) Act(ctx context.Context, a session.Action) (uint64, error) {
	if first := s.first; first != nil {
		s.first = nil
		first()
	}
	s.ordered = append(s.ordered, a)
	n := uint64(len(s.ordered))
	data, err := json.Marshal(a)
	if err != nil {
		return 0, err
	}
	clerk := desk.Clerk{Archive: s.archive, Facts: s}
	return n, clerk.Consumptions()[0].Handle(ctx, bus.Delivery{Data: data, Sequence: n, Time: time.Now()})
}

// Who may change what people say about a fax, what is refused and why, and what is told and listed then.
func TestWorkOnAFax(t *testing.T) {
	s := newTeam()
	d := newListener(t, s.config)
	for _, c := range []struct {
		who, method, path, body string
		status                  int
		says                    string
	}{
		{"reader", "GET", "/faxes/abc/desk", "", 200, `"work":{"n":0},"log":[]`},
		{"reader", "POST", "/faxes/abc/desk", `{"done":true}`, 403, "work"},
		{"", "POST", "/faxes/abc/desk", `{"done":true}`, 401, "token"},
		{"worker", "POST", "/faxes/abc/desk", `{}`, 400, "the change is empty"},
		{"worker", "POST", "/faxes/abc/desk", `{"assignee":"a\nb"}`, 400, "assignee"},
		{"worker", "POST", "/faxes/abc/desk", `{"add_labels":["a,b"]}`, 400, "comma"},
		{"worker", "POST", "/faxes/abc/desk", `{"note":"` + strings.Repeat("x", 2001) + `"}`, 400, "2001 bytes, want at most 2000"},
		{"worker", "POST", "/faxes/none/desk", `{"done":true}`, 404, "none"},
		{"worker", "POST", "/faxes/abc/desk", `{"by":"somebody else","assignee":"ada","add_labels":["lab","<b>"]}`, 200, `"done":true`},
		{"worker", "POST", "/faxes/abc/desk", `{"note":"call <script> back","seen":1}`, 200, `"note":"call`},
		{"worker", "POST", "/faxes/abc/desk", `{"assignee":"bob","seen":0}`, 409, "your change has no effect: it was assigned to ada by worker"},
		{"worker", "POST", "/faxes/abc/desk", `{"assignee":"bob","seen":3}`, 200, `"assignee":"bob"`},
		{"reader", "GET", "/faxes/abc/desk", "", 200, `"late":"it was assigned to ada by worker"`},
		{"reader", "GET", "/faxes/abc", "", 200, `"assignee":"bob"`},
		{"reader", "GET", "/faxes?assignee=BOB", "", 200, `"session":"abc"`},
		{"reader", "GET", "/faxes?assignee=ada", "", 200, `"faxes":[]`},
		{"reader", "GET", "/faxes?label=lab&assigned=yes&read=no&done=no", "", 200, `"labels":["\u003cb\u003e","lab"]`},
		{"reader", "GET", "/faxes?assigned=no", "", 200, `"session":"later"`},
		{"reader", "GET", "/faxes?done=perhaps", "", 400, "want yes, no"},
		{"reader", "GET", "/faxes?since=2026-11-24&until=2026-11-25", "", 200, `"session":"abc"`},
		{"reader", "GET", "/faxes?since=2026-11-25", "", 200, `"faxes":[]`},
		{"reader", "GET", "/faxes?since=lately", "", 400, "want a day such as"},
	} {
		if status, body := d.Ask(c.who, c.method, "/api/v1"+c.path, c.body); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s as %s: %d %s, want %d with %q", c.method, c.path, c.body, c.who, status, body, c.status, c.says)
		}
	}
	for _, a := range s.ordered {
		data, err := json.Marshal(a)
		if err != nil || strings.Contains(string(data), "call") || a.By != "worker" {
			t.Errorf("FAX_AUDIT would have %s, %v: want the name of the token, and no text of a note", data, err)
		}
	}
}

// The form of the fax's page does the same; another origin may not send it. What somebody else did meanwhile is shown, and the text of a
// note is not lost.
func TestWorkOnTheFaxPage(t *testing.T) {
	s := newTeam()
	d := newListener(t, s.config)
	post := func(who string, fields url.Values, change ...func(*http.Request)) (int, string) {
		return d.send(who, "/fax/abc/desk", fields, change...)
	}
	for _, c := range []struct {
		fields url.Values
		has    func(w session.Work) bool
	}{
		{url.Values{"do": {"take"}, "seen": {"0"}}, func(w session.Work) bool { return w.Assignee == "worker" }},
		{url.Values{"do": {"assign"}, "assignee": {" ada "}}, func(w session.Work) bool { return w.Assignee == "ada" }},
		{url.Values{"do": {"nobody"}, "assignee": {"ben"}}, func(w session.Work) bool { return w.Assignee == "" }},
		{url.Values{"do": {"label"}, "labels": {"a, b,"}}, func(w session.Work) bool { return slices.Contains(w.Labels, "b") }},
		{url.Values{"do": {"unlabel"}, "label": {"a"}}, func(w session.Work) bool { return !slices.Contains(w.Labels, "a") }},
		{url.Values{"do": {"note"}, "note": {"one\r\ntwo"}}, func(w session.Work) bool { return w.Note == "one\ntwo" }},
		{url.Values{"do": {"done"}}, func(w session.Work) bool { return w.Done && w.Read }},
		{url.Values{"do": {"reopen"}}, func(w session.Work) bool { return !w.Done }},
		{url.Values{"do": {"unread"}}, func(w session.Work) bool { return !w.Read }},
	} {
		if status, body := post("worker", c.fields); status != http.StatusSeeOther || !c.has(s.states["abc"].Work) {
			t.Errorf("%v: %d %s, and the fax has %+v", c.fields, status, body, s.states["abc"].Work)
		}
	}
	orders := len(s.ordered)
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	if status, _ := post("worker", url.Values{"do": {"done"}}, foreign); status != 403 {
		t.Errorf("another origin: %d", status)
	}
	if status, _ := post("reader", url.Values{"do": {"done"}}); status != 403 {
		t.Errorf("a reader: %d", status)
	}
	if status, body := post("worker", url.Values{"do": {"burn"}}); status != 400 || !strings.Contains(body, "no such button") {
		t.Errorf("a button that does not exist: %d %s", status, body)
	}
	if status, body := post("worker", url.Values{"do": {"assign"}, "assignee": {" "}}); status != 400 ||
		!strings.Contains(body, "is empty: write a name") {
		t.Errorf("an assignment to no name: %d %s", status, body)
	}
	if len(s.ordered) != orders {
		t.Errorf("%d orders of those who may not", len(s.ordered)-orders)
	}
	seen := s.states["abc"].Work.N
	s.first = func() {
		if _, err := s.Act(t.Context(), session.Action{
			Kind: session.ActionWorked, By: "bob", Session: "abc", Work: &session.WorkChange{Note: new(desk.NoteOf("abc", ""))},
		}); err != nil {
			t.Error(err)
		}
	}
	status, body := post("worker", url.Values{"do": {"note"}, "note": {"my <long> text"}, "seen": {string(rune('0' + seen))}})
	if status != 409 || !strings.Contains(body, "the note was changed by bob") ||
		!strings.Contains(body, "my &lt;long&gt; text") {
		t.Errorf("a note that is too late: %d %s", status, body)
	}
	d.admit(t, "hand", []access.Scope{access.ScopeWork})
	if status, body := post("hand", url.Values{"do": {"burn"}}); status != 400 || strings.Contains(body, `id="fax"`) {
		t.Errorf("a token that may not read sees the fax: %d %s", status, body)
	}
}

// A page that is missing says that the whole file is being fetched for it as long as that goes on, and the page of the fax leads to what
// can be done about it.
func TestAMissingPageSaysWhatIsBeingTried(t *testing.T) {
	s := newTeam()
	st := s.states["abc"]
	st.Document = &session.DocAssembled{Session: "abc", Revision: 1, Status: session.StatusPartial}
	st.Announced, st.WholeOpen, st.WholeWanted = session.Span(1, st.Usable.Max()+1), true, session.Span(1, st.Usable.Max()+1)
	s.states["abc"] = st
	d := newListener(t, s.config)
	d.admit(t, "fixer", []access.Scope{access.ScopeRead, access.ScopeOperate})
	d.admit(t, "looker", []access.Scope{access.ScopeRead})
	const tries, asks = "The whole file is being fetched for this page.", `<a class="missing" href="#repair">`
	if _, page := d.Ask("fixer", "GET", "/fax/abc", ""); strings.Count(page, tries) != 1 || strings.Count(page, asks) != 1 {
		t.Errorf("a fax that is being repaired: %s", page)
	}
	if _, page := d.Ask("looker", "GET", "/fax/abc", ""); strings.Contains(page, "#repair") || strings.Contains(page, "#derive") ||
		!strings.Contains(page, "#share") {
		t.Errorf("a reader is led to what the page does not have: %s", page)
	}
	st.WholeOpen = false
	s.states["abc"] = st
	if _, page := d.Ask("fixer", "GET", "/fax/abc", ""); strings.Contains(page, tries) || !strings.Contains(page, asks) {
		t.Errorf("a fax whose repair has ended: %s", page)
	}
}

// The history of a fax says in words what people did, the newest first, and of this fax only.
func TestTheHistoryOfAFax(t *testing.T) {
	d := newListener(t, func(c *Config) {
		newTeam().config(c)
		c.Trail = func(_ context.Context, since, _ time.Time, give func(api.AuditLine) error) error {
			for i, entry := range []string{
				`{"access":"view","by":"ada","session":"abc"}`, `{"access":"view","by":"eve","session":"later"}`,
				`{"action":"worked","by":"ben","session":"abc","work":{"note":{"key":"k","size":5},"add_labels":["<b>"]}}`,
			} {
				if err := give(api.AuditLine{Time: since.Add(time.Duration(i) * time.Hour), Entry: json.RawMessage(entry)}); err != nil {
					return err
				}
			}
			return nil
		}
	})
	_, page := d.Ask("reader", "GET", "/fax/abc/history", "")
	ada, ben := strings.Index(page, "<td>ada</td>"), strings.Index(page, "<td>ben</td>")
	if ben < 0 || ada < ben || strings.Contains(page, "eve") || !strings.Contains(page, "worked: added &lt;b&gt;; wrote: a note") {
		t.Errorf("the history is %s", page)
	}
}

// Pages say what is odd about them.
func TestQualityInWords(t *testing.T) {
	for want, q := range map[string]*session.Quality{
		"": nil, "blank": {Blank: true, Isolated: 900_000}, "turned by -2.3°": {Skew: -2300, SkewKnown: true},
		"very dark, with a black border, with many specks": {Ink: 400_000, Border: 90_000, Isolated: 300_000, Skew: 4000},
	} {
		if got := strings.Join((faxView{}).QualityText(q), ", "); got != want {
			t.Errorf("%+v is %q, want %q", q, got, want)
		}
	}
}

// A change of all that a filter chooses says first how many these are, and then is ordered for those and no others, also beyond the page.
func TestWorkOnAllThatTheFilterChooses(t *testing.T) {
	s := newTeam()
	start := s.states["abc"].Opened
	for i := range 700 {
		id := fmt.Sprint("crowd-", i)
		st := session.State{Session: id, Opened: start.Add(time.Duration(i) * time.Minute)}
		st.Work.Assignee = []string{"ada", "ben"}[i%2]
		s.states[id] = st
	}
	s.states["gone"] = session.State{Session: "gone", Opened: start, Purged: true}
	d := newListener(t, s.config)
	fields := url.Values{"assignee": {"ada"}, "do": {"done"}}
	status, page := d.send("worker", "/bulk", fields)
	newest := regexp.MustCompile(`name="newest" value="([^"]+)"`).FindStringSubmatch(page)
	if status != 200 || !strings.Contains(page, "350 faxes: mark as done?") || newest == nil || len(s.ordered) > 0 ||
		!strings.Contains(page, `<a href="/?assignee=ada">No</a>`) {
		t.Fatalf("before the confirmation: %d, %d orders, %s", status, len(s.ordered), page)
	}
	later := session.State{Session: "new", Opened: start.Add(1000 * time.Hour), Work: session.Work{Assignee: "ada"}}
	s.states["new"] = later
	s.board.put(later) // it was not among them
	fields["sure"], fields["newest"] = []string{"yes"}, []string{newest[1]}
	if status, page = d.send("worker", "/bulk", fields); status != 200 || !strings.Contains(page, "Ordered for 350 faxes: mark as done.") {
		t.Errorf("after the confirmation: %d %s", status, page)
	}
	done := 0
	for _, st := range s.states {
		if st.Work.Done {
			done++
		}
	}
	if s.states["crowd-1"].Work.Done || s.states["new"].Work.Done || s.states["abc"].Work.Done {
		t.Error("a fax is done that the filter did not choose")
	}
	if done != 350 || s.ordered[0].By != "worker" {
		t.Errorf("%d faxes are done, by %s", done, s.ordered[0].By)
	}
	for says, fields := range map[string]url.Values{
		"350 faxes: assign to carl?":  {"assignee": {"ben"}, "do": {"assign"}, "new_assignee": {"carl"}},
		"faxes: assign to nobody?":    {"assignee": {"ben"}, "do": {"nobody"}},
		"faxes: add the labels a, b?": {"assignee": {"ben"}, "do": {"label"}, "new_labels": {"a, b"}},
		"no such button":              {"do": {"burn"}},
		"a note is for one fax":       {"do": {"note"}, "new_note": {"x"}},
		"no fax for this order":       {"assignee": {"nobody"}, "do": {"done"}},
		"is not from this server":     {"assignee": {"ben"}, "do": {"done"}, "sure": {"yes"}, "newest": {"x"}},
		"tick faxes in the list":      {"do": {"done"}, "sure": {"yes"}},
	} {
		if _, page := d.send("worker", "/bulk", fields); !strings.Contains(page, says) {
			t.Errorf("%v: no %q in %s", fields, says, page)
		}
	}
	if status, _ := d.send("reader", "/bulk", fields); status != 403 {
		t.Errorf("a reader: %d", status)
	}
}

// An order for faxes that are ticked is for these, whatever the filter says; for all of them, or for none.
func TestWorkOnTheFaxesThatAreTicked(t *testing.T) {
	s := newTeam()
	start := s.states["abc"].Opened
	for _, id := range []string{"crowd-1", "crowd-2", "crowd-3"} {
		s.states[id] = session.State{Session: id, Opened: start}
	}
	d := newListener(t, s.config)
	if _, page := d.Ask("worker", "GET", "/", ""); !strings.Contains(page, `name="fax" value="crowd-1" form="bulk"`) ||
		!strings.Contains(page, `<form id="bulk"`) || strings.Contains(page, "/bulk/replay") {
		t.Errorf("the list for a worker: %s", page)
	}
	if _, page := d.Ask("reader", "GET", "/", ""); strings.Contains(page, `form="bulk"`) || strings.Contains(page, `id="bulk"`) {
		t.Errorf("the list for a reader: %s", page)
	}
	fields := url.Values{"assignee": {"nobody"}, "do": {"done"}, "fax": {"crowd-1", "crowd-3"}}
	status, page := d.send("worker", "/bulk", fields)
	if status != 200 || !strings.Contains(page, "2 faxes: mark as done?") || len(s.ordered) > 0 ||
		strings.Count(page, `<input type="hidden" name="fax" value="crowd-`) != 2 {
		t.Fatalf("before the confirmation: %d, %d orders, %s", status, len(s.ordered), page)
	}
	for says, ids := range map[string][]string{
		"no fax has the session none": {"crowd-1", "none"}, "want 1 to": {"crowd-1", "../x"}, "at most 100": make([]string, 101),
	} {
		if _, page := d.send("worker", "/bulk", url.Values{"do": {"done"}, "sure": {"yes"}, "fax": ids}); !strings.Contains(page, says) ||
			len(s.ordered) > 0 {
			t.Errorf("%v: %d orders, no %q in %s", ids, len(s.ordered), says, page)
		}
	}
	fields.Set("sure", "yes")
	if status, page := d.send("worker", "/bulk", fields); status != 200 || !strings.Contains(page, "Ordered for 2 faxes: mark as done.") {
		t.Errorf("after the confirmation: %d %s", status, page)
	}
	if !s.states["crowd-1"].Work.Done || s.states["crowd-2"].Work.Done || !s.states["crowd-3"].Work.Done || len(s.ordered) != 2 {
		t.Errorf("ordered %+v", s.ordered)
	}
}

// Numbers have the names that the server is configured with, however a number is written.
func TestNumbersHaveNames(t *testing.T) {
	s := newTeam()
	st := s.states["abc"]
	st.From, st.To = "+1 334-304-0000", "0013343040001"
	s.states["abc"] = st
	d := newListener(t, func(c *Config) {
		s.config(c)
		c.Names = map[string]string{"13343040000": "Laboratory", "13343040001": "Front <desk>"}
	})
	for path, want := range map[string]string{
		"/api/v1/faxes":     `"from_name":"Laboratory","to_name":"Front \u003cdesk\u003e"`,
		"/api/v1/faxes/abc": `"from_name":"Laboratory"`,
		"/":                 "Front &lt;desk&gt;",
		"/fax/abc":          "(Laboratory)",
	} {
		if _, body := d.Ask("reader", "GET", path, ""); !strings.Contains(body, want) {
			t.Errorf("%s has no %s: %s", path, want, body)
		}
	}
	if first := next(t, listen(t, d, "reader", "/live?")); !strings.Contains(first, "Laboratory") {
		t.Errorf("the live list has no names: %s", first)
	}
}

// next reads one event of a stream.
func next(t *testing.T, events *bufio.Scanner) string {
	t.Helper()
	_, html := nextEvent(t, events)
	return html
}

// nextEvent gives its id too.
func nextEvent(t *testing.T, events *bufio.Scanner) (id, data string) {
	t.Helper()
	var html strings.Builder
	for events.Scan() {
		line, ok := strings.CutPrefix(events.Text(), "data: ")
		mark, marked := strings.CutPrefix(events.Text(), "id: ")
		switch {
		case marked:
			id = mark
		case ok:
			html.WriteString(line + "\n")
		case events.Text() == "" && html.Len() > 0:
			return id, html.String()
		case events.Text() != "" && events.Text() != ": ":
			t.Fatalf("the stream has the line %q", events.Text())
		}
	}
	t.Fatalf("the stream ended: %v", events.Err())
	return "", ""
}

// listen opens a stream of a page.
func listen(t *testing.T, d *listener, who, path string) *bufio.Scanner {
	t.Helper()
	events, _ := listenFrom(t, d, who, path, "")
	return events
}

// listenFrom is listen by a page that has got an event with an id, and leaves in the end.
func listenFrom(t *testing.T, d *listener, who, path, last string) (events *bufio.Scanner, leave func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.Secrets[who])
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %d", path, resp.StatusCode)
	}
	return bufio.NewScanner(resp.Body), func() { resp.Body.Close() }
}

// A list says at once what it is, and again when it changes; the filter stays. A number with a line end in it ends no event.
func TestAListFillsInLive(t *testing.T) {
	s := newTeam()
	d := newListener(t, s.config)
	all, mine := listen(t, d, "reader", "/live?"), listen(t, d, "reader", "/live?assignee=ada")
	if first := next(t, all); !strings.Contains(first, `id="fax-abc"`) || !strings.Contains(first, `id="fax-later"`) {
		t.Errorf("the list begins with %s", first)
	}
	if first := next(t, mine); !strings.Contains(first, "No fax matches the filter") {
		t.Errorf("the filtered list begins with %s", first)
	}
	s.board.put(session.State{Session: "new", Opened: time.Now(), From: "1\r\nevent: x\rdata: <i>"})
	if now := next(t, all); !strings.Contains(now, `id="fax-new"`) || !strings.Contains(now, "event: x\ndata: &lt;i&gt;") {
		t.Errorf("the list has %s", now)
	}
	if status, body := d.Ask("worker", "POST", "/api/v1/faxes/abc/desk", `{"assignee":"ada"}`); status != 200 {
		t.Fatal(body)
	}
	if now := next(t, mine); !strings.Contains(now, `id="fax-abc"`) || strings.Contains(now, `id="fax-new"`) {
		t.Errorf("the filtered list has %s", now)
	}
}

// The page of a fax changes with its ledger. It is one view with the page that has shown its mark, and a view of its own without.
func TestAFaxFillsInLive(t *testing.T) {
	s := newTeam()
	d := newListener(t, s.config)
	_, page := d.Ask("reader", "GET", "/fax/abc", "")
	_, rest, _ := strings.Cut(page, `hx-sse:connect="`)
	mark, _, _ := strings.Cut(rest, `"`)
	events := listen(t, d, "reader", strings.ReplaceAll(mark, "&amp;", "&"))
	if first := next(t, events); !strings.Contains(first, "missing (empty)") || strings.Contains(first, "<html") {
		t.Errorf("the page begins with %s", first)
	}
	if len(d.recorded) != 1 {
		t.Errorf("the page and its changes are %d views, want 1", len(d.recorded))
	}
	if status, body := d.Ask("worker", "POST", "/api/v1/faxes/abc/desk", `{"assignee":"ada","note":"a\rb"}`); status != 200 {
		t.Fatal(body)
	}
	if now := next(t, events); !strings.Contains(now, "<strong>ada</strong>") {
		t.Errorf("the page has %s", now)
	}
	next(t, listen(t, d, "worker", "/live/abc"))
	next(t, listen(t, d, "worker", strings.ReplaceAll(mark, "&amp;", "&"))) // the mark is of somebody else
	if len(d.recorded) != 3 {
		t.Errorf("%d views are recorded, want 3", len(d.recorded))
	}
	if status, _ := d.Ask("reader", "GET", "/live/none", ""); status != 404 {
		t.Errorf("of no fax: %d", status)
	}
}

// Tabs with the same view share it: what comes is for all of them, a slow one gets the newest, and nothing is left when all have gone.
func TestTabsShareAView(t *testing.T) {
	var h hub
	published, ended := make(chan func([]byte), 1), make(chan bool, 1)
	run := func(ctx context.Context, publish func([]byte)) {
		published <- publish
		<-ctx.Done()
		ended <- true
	}
	first, leaveFirst := h.join("all", run)
	publish := <-published
	publish([]byte("1"))
	second, leaveSecond := h.join("all", run)
	publish([]byte("2"))
	if a, b := <-first, <-second; string(a) != "2" || string(b) != "2" {
		t.Errorf("the tabs have %s and %s, want the newest event", a, b)
	}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, leave := h.join("all", run)
			publish([]byte("3"))
			leave()
		})
	}
	wait.Wait()
	if a := <-first; string(a) != "3" {
		t.Errorf("the first tab has %s", a)
	}
	leaveFirst()
	if len(h.views) != 1 || len(published) > 0 {
		t.Error("the view ended while a tab shows it, or was begun twice")
	}
	leaveSecond()
	if <-ended; len(h.views) != 0 {
		t.Error("the view goes on although nobody looks")
	}
	if _, leave := h.join("all", run); true {
		<-published // it begins anew
		leave()
		<-ended
	}
}
