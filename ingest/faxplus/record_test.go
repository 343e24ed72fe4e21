package faxplus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/ingest/faxplus/faxplustest"
	"github.com/faxstream/faxstream/pipeline/session"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func listedIDs(list []faxplus.Record) []string {
	ids := []string{}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestListsHaveTheFaxesOfTheirCategoryAndWindow(t *testing.T) {
	sim, c, _ := provider(t, nil)
	faxes := map[string]faxplustest.Fax{
		"early": {Session: "early", StartTime: noon.Add(-time.Hour)},
		"noon":  {Session: "noon", StartTime: noon},
		"late":  {Session: "late", StartTime: noon.Add(time.Hour)},
		"spam":  {Session: "spam", StartTime: noon, Spam: true},
		"sent":  {Session: "sent", StartTime: noon, Direction: session.Outgoing},
	}
	for _, f := range faxes {
		sim.Add(f)
	}
	for _, row := range []struct {
		category      string
		after, before time.Time
		limit         int
		want          string
	}{
		{faxplus.CategoryInbox, noon.Add(-2 * time.Hour), noon.Add(2 * time.Hour), 50, "late noon early"},
		{
			faxplus.CategoryInbox, noon.Add(-time.Second).In(time.FixedZone("", 3600)), noon.Add(time.Second).In(time.FixedZone("", -7200)), 50,
			"noon",
		},
		{faxplus.CategoryInbox, noon.Add(-2 * time.Hour), noon.Add(2 * time.Hour), 2, "late noon"},
		{faxplus.CategorySpam, noon.Add(-2 * time.Hour), noon.Add(2 * time.Hour), 50, "spam"},
		{faxplus.CategorySent, noon.Add(-2 * time.Hour), noon.Add(2 * time.Hour), 50, "sent"},
		{faxplus.CategoryInbox, noon.Add(time.Minute), noon.Add(2 * time.Minute), 50, ""},
	} {
		got, err := c.List(t.Context(), row.category, row.after, row.before, row.limit)
		want := []string{}
		for name := range strings.FieldsSeq(row.want) {
			want = append(want, faxes[name].ListedID())
		}
		if ids := listedIDs(got); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%s from %s to %s, %d at most: %v, %v; want %s", row.category, row.after, row.before, row.limit, ids, err, row.want)
		}
	}
	spam, err := c.List(t.Context(), faxplus.CategorySpam, noon.Add(-time.Hour), noon.Add(time.Hour), 1)
	if err != nil || len(spam) != 1 || !spam[0].Spam || !spam[0].StartTime.Equal(noon) || spam[0].Direction != session.Incoming {
		t.Errorf("the spam is %+v, %v", spam, err)
	}
}

func TestARecordIsFoundUnderBothIDs(t *testing.T) {
	sim, c, _ := provider(t, nil)
	f := faxplustest.Fax{
		Session: "s1", From: "+1 2", To: "+3 4", FileID: "f.tiff", FileName: "n", UID: "u", Pages: make([][]byte, 3), StartTime: noon,
	}
	sim.Add(f)
	want := faxplus.Record{
		ID: f.ListedID(), File: "f.tiff", FileName: "n", UID: "u", From: "+1 2", To: "+3 4", Status: "success", Pages: 3,
		StartTime: noon, Direction: session.Incoming,
	}
	for _, id := range []string{"s1", f.ListedID()} {
		got, err := c.Record(t.Context(), id)
		if want.SHA256 = got.SHA256; err != nil || got != want || len(got.SHA256) != 64 || !got.Terminal() {
			t.Errorf("record of %s: %+v, %v; want %+v", id, got, err, want)
		}
	}
	_, err := c.Record(t.Context(), "nobody")
	if e := wantError(t, err, session.ReasonNotYet); e.Status != http.StatusNotFound {
		t.Errorf("status %d of a fax that is not there", e.Status)
	}
}

