package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// catalogue is an index in which every fax is found, also a purged one and one that is unknown: an index may be behind.
type catalogue struct {
	asked    *search.Query
	complete bool
}

func (c catalogue) Complete() bool { return c.complete }

func (c catalogue) Whole() bool { return c.complete }

func (c catalogue) Listed(context.Context, search.Listing, time.Time, string, time.Time, func(time.Time, string) bool) error {
	return errors.New("not asked in these tests")
}

func (c catalogue) Matching(context.Context, search.Query) ([]search.Match, bool, error) {
	return nil, false, errors.New("not asked in these tests")
}

func (c catalogue) Changes() uint64 { return 0 }

func (c catalogue) Find(_ context.Context, q search.Query) (hits []search.Hit, next string, err error) {
	*c.asked = q
	if q.Text == "" {
		return nil, "", &search.BadQuery{Err: context.Canceled}
	}
	for _, id := range []string{"other", "gone", "mine", "sent", "unknown"} {
		snippet := strings.NewReplacer("[", search.Mark, "]", search.EndMark).Replace("an [order] of <b>[x]")
		hits = append(hits, search.Hit{Session: id, Found: []search.Page{{Page: 0, Snippet: "+1 222"}, {Page: 2, Snippet: snippet}}})
	}
	return hits, "4711", nil
}

// searchDesk is a desk whose index is a catalogue.
func searchDesk(t *testing.T, complete bool) (*listener, *search.Query) {
	t.Helper()
	asked := &search.Query{}
	d := officeDesk(t, func(c *Config) { c.Search = catalogue{asked, complete} })
	return d, asked
}

// What is found is shown as the ledgers say, to those who may see it, and recorded. A purged fax is not shown although the index has it.
func TestSearch(t *testing.T) {
	for reader, want := range map[string][]string{"clerk": {"mine", "sent"}, "boss": {"other", "mine", "sent"}} {
		d, asked := searchDesk(t, true)
		status, body := d.Ask(reader, "GET", "/api/v1/search?q=order&to=334&status=partial&limit=7&cursor=9", "")
		var result api.SearchResult
		if err := json.Unmarshal([]byte(body), &result); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", reader, status, body)
		}
		var got, recorded []string
		for _, f := range result.Faxes {
			got = append(got, f.Session)
			parts := []api.Part{{Text: "an "}, {Text: "order", Hit: true}, {Text: " of <b>"}, {Text: "x", Hit: true}}
			if len(f.Found) != 2 || f.Found[1].Page != 2 || !slices.Equal(f.Found[1].Snippet, parts) || f.Status == "" {
				t.Errorf("%s: the fax is %+v", reader, f)
			}
		}
		for _, a := range d.recorded {
			if a.Kind == session.AccessSearch {
				recorded = append(recorded, a.Session)
			}
		}
		slices.Sort(recorded)
		sorted := slices.Clone(want)
		slices.Sort(sorted)
		if !slices.Equal(got, want) || !slices.Equal(recorded, sorted) || result.Next != "4711" || result.Incomplete != "" {
			t.Errorf("%s finds %v (want %v), recorded are %v: %s", reader, got, want, recorded, body)
		}
		if asked.To != "334" || asked.Status != session.StatusPartial || asked.Limit != 7 || asked.After != "9" ||
			(asked.Sees == nil) != (reader == "boss") || asked.Sees != nil && (asked.Sees("1222") || !asked.Sees("13343040000")) {
			t.Errorf("%s: asked for %+v", reader, asked)
		}
	}
}

// The page of the dashboard shows the same, and no text of a fax is HTML.
func TestSearchPage(t *testing.T) {
	d, _ := searchDesk(t, false)
	status, body := d.Ask("boss", "GET", "/search?q=order+%22x%22", "")
	for _, want := range []string{
		`<mark>order</mark>`, `of &lt;b&gt;`, `value="order &#34;x&#34;"`, `/search?q=order%20%22x%22&amp;cursor=4711`,
		`/fax/mine/pages/2?words=order%20%22x%22">Page 2`, "is being filled",
	} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, no %s in\n%s", status, want, body)
		}
	}
	if strings.Contains(body, "/fax/gone") {
		t.Error("a purged fax is shown")
	}
	if status, body := d.Ask("boss", "GET", "/search", ""); status != http.StatusOK || strings.Contains(body, "No page") {
		t.Errorf("without a query: %d %s", status, body)
	}
	if status, body := d.Ask("boss", "GET", "/", ""); status != http.StatusOK || !strings.Contains(body, `action="/search"`) {
		t.Errorf("the list has no search: %d %s", status, body)
	}
	status, body = d.Ask("boss", "GET", "/search?q=x&since=lately", "")
	if status != http.StatusOK || !strings.Contains(body, "want a day") {
		t.Errorf("a wrong filter: %d %s", status, body)
	}
}

