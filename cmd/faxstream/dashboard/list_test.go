package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// shelf is an archive's index with its faxes.
type shelf struct {
	faxes map[string]session.State // Opened is when the index has it
	pages map[int]session.PageArchived
	err   error
	reads atomic.Int64
	from  time.Time // where the last Before began
}

func (s *shelf) Before(_ context.Context, at time.Time, id string, since time.Time, f func(time.Time, string) bool) error {
	s.from = at
	var all []orderKey
	for id, st := range s.faxes {
		all = append(all, orderKey{st.Opened, id})
	}
	slices.SortFunc(all, func(a, b orderKey) int { return b.compare(a) })
	for _, k := range all {
		if k.compare(orderKey{at, id}) < 0 && !k.opened.Before(since) && !f(k.opened, k.session) {
			break
		}
	}
	return s.err
}

func (s *shelf) Sessions(_ context.Context, begin string, most int) (ids []string, err error) {
	for id := range s.faxes {
		if strings.HasPrefix(id, begin) && len(ids) < most {
			ids = append(ids, id)
		}
	}
	return ids, s.err
}

func (s *shelf) Fax(_ context.Context, id string) (session.State, map[int]session.PageArchived, error) {
	s.reads.Add(1)
	st, ok := s.faxes[id]
	switch {
	case strings.HasPrefix(id, "spoilt"):
		return st, nil, fmt.Errorf("manifest: %w", fs.ErrInvalid)
	case !ok || strings.HasPrefix(id, "open"):
		return st, nil, fs.ErrNotExist
	}
	return st, s.pages, nil
}

// noon is the first time in these tests; faxes come an hour apart.
var noon = time.Date(2020, 11, 24, 12, 0, 0, 0, time.UTC)

func fax(i int, to, status string) session.State {
	st := session.State{
		Session: fmt.Sprintf("fax-%04d", i), Opened: noon.Add(time.Duration(i) * time.Hour), To: to, From: "+1 222", Direction: session.Incoming,
	}
	if status != session.StatusReceiving {
		st.Document = &session.DocAssembled{Revision: 1, Status: status, PDF: session.Object{Key: "a.pdf"}}
	}
	return st
}

// library serves a board and a shelf.
func library(t *testing.T, board []session.State, older *shelf) *httptest.Server {
	t.Helper()
	s := twoFaxes()
	b := &Board{}
	for _, st := range board {
		b.put(st)
	}
	srv := httptest.NewServer(NewHandler(Config{
		Gate: local(), Board: b, Ledgers: s, Letters: s, Archive: s, Audit: s, Older: older, Log: slog.New(slog.DiscardHandler),
		Metrics: http.NotFoundHandler(),
	}))
	t.Cleanup(srv.Close)
	return srv
}

// indexed is a search index that is complete, or not.
type indexed struct {
	*search.Index
	complete bool
}

func (x indexed) Complete() bool { return x.complete }
func (x indexed) Whole() bool    { return x.complete }