func TestAFaxOnTheLineIsNotTerminal(t *testing.T) {
	sim, c, _ := provider(t, nil)
	var asked atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			return
		}
		if rec, err := c.Record(t.Context(), "s1"); err != nil || rec.Terminal() || !rec.StatusKnown() {
			t.Errorf("while pages come the record is %+v, %v", rec, err)
		}
	}))
	defer target.Close()
	if err := sim.Send(
		t.Context(), target.URL, faxplustest.Fax{Session: "s1", Streamed: true, Pages: [][]byte{page("1"), page("2")}, Whole: page("w")},
	); err != nil {
		t.Fatal(err)
	}
	if rec, err := c.Record(t.Context(), "s1"); err != nil || !rec.Terminal() || asked.Load() != 3 {
		t.Errorf("after %d webhooks the record is %+v, %v", asked.Load(), rec, err)
	}
}

func TestStatusIsAnOpenSet(t *testing.T) {
	for status, want := range map[string]struct{ terminal, known bool }{
		"success": {true, true}, " Success ": {true, true}, "partially_received": {true, true}, "partially_sent": {true, true},
		"failed": {true, true}, "failed_busy_ringing": {true, true}, "insufficient_credit": {true, true},
		"in_progress": {false, true}, "IN PROGRESS": {false, true}, "receiving": {false, true}, "processing": {false, true},
		"pending": {false, true},
		"queued":  {false, true}, "queued_for_retry": {false, true}, "still-receiving-pages": {false, true},
		"": {true, false}, "rejected": {true, false}, "cancelled": {true, false}, "news": {true, false}, "7": {true, false},
	} {
		if r := (faxplus.Record{Status: status}); r.Terminal() != want.terminal || r.StatusKnown() != want.known {
			t.Errorf("%q: terminal %t, known %t; want %+v", status, r.Terminal(), r.StatusKnown(), want)
		}
	}
}

// answering gives a client of a server that answers everything with one body, and what it was asked.
func answering(t *testing.T, body string) (*faxplus.Client, *[]string) {
	t.Helper()
	return answeringTo(t, body, nil)
}

// answeringTo is answering with another configuration of the client.
func answeringTo(t *testing.T, body string, change func(*faxplus.Config)) (*faxplus.Client, *[]string) {
	t.Helper()
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return client(t, srv.URL, change), &asked
}

func TestRecordsInEveryShape(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		want faxplus.Record
	}{
		"numbers as strings": {`{"id":"a","pages":"12","is_spam":"true"}`, faxplus.Record{ID: "a", Pages: 12, Spam: true}},
		"in data":            {`{"data":{"id":"a","pages":2,"is_spam":false}}`, faxplus.Record{ID: "a", Pages: 2}},
		"other names": {
			`{"id":7,"from_number":13,"to_number":"+2","uid":"u","is_spam":1}`, faxplus.Record{ID: "7", From: "13", To: "+2", UID: "u", Spam: true},
		},
		"a time with a zone": {`{"id":"a","start_time":"2026-11-24T14:00:00+02:00"}`, faxplus.Record{ID: "a", StartTime: noon}},
		"a time without":     {`{"id":"a","start_time":"2026-11-24 12:00:00"}`, faxplus.Record{ID: "a", StartTime: noon}},
		"no time":            {`{"id":"a","start_time":"yesterday","pages":-1}`, faxplus.Record{ID: "a"}},
		"a time before all":  {`{"id":"a","start_time":"0000-12-31T23:59:59+00:00"}`, faxplus.Record{ID: "a"}},
		"outgoing":           {`{"id":"a","direction":"Outgoing"}`, faxplus.Record{ID: "a", Direction: session.Outgoing}},
		"nulls":              {`{"id":"a","file":null,"pages":null,"direction":null,"is_spam":null}`, faxplus.Record{ID: "a"}},
		"unknown fields":     {`{"id":"a","data":{"id":"b"},"x":[1,{}]}`, faxplus.Record{ID: "a"}},
	} {
		c, _ := answering(t, row.body)
		got, err := c.Record(t.Context(), "a")
		if row.want.SHA256 = got.SHA256; err != nil || got != row.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, row.want)
		}
	}
}