// Each mistake has its sentence. Where an access cannot be recorded, nothing is shown.
func TestSearchThatIsRefused(t *testing.T) {
	d, _ := searchDesk(t, true)
	for path, want := range map[string]string{
		"q=": "q: ", "q=x&limit=0": "want 1 to 100", "q=x&limit=101": "want 1 to 100", "q=x&status=lost": "want receiving",
	} {
		status, body := d.Ask("boss", "GET", "/api/v1/search?"+path, "")
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := d.Ask("", "GET", "/api/v1/search?q=x", ""); status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", status)
	}
	d.admit(t, "sender", []access.Scope{access.ScopeText})
	if status, _ := d.Ask("sender", "GET", "/api/v1/search?q=x", ""); status != http.StatusForbidden {
		t.Errorf("without the scope: %d", status)
	}
	d.refuse = context.DeadlineExceeded
	status, body := d.Ask("boss", "GET", "/api/v1/search?q=x", "")
	if status != http.StatusServiceUnavailable || strings.Contains(body, "order") {
		t.Errorf("without a record: %d %s", status, body)
	}
	if status, body := newListener(t, nil).Ask("reader", "GET", "/api/v1/search?q=x", ""); status != http.StatusNotFound ||
		!strings.Contains(body, "--no-search") {
		t.Errorf("without an index: %d %s", status, body)
	}
}

// textDesk is a desk of four faxes on the board and three in the archive only, with an index of their texts.
func textDesk(t *testing.T) (d *listener, index *search.Index, board *Board, older *shelf) {
	t.Helper()
	index, _, err := search.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	older = &shelf{faxes: map[string]session.State{}}
	for i, to := range []string{office, "+1 222", office} {
		older.faxes[fax(i, to, session.StatusPartial).Session] = fax(i, to, session.StatusPartial)
	}
	d = officeDesk(t, func(c *Config) {
		c.Older, c.Search, board = older, indexed{index, true}, c.Board
	})
	write := func(st session.State, text string) {
		writeText(t, index, search.Fax{Session: st.Session, Direction: st.Direction, From: st.From, To: st.To, Start: st.Opened}, text)
	}
	for _, st := range fourFaxes().states {
		write(st, "an order of bandages")
	}
	write(older.faxes["fax-0000"], "an order of 1999")
	write(older.faxes["fax-0001"], "an order of 1999")
	write(older.faxes["fax-0002"], "a refusal")
	return d, index, board, older
}

// writeText writes a fax with one page.
func writeText(t *testing.T, index *search.Index, f search.Fax, text string) {
	t.Helper()
	f.Texts = map[int]search.Text{1: {Body: text}}
	if err := index.Write(t.Context(), search.Update{Faxes: []search.Fax{f}}); err != nil {
		t.Fatal(err)
	}
}