// A list that is filtered by number, status or direction asks the index for the faxes that only the archive has, and reads no others. Where
// the index is not complete, or cannot be read, the list is the same.
func TestAFilteredListAsksTheIndex(t *testing.T) {
	older, want := &shelf{faxes: map[string]session.State{}}, []string{}
	index, _, err := search.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		st := fax(i, "+1 222", session.StatusComplete)
		if i%10 == 3 {
			st.To = "+1 111"
			want = append([]string{strings.TrimPrefix(st.Session, "fax-")}, want...)
		}
		older.faxes[st.Session] = st
		err := index.Write(t.Context(), search.Update{Faxes: []search.Fax{{
			Session: st.Session, Direction: st.Direction, From: st.From, To: st.To, Status: st.Document.Status, Start: st.Opened,
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name     string
		complete bool
		reads    int64
	}{{"complete", true, 30}, {"being filled", false, 300}, {"closed", true, 300}} {
		if row.name == "closed" {
			if err := index.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s := twoFaxes()
		srv := httptest.NewServer(NewHandler(Config{
			Gate: local(), Board: &Board{}, Ledgers: s, Letters: s, Archive: s, Audit: s, Older: older, Search: indexed{index, row.complete},
			Log: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler(),
		}))
		older.reads.Store(0)
		got := walk(t, srv, "limit=500&to=%2B1111&status=complete&direction=incoming")
		if !slices.Equal(got, want) || older.reads.Load() != row.reads {
			t.Errorf("%s: %d faxes, want %d; %d read, want %d", row.name, len(got), len(want), older.reads.Load(), row.reads)
		}
		if row.name == "complete" {
			if got := walk(t, srv, "limit=7&to=%2B1111"); !slices.Equal(got, want) {
				t.Errorf("seven at a time: %v, want %v", got, want)
			}
		}
		srv.Close()
	}
}

// walk reads all pages of a list and gives the numbers of the faxes.
func walk(t *testing.T, srv *httptest.Server, query string) (numbers []string) {
	t.Helper()
	for cursor, pages := "", 0; ; pages++ {
		resp, err := http.Get(srv.URL + "/api/v1/faxes?" + query + "&cursor=" + cursor)
		if err != nil {
			t.Fatal(err)
		}
		var l api.FaxList
		err = json.NewDecoder(resp.Body).Decode(&l)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || pages > 1000 {
			t.Fatalf("page %d: %s, %v", pages, resp.Status, err)
		}
		for _, f := range l.Faxes {
			numbers = append(numbers, strings.TrimPrefix(f.Session, "fax-"))
		}
		if cursor = l.Next; cursor == "" {
			return numbers
		}
	}
}

// Board and archive make one list, newest first, in which no fax is missing or stands twice, whatever the size of its pages.
func TestBoardAndArchiveAreOneList(t *testing.T) {
	older := &shelf{faxes: map[string]session.State{}}
	var board []session.State
	var want []string
	for i := range 120 {
		st := fax(i, "+1 111", session.StatusComplete)
		switch {
		case i%3 == 0: // both have it, opened a little later than the index says
			older.faxes[st.Session] = st
			st.Opened = st.Opened.Add(7 * time.Second)
			board = append(board, st)
		case i%3 == 1 || i < 40:
			older.faxes[st.Session] = st
		default:
			board = append(board, st)
		}
		want = append(want, strings.TrimPrefix(st.Session, "fax-"))
	}
	slices.Reverse(want)
	older.faxes["spoilt"] = session.State{Session: "spoilt", Opened: noon.Add(90 * time.Minute)}
	older.faxes["open"] = session.State{Session: "open", Opened: noon.Add(91 * time.Minute)}
	srv := library(t, board, older)
	for _, limit := range []int{1, 7, 40, 500} {
		if got := walk(t, srv, fmt.Sprintf("limit=%d", limit)); !slices.Equal(got, want) {
			t.Errorf("with %d on a page: %v", limit, got)
		}
	}
}

// A filter that few faxes of a large archive pass reads it in portions, and finds them all.
func TestARareFaxIsFoundInALargeArchive(t *testing.T) {
	older := &shelf{faxes: map[string]session.State{}}
	for i := range 2500 {
		to := "+1 111"
		if i%1200 == 17 {
			to = "+1 (999) 0"
		}
		st := fax(i, to, session.StatusComplete)
		older.faxes[st.Session] = st
	}
	srv := library(t, []session.State{fax(3000, "19990", session.StatusReceiving), fax(-1, "19990", session.StatusReceiving)}, older)
	if got := walk(t, srv, "to=19990&limit=10"); !slices.Equal(got, []string{"3000", "2417", "1217", "0017", "-001"}) {
		t.Errorf("%v", got)
	}
	older.reads.Store(0)
	if _, err := http.Get(srv.URL + "/api/v1/faxes?to=19990"); err != nil || older.reads.Load() > maxScanned {
		t.Errorf("one request read %d faxes, %v", older.reads.Load(), err)
	}
}

// Whoever asks again and again can leave the archive alone.
func TestAListWithoutTheArchiveDoesNotReadIt(t *testing.T) {
	older := &shelf{faxes: map[string]session.State{}}
	for i := range 4 {
		st := fax(i, "+1 111", session.StatusComplete)
		older.faxes[st.Session] = st
	}
	srv := library(t, []session.State{fax(3, "+1 111", session.StatusComplete), fax(5, "+1 111", session.StatusReceiving)}, older)
	for _, row := range []struct {
		query string
		want  []string
	}{
		{"archive=no", []string{"0005", "0003"}}, {"archive=no&limit=1", []string{"0005", "0003"}}, {"archive=no&status=partial", nil},
	} {
		if got := walk(t, srv, row.query); !slices.Equal(got, row.want) || older.reads.Load() > 0 {
			t.Errorf("%s: %q, want %q; %d faxes of the archive were read", row.query, got, row.want, older.reads.Load())
		}
	}
	if got := walk(t, srv, "archive=yes"); len(got) != 5 {
		t.Errorf("with the archive: %q", got)
	}
	if resp, err := http.Get(srv.URL + "/api/v1/faxes?archive=maybe"); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("archive=maybe: %v, %v", resp, err)
	}
}

func TestFaxesAreChosen(t *testing.T) {
	out := fax(3, "+1 333", session.StatusPartial)
	out.Direction = session.Outgoing
	srv := library(t, []session.State{fax(5, "+1 111", session.StatusReceiving), out, fax(4, "user-7", session.StatusComplete)},
		&shelf{faxes: map[string]session.State{
			"fax-0001": fax(1, "+1 111", session.StatusComplete), "fax-0002": fax(2, "+1 333", session.StatusPartial),
		}})
	at := func(i int) string {
		return url.QueryEscape(noon.Add(time.Duration(i) * time.Hour).Format(time.RFC3339))
	}
	for query, want := range map[string]string{
		"":                                     "0005 0004 0003 0002 0001",
		"to=%2B1+111":                          "0005 0001",
		"to=1-111":                             "0005 0001",
		"to=user-7":                            "0004",
		"from=1222&status=complete":            "0004 0001",
		"status=partial":                       "0003 0002",
		"status=receiving":                     "0005",
		"direction=outgoing":                   "0003",
		"since=" + at(3):                       "0005 0004 0003",
		"until=" + at(2):                       "0001",
		"since=" + at(2) + "&until=" + at(4):   "0003 0002",
		"since=" + at(9):                       "",
		"since=1d":                             "",
		"since=yesterday&until=today":          "",
		"until=yesterday&zone=Asia/Tokyo":      "0005 0004 0003 0002 0001",
		"since=2020-11-25&zone=Asia/Tokyo":     "0005 0004 0003", // midnight there is 15:00 UTC
		"until=2020-11-25&zone=Etc/GMT-9":      "0002 0001",
		"since=2020-11-24&until=2020-11-25":    "0005 0004 0003 0002 0001",
		"to=1333&direction=incoming&limit=500": "0002",
	} {
		if got := strings.Join(walk(t, srv, query), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{
		"since=lately", "until=1", "status=done", "direction=up", "limit=501",
		"since=2020-11-24&zone=../zone", "zone=Local", "zone=Asia/Nowhere", "zone=/etc/localtime",
	} {
		resp, err := http.Get(srv.URL + "/api/v1/faxes?" + query)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 400 {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
}

// While the archive is away the board is listed, and it is said that something may be missing.
func TestTheBoardIsListedWithoutTheArchive(t *testing.T) {
	srv := library(t, []session.State{fax(5, "+1 111", session.StatusReceiving)}, &shelf{err: errors.New("no answer")})
	for path, want := range map[string]string{"/api/v1/faxes": `"incomplete":"the archive did not answer`, "/": "the archive did not answer"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) || !strings.Contains(string(body), "fax-0005") {
			t.Errorf("%s: %s, %v: %s", path, resp.Status, err, body)
		}
	}
}

// A fax that has no ledger is served from the archive, and a page whose fact the stream has let go too.
func TestWhatOnlyTheArchiveKnowsIsServed(t *testing.T) {
	st := fax(1, "+1 111", session.StatusComplete)
	st.Usable = session.Span(1, 1)
	abc := twoFaxes().states["abc"]
	abc.Usable = session.Span(1, 2)
	older := &shelf{
		faxes: map[string]session.State{st.Session: st, "abc": abc},
		pages: map[int]session.PageArchived{
			1: {Page: 1, Original: session.Object{Key: "old-1.tiff", SHA256: "11"}},
			2: {Page: 2, Original: session.Object{Key: "old-2.tiff", SHA256: "22"}},
		},
	}
	s := twoFaxes()
	s.states["abc"] = abc
	h := NewHandler(Config{
		Gate: local(), Board: &Board{}, Ledgers: s, Letters: s, Archive: s, Audit: s, Older: older, Log: slog.New(slog.DiscardHandler),
		Metrics: http.NotFoundHandler(),
	})
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/api/v1/faxes/abc", 200, `"sha256":"aa"`}, // of page 1
		{"/api/v1/faxes/fax-0001/document.pdf", 200, "content of a.pdf"},
		{"/api/v1/faxes/fax-0001/pages/1.tiff", 200, "content of p.tiff"}, // its fact is still there
		{"/api/v1/faxes/fax-0001", 200, `"status":"complete"`},
		{"/api/v1/faxes/abc/pages/2.tiff", 200, "content of old-2.tiff"},
		{"/api/v1/faxes/abc/pages/1.tiff", 200, "content of p.tiff"},
		{"/api/v1/faxes/abc", 200, `"sha256":"22"`},
		{"/api/v1/faxes/unknown", 404, "no fax has the session"},
	} {
		r := httptest.NewRequest("GET", "http://localhost"+c.path, nil)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d with %q", c.path, w.Code, w.Body, c.status, c.want)
		}
	}
}

// A cursor of a time that is far away, which anybody can write, does not let the archive be searched from there.
func TestACursorOfAnotherMillenniumBeginsNow(t *testing.T) {
	older := &shelf{}
	srv := library(t, nil, older)
	far := orderKey{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), "x"}
	walk(t, srv, "cursor="+far.cursor())
	if latest := time.Now().Add(49 * time.Hour); older.from.IsZero() || older.from.After(latest) {
		t.Errorf("the archive is searched from %s on", older.from)
	}
}

// A view is a filter as the list understands it, with a name.
func TestParseView(t *testing.T) {
	for _, row := range []struct{ text, name, query, fails string }{
		{" Lab = label=lab&done=no", "", "", `" label" is not part`},
		{"Lab=label=lab&done=no&thumbs=1", "Lab", "done=no&label=lab&thumbs=1", ""},
		{"Lab=text=order+%264711", "Lab", "text=order+%264711", ""},
		{"All=", "All", "", ""},
		{"Lab=text=ab*", "", "", "view Lab: text: ab*: want at least"},
		{"=done=no", "", "", "want NAME=FILTER"},
		{strings.Repeat("x", 51) + "=done=no", "", "", "at most 50 bytes"},
		{"Lab=done=maybe", "", "", `view Lab: done "maybe": want yes, no`},
		{"Lab=colour=red", "", "", `"colour" is not part of a filter: want to, from`},
		{"Lab=done=%", "", "", "cannot be read"},
	} {
		v, err := ParseView(row.text, true)
		if row.fails != "" && (err == nil || !strings.Contains(err.Error(), row.fails)) {
			t.Errorf("%q: %+v, %v; want %s", row.text, v, err, row.fails)
		}
		if row.fails == "" && (err != nil || v.Name != row.name || v.Query != row.query) {
			t.Errorf("%q: %+v, %v", row.text, v, err)
		}
	}
	d := newListener(t, func(c *Config) { c.Views = []View{{"<Lab>", "done=no&label=lab"}} })
	if _, page := d.Ask("reader", "GET", "/", ""); !strings.Contains(page, `<a href="/?done=no&amp;label=lab">&lt;Lab&gt;</a>`) {
		t.Errorf("the list does not offer the view: %s", page)
	}
}

func FuzzParseView(f *testing.F) {
	f.Add("Lab=label=lab&done=no")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseView(text, true)
		if err != nil {
			return
		}
		if again, err := ParseView(v.Name+"="+v.Query, true); err != nil && !strings.Contains(v.Name, "=") || err == nil && again != v {
			t.Errorf("%q is %+v, and then %+v, %v", text, v, again, err)
		}
	})
}

// A number is found however the person who asks and the provider write it.
func TestFaxesAreFoundInEverySpellingOfANumber(t *testing.T) {
	s := twoFaxes()
	for id, from := range map[string]string{"abc": "+1 334-304-5554", "later": "+1 334-304-5555"} {
		st := s.states[id]
		st.From = from
		s.states[id] = st
	}
	srv := newServer(t, s)
	for _, from := range []string{
		"334-304-5554", "0013343045554", "+1 334 304 5554", "334/304-5554", "\u202a+1334\u20113045554\u202c", " 1.334.304.5554 ",
	} {
		if got := walk(t, srv, "limit=10&from="+url.QueryEscape(from)); !slices.Equal(got, []string{"abc"}) {
			t.Errorf("%q: %q", from, got)
		}
	}
}

// The form of the filter keeps what has no field in it.
func TestTheFormKeepsTheWholeFilter(t *testing.T) {
	const query = "read=no&direction=incoming&assigned=no&done=no&since=2026-11-24T12:00:00Z&until=2027-01-01&zone=Asia/Tokyo"
	_, page := newListener(t, nil).Ask("reader", "GET", "/?"+query, "")
	_, form, _ := strings.Cut(page, `<form class="filter"`)
	form, _, _ = strings.Cut(form, "</form>")
	for _, want := range []string{
		`<input type="hidden" name="assigned" value="no">`, `<option value="incoming" selected>`,
		`<select name="read"><option value="">either</option><option value="no" selected>`,
		`name="until" type="date" value="2027-01-01"`, `name="since" type="text" value="2026-11-24T12:00:00Z"`,
		`<span>Asia/Tokyo</span><input type="hidden" name="zone" value="Asia/Tokyo">`,
	} {
		if !strings.Contains(form, want) {
			t.Errorf("no %s in %s", want, form)
		}
	}
	if n := strings.Count(form, `name="done"`) + strings.Count(form, `name="verification"`); n != 1 {
		t.Errorf("fields that are there, or are not asked for, are hidden too: %s", form)
	}
	_, page = newListener(t, nil).Ask("reader", "GET", "/?since=2026-11-24", "")
	if !strings.Contains(page, `type="date" value="2026-11-24"`) {
		t.Errorf("a day: %s", page)
	}
}

// Faxes that have ended stay on the board: each takes few bytes of memory, and what many have in common is there once.
func TestTheBoardIsSmall(t *testing.T) {
	const n = 20_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var board Board
	ledgers := many(n)
	if err := board.Follow(t.Context(), ledgers, func() {}); err != nil {
		t.Fatal(err)
	}
	if each := (heap() - before) / n; each > 220 {
		t.Errorf("a fax takes %d bytes of the board", each)
	}
	if faxes, more := board.before(faxFilter{}, orderKey{}, 1); len(faxes) != 1 || !more || faxes[0].Session != fmt.Sprintf("%036d", n-1) {
		t.Errorf("the newest is %+v, others follow: %t", faxes, more)
	}
}

// many is so many ledgers of faxes that have ended. The first half comes again, as ledgers that change while they are read do.
type many int

func (n many) Ledgers(_ context.Context, f func(session.State), caught func()) error {
	for i := range int(n) * 3 / 2 {
		i %= int(n)
		f(session.State{
			Session: fmt.Sprintf("%036d", i), Direction: session.Incoming, From: fmt.Sprintf("+1 334-304-%04d", i), To: "+1 212-555-0001",
			Opened: time.Unix(int64(i), 0), Usable: session.Span(1, i%20),
			Document: &session.DocAssembled{Revision: 1, Status: session.StatusComplete},
		})
	}
	caught()
	return nil
}