// Times without a zone are of Config.Zone; a time that names its zone is right in any.
func TestTimesOfAnotherZone(t *testing.T) {
	ny, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []*time.Location{time.FixedZone("", -5*3600), time.FixedZone("", 2*3600), time.FixedZone("", 9*3600), ny} {
		sim := faxplustest.New(faxplustest.Config{Zone: zone})
		srv := httptest.NewServer(sim)
		defer srv.Close()
		c := client(t, srv.URL, func(c *faxplus.Config) { c.Zone = func() *time.Location { return zone } })
		sim.Add(faxplustest.Fax{Session: "s", StartTime: noon})
		list, err := c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Second), 50)
		if err != nil || len(list) != 1 || !list[0].StartTime.Equal(noon) || list[0].StartTime.Location() != time.UTC {
			t.Errorf("%s: %+v, %v", zone, list, err)
		}
		if list, err := c.List(t.Context(), faxplus.CategoryInbox, noon.Add(time.Second), noon.Add(time.Minute), 50); err != nil ||
			len(list) != 0 {
			t.Errorf("%s, later: %+v, %v", zone, list, err)
		}
		f, _, err := c.Outcome(t.Context(), "s")
		if err != nil || !f.StartTime.Equal(noon) {
			t.Errorf("%s: outcome %+v, %v", zone, f, err)
		}
	}
	c, asked := answeringTo(t, `{"data":{"records":[{"id":"a","start_time":"2026-11-24T12:00:00Z"}]}}`, func(c *faxplus.Config) {
		c.Zone = func() *time.Location { return ny }
	})
	list, err := c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Hour), 50)
	if err != nil || !list[0].StartTime.Equal(noon) {
		t.Errorf("RFC 3339: %+v, %v", list, err)
	}
	// At 06:00 UTC on 1 November 2026 clocks in New York go from 02:00 back to 01:00: the window is not empty.
	back := time.Date(2026, 11, 1, 5, 50, 0, 0, time.UTC)
	if _, err := c.List(t.Context(), faxplus.CategoryInbox, back, back.Add(20*time.Minute), 50); err != nil {
		t.Error(err)
	}
	if uri := "after=2026-11-01%2001%3A50%3A00&before=2026-11-01%2003%3A10%3A00"; !strings.Contains((*asked)[1], uri) {
		t.Errorf("asked for %q", *asked)
	}
}

// A list that cannot be read is an error: an empty one would say that no fax is missing.
func TestListsInEveryShape(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":{"records":[]}}`:                         "[]",
		`{"data":{"records":null}}`:                       "[]",
		`{"data":{"records":[{"id":"a"},{"id":"b"}]}}`:    "[a b]",
		`{"data":{"records":[{"id":"a"},7,{},null,[1]]}}`: "[a    ]",
		`{"data":{"records":{}}}`:                         "",
		`{"data":{}}`:                                     "",
		`{"data":[]}`:                                     "",
		`{"records":[]}`:                                  "",
		`[]`:                                              "",
		`<html>`:                                          "",
		``:                                                "",
	} {
		c, asked := answering(t, body)
		got, err := c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Hour), 50)
		if want == "" {
			wantError(t, err, session.ReasonWrongType)
		} else if fmt.Sprint(listedIDs(got)) != want || err != nil {
			t.Errorf("%s: %v, %v; want %s", body, listedIDs(got), err, want)
		}
		uri := "/accounts/self/faxes?after=2026-11-24%2012%3A00%3A00&before=2026-11-24%2013%3A00%3A00&category=inbox&limit=50"
		if len(*asked) != 1 || (*asked)[0] != uri {
			t.Errorf("asked for %q, want %q", *asked, uri)
		}
	}
	for _, body := range []string{`{}`, `{"data":{}}`, `[]`, ``, `{"id":null}`} {
		c, _ := answering(t, body)
		_, err := c.Record(t.Context(), "a")
		wantError(t, err, session.ReasonWrongType)
	}
}