// A list by text has the faxes with these words that the other filters choose and the reader may see, of the board and of the archive
// alone, page after page. Each that is shown is recorded. A purged fax is not there, although the index has it.
func TestAListByText(t *testing.T) {
	for _, c := range []struct{ reader, query, want string }{
		{"boss", "text=order", "sent other mine fax-0001 fax-0000"},
		{"boss", "text=ORDER+of+bandages", "sent other mine"},
		{"boss", "text=1999&status=partial", "fax-0001 fax-0000"},
		{"boss", "text=order&status=receiving", ""},
		{"boss", "text=order&to=3343040000", "mine fax-0000"},
		{"boss", "text=order&until=2021-01-01", "fax-0001 fax-0000"},
		{"boss", "text=order&direction=outgoing", "sent"},
		{"boss", "text=refusal", "fax-0002"},
		{"boss", "text=1999", "fax-0001 fax-0000"},
		{"boss", "text=nothing", ""},
		{"clerk", "text=order", "sent mine fax-0000"},
		{"clerk", "text=1999", "fax-0000"},
	} {
		d, _, _, older := textDesk(t)
		var got, recorded []string
		for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
			status, body := d.Ask(c.reader, "GET", "/api/v1/faxes?limit=2&"+c.query+"&cursor="+cursor, "")
			var l api.FaxList
			if err := json.Unmarshal([]byte(body), &l); err != nil || status != http.StatusOK || l.Incomplete != "" {
				t.Fatalf("%s: %d %s", c.query, status, body)
			}
			for _, f := range l.Faxes {
				got = append(got, f.Session)
			}
			cursor = l.Next
		}
		for _, a := range d.recorded {
			if a.Kind == session.AccessSearch && a.By == c.reader {
				recorded = append(recorded, a.Session)
			}
		}
		want := strings.Fields(c.want)
		if c.query == "text=1999" && c.reader == "boss" && older.reads.Load() != 2 {
			t.Errorf("%s: %d faxes are read from the archive, want those with the word", c.query, older.reads.Load())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, %s: %v, want %v", c.reader, c.query, got, want)
		}
		slices.Sort(recorded)
		slices.Sort(want)
		if !slices.Equal(recorded, want) {
			t.Errorf("%s, %s: recorded are %v, want %v", c.reader, c.query, recorded, want)
		}
	}
}

// The page of a list by text keeps its words in its form, and records what it shows once: its changes are the same view, and a fax that
// gets the words later is recorded when it comes.
func TestAListByTextFillsInLive(t *testing.T) {
	d, index, board, _ := textDesk(t)
	status, page := d.Ask("boss", "GET", "/?text=bandages&to=1222", "")
	if status != http.StatusOK || !strings.Contains(page, `name="text" type="search" size="16" maxlength="1000" value="bandages"`) ||
		!strings.Contains(page, `id="fax-other"`) || strings.Contains(page, `id="fax-mine"`) || len(d.recorded) != 2 {
		t.Fatalf("%d, recorded %v: %s", status, d.recorded, page)
	}
	_, rest, _ := strings.Cut(page, `hx-sse:connect="`)
	live, _, _ := strings.Cut(rest, `"`)
	events := listen(t, d, "boss", strings.ReplaceAll(live, "&amp;", "&"))
	if first := next(t, events); !strings.Contains(first, `id="fax-other"`) {
		t.Errorf("the list begins with %s", first)
	}
	if len(d.recorded) != 2 {
		t.Errorf("recorded again: %v", d.recorded)
	}
	late := session.State{Session: "late", Opened: time.Now(), To: "+1 222"}
	board.put(late)
	writeText(t, index, search.Fax{Session: late.Session, To: late.To, Start: late.Opened}, "bandages too")
	if now := next(t, events); !strings.Contains(now, `id="fax-late"`) {
		t.Errorf("after a text has come: %s", now)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.recorded) != 3 || d.recorded[2].Session != "late" || d.recorded[2].Kind != session.AccessSearch {
		t.Errorf("recorded: %v", d.recorded)
	}
}

// A live list by text reads what only the archive has again when other faxes are found, and not at every change of one that it shows.
func TestALiveListByTextReadsTheArchiveOnce(t *testing.T) {
	d, index, board, older := textDesk(t)
	events := listen(t, d, "boss", "/live?text=order")
	next(t, events)
	change := fourFaxes().states["other"]
	change.Work.Assignee = "ada"
	board.put(change)
	if now := next(t, events); !strings.Contains(now, "ada") || !strings.Contains(now, `id="fax-fax-0001"`) {
		t.Errorf("after a change: %s", now)
	}
	if n := older.reads.Load(); n != 2 {
		t.Errorf("%d reads of 2 faxes that only the archive has", n)
	}
	late := older.faxes["fax-0002"]
	writeText(t, index, search.Fax{Session: late.Session, To: late.To, Start: late.Opened}, "no refusal, but an order")
	if now := next(t, events); !strings.Contains(now, `id="fax-fax-0002"`) {
		t.Errorf("after a text has come: %s", now)
	}
}

// A live list by text whose connection was lost records only what the page has not shown yet, also if the list has changed: the connection
// that comes says what the last event said.
func TestAListByTextThatConnectsAgain(t *testing.T) {
	d, index, board, _ := textDesk(t)
	_, page := d.Ask("boss", "GET", "/?text=bandages&to=1222", "")
	_, rest, _ := strings.Cut(page, `hx-sse:connect="`)
	live, _, _ := strings.Cut(rest, `"`)
	live = strings.ReplaceAll(live, "&amp;", "&")
	events, leave := listenFrom(t, d, "boss", live, "")
	next(t, events)
	add := func(id string) {
		st := session.State{Session: id, Opened: time.Now(), To: "+1 222"}
		writeText(t, index, search.Fax{Session: id, To: st.To, Start: st.Opened}, "bandages too")
		board.put(st)
	}
	add("late")
	last := ""
	for html := ""; !strings.Contains(html, "late"); {
		last, html = nextEvent(t, events)
	}
	leave()
	add("later")
	d.mu.Lock()
	d.recorded = nil
	d.mu.Unlock()
	for _, c := range []struct{ from, live, want string }{
		{last, live, "later"},
		{"", live, "late later"},
		{"", "/live?text=bandages&to=1222", "late later other sent"},
		{strings.Repeat("1.", 400), "/live?text=bandages&to=1222", "late later other sent"},
	} {
		events, leave := listenFrom(t, d, "boss", c.live, c.from)
		if now := next(t, events); !strings.Contains(now, `id="fax-later"`) || !strings.Contains(now, `id="fax-other"`) {
			t.Errorf("from %q on: %s", c.from, now)
		}
		leave()
		var got []string
		d.mu.Lock()
		for _, a := range d.recorded {
			got = append(got, a.Session)
		}
		d.recorded = nil
		d.mu.Unlock()
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("from %q on, recorded are %v, want %s", c.from, got, c.want)
		}
	}
}

// Live lists by text are bounded: each has its faxes in memory. One that is left makes room.
func TestLiveListsByTextAreBounded(t *testing.T) {
	d, _, _, _ := textDesk(t)
	for range maxFoundTabs {
		next(t, listen(t, d, "boss", "/live?text=order"))
	}
	if status, body := d.Ask("boss", "GET", "/live?text=order", ""); status != http.StatusServiceUnavailable ||
		!strings.Contains(body, "load the list again") {
		t.Errorf("one more: %d %s", status, body)
	}
	// A page that asked for it again and again would record its faxes each time.
	if status, page := d.Ask("boss", "GET", "/?text=order", ""); status != http.StatusOK || !strings.Contains(page, `id="fax-mine"`) ||
		strings.Contains(page, "sse:connect") || !strings.Contains(page, "does not fill in by itself") {
		t.Errorf("a page with one more: %d %s", status, page)
	}
	if _, page := d.Ask("boss", "GET", "/", ""); !strings.Contains(page, "sse:connect") || strings.Contains(page, "does not fill in") {
		t.Errorf("a page with another list: %s", page)
	}
	next(t, listen(t, d, "boss", "/live?")) // another list
}