func TestListsAndRecordsAreAskedForAgainAsFilesAre(t *testing.T) {
	var asked atomic.Int64
	status, header := http.StatusServiceUnavailable, ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", header)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	c := client(t, srv.URL, nil)
	list := func() error {
		_, err := c.List(t.Context(), faxplus.CategorySpam, noon, noon.Add(time.Hour), 50)
		return err
	}
	record := func() error {
		_, err := c.Record(t.Context(), "a")
		return err
	}
	for _, row := range []struct {
		call   func() error
		status int
		after  string
		want   session.Reason
		tries  int64
	}{
		{list, 503, "", session.ReasonUnavailable, 3},
		{record, 503, "", session.ReasonUnavailable, 3},
		{list, 503, "60", session.ReasonUnavailable, 1},
		{list, 429, "60", session.ReasonNotYet, 1},
		{record, 401, "", session.ReasonUnauthorized, 1},
	} {
		status, header = row.status, row.after
		asked.Store(0)
		e := wantError(t, row.call(), row.want)
		if asked.Load() != row.tries || e.RetryAfter != map[string]time.Duration{"": 0, "60": time.Minute}[row.after] {
			t.Errorf("HTTP %d, Retry-After %q: asked %d times, wait %s", row.status, row.after, asked.Load(), e.RetryAfter)
		}
	}
}

func TestListsAndRecordsHaveLimits(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	c, asked := answering(t, `{"id":"a","file":"`+long+`"}`)
	_, err := c.Record(t.Context(), "a")
	wantError(t, err, session.ReasonTooLarge)
	c, _ = answering(t, `{"data":{"records":[`+strings.Repeat(`{"id":"`+long+`"},`, 70)+`{}]}}`)
	_, err = c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Hour), 50)
	wantError(t, err, session.ReasonTooLarge)
	c, _ = answering(t, `{"data":{"records":[{"id":"`+long+`"}]}}`)
	if list, err := c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Hour), 50); err != nil || len(list[0].ID) != 1024 {
		t.Errorf("a long id: %v", err)
	}
	*asked = nil
	for _, id := range []string{"", "../hooks", "a?b", strings.Repeat("a", 65)} {
		_, err := c.Record(t.Context(), id)
		wantError(t, err, session.ReasonBadRequest)
	}
	for _, limit := range []int{-1, 0, 1001} {
		_, err := c.List(t.Context(), faxplus.CategoryInbox, noon, noon.Add(time.Hour), limit)
		wantError(t, err, session.ReasonBadRequest)
	}
	_, err = c.List(t.Context(), faxplus.CategoryInbox, noon, noon, 50)
	wantError(t, err, session.ReasonBadRequest)
	if len(*asked) != 0 {
		t.Errorf("asked for %q", *asked)
	}
}

func TestAListedFaxBecomesTheFactOfAWebhook(t *testing.T) {
	sim, c, _ := provider(t, nil)
	f := faxplustest.Fax{Session: "s1", From: "+1 2", To: "+3 4", Pages: make([][]byte, 3), StartTime: noon}
	sim.Add(f)
	rec, err := c.Record(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	got, ok := rec.Closed()
	event, err := faxplus.ParseEvent(faxplustest.ClosedEvent(f, "http://x"))
	if err != nil {
		t.Fatal(err)
	}
	fact, _ := event.Fact(rec.SHA256)
	want := fact.(session.Closed)
	want.Session, want.EventTime = f.ListedID(), time.Time{}
	if !ok || got != want {
		t.Errorf("the fact is %+v, want %+v", got, want)
	}
	if _, ok := (faxplus.Record{ID: "a/b"}).Closed(); ok {
		t.Error("an id that is no token became a session")
	}
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{
		`{"data":{"records":[{"id":"a","pages":"3","start_time":"2026-11-24 12:00:00","is_spam":true,` +
			`"direction":"incoming","status":"success"}]}}`,
		`{"data":{"records":[7,{"id":{}},{"id":"a.b","start_time":"9999-12-31T23:59:59-14:00"}]}}`, `{"id":"a"}`, `{"data":{"id":7}}`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, _ := faxplus.ParseList(body)
		if one, err := faxplus.ParseRecord(body); err == nil {
			if one.ID == "" {
				t.Fatal("a record without an id")
			}
			list = append(list, one)
		}
		for _, r := range list {
			fact, ok := r.Closed()
			stored, err := json.Marshal(fact)
			if err != nil || len(stored) >= 64<<10 {
				t.Fatalf("a fact of %d bytes, %v", len(stored), err)
			}
			if !ok {
				continue
			}
			if _, err := session.ParseFact(session.TypeClosed, stored); err != nil || !fact.Same(stored) {
				t.Fatalf("the fact of %+v: %v", r, err)
			}
		}
	})
}