// More faxes than a list can have with a text are said to be missing at its end, and are no choice for an order to all. A list whose reads
// cannot be recorded is not shown, and a mistake has its sentence.
func TestAListByTextThatIsRefusedOrCut(t *testing.T) {
	d, _, _, _ := textDesk(t)
	for path, want := range map[string]string{"/api/v1/faxes?text=!": "text: nothing to look for", "/?text=a*": "text: a*: want at least"} {
		if status, body := d.Ask("boss", "GET", path, ""); status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	d.refuse = context.DeadlineExceeded
	for _, path := range []string{"/api/v1/faxes?text=order", "/?text=order"} {
		if status, body := d.Ask("boss", "GET", path, ""); status != http.StatusServiceUnavailable || strings.Contains(body, "mine") {
			t.Errorf("%s without a record: %d %s", path, status, body)
		}
	}
	none := newListener(t, nil)
	status, body := none.Ask("reader", "GET", "/api/v1/faxes?text=order", "")
	if _, page := none.Ask("reader", "GET", "/", ""); status != http.StatusBadRequest || !strings.Contains(body, "--no-search") ||
		strings.Contains(page, `name="text"`) {
		t.Errorf("without an index: %d %s, and the page is %s", status, body, page)
	}
	s := newTeam()
	cut := newListener(t, func(c *Config) {
		s.config(c)
		c.Search = manyFound{}
	})
	for query, want := range map[string]string{"limit=1": "", "limit=500": "more than 10000 faxes have these words"} {
		if _, body := cut.Ask("reader", "GET", "/api/v1/faxes?text=x&"+query, ""); strings.Contains(body, "incomplete") != (want != "") ||
			!strings.Contains(body, want) {
			t.Errorf("%s of a list that is cut: %s", query, body)
		}
	}
	fields := url.Values{"text": {"x"}, "do": {"done"}}
	status, page := cut.send("worker", "/bulk", fields)
	if status != http.StatusBadRequest || !strings.Contains(page, "more than 10000 faxes") {
		t.Errorf("an order for all of them: %d %s", status, page)
	}
	cut.admit(t, "robot", []access.Scope{access.ScopeWork})
	if status, page := cut.send("robot", "/bulk", fields); status != http.StatusForbidden || !strings.Contains(page, "the scope read") {
		t.Errorf("who may not read asks for words: %d %s", status, page)
	}
}

// manyFound is an index in which more faxes match than are asked for.
type manyFound struct{ catalogue }

func (manyFound) Complete() bool { return true }

func (manyFound) Matching(context.Context, search.Query) (found []search.Match, more bool, err error) {
	return []search.Match{{Session: "abc"}, {Session: "later"}}, true, nil
}

// A program that reads a list by text again and again is recorded once for each fax, also one that has left the list for a while. What
// another reader has seen, what is no Seen, and one that is too old count for nothing.
func TestAListByTextThatIsReadAgain(t *testing.T) {
	d, _, _, _ := textDesk(t)
	read := func(who, query, seen string) (l api.FaxList, recorded []string) {
		t.Helper()
		before := len(d.recorded)
		status, body := d.Ask(who, "GET", "/api/v1/faxes?"+query+"&seen="+url.QueryEscape(seen), "")
		if err := json.Unmarshal([]byte(body), &l); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		for _, a := range d.recorded[before:] {
			recorded = append(recorded, a.Session)
		}
		slices.Sort(recorded)
		return l, recorded
	}
	first, recorded := read("boss", "text=1999", "")
	if want := []string{"fax-0000", "fax-0001"}; !slices.Equal(recorded, want) || first.Seen == "" {
		t.Fatalf("the first list records %v, want %v; %q", recorded, want, first.Seen)
	}
	all, recorded := read("boss", "text=order", first.Seen)
	if want := []string{"mine", "other", "sent"}; !slices.Equal(recorded, want) || len(all.Faxes) != 5 {
		t.Errorf("a longer list records %v, want %v", recorded, want)
	}
	few, recorded := read("boss", "text=bandages&archive=no", all.Seen)
	if len(few.Faxes) != 3 || len(recorded) > 0 {
		t.Errorf("a list of what was seen records %v", recorded)
	}
	if _, recorded = read("boss", "text=order", few.Seen); len(recorded) > 0 {
		t.Errorf("faxes that come back are recorded again: %v", recorded)
	}
	if _, recorded = read("clerk", "text=order", few.Seen); len(recorded) != 3 {
		t.Errorf("what another reader has seen: recorded are %v, want 3", recorded)
	}
	end, marks, _ := strings.Cut(few.Seen, ".")
	for _, bad := range []string{
		"x", end, marks, "1." + marks, "99999999999." + marks, end + "." + strings.Repeat("A", len(marks)), end + ".A" + marks,
	} {
		if _, recorded = read("boss", "text=order", bad); len(recorded) != 5 {
			t.Errorf("seen=%s: recorded are %v, want all 5", bad, recorded)
		}
	}
	if l, _ := read("boss", "status=partial", few.Seen); l.Seen != "" {
		t.Errorf("a list without a text has %q", l.Seen)
	}
}

// FuzzSeen: whatever a caller sends, it names no more faxes than it may, and none for longer than a view is good.
func FuzzSeen(f *testing.F) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Add("")
	f.Add("1764000000." + strings.Repeat("a", 2*seenSize))
	f.Add(strconv.FormatInt(viewEnds(now), 10) + "." + strings.Repeat("é", maxSeen*seenSize))
	f.Add("-1.ä")
	f.Fuzz(func(t *testing.T, text string) {
		until, marks := parseSeen(text, now)
		if until <= now.Unix() || until > viewEnds(now) || len(marks) > maxSeen {
			t.Errorf("%d marks until %d", len(marks), until)
		}
		for _, m := range marks {
			if len(m) != seenSize {
				t.Errorf("mark %q", m)
			}
		}
	})
}
