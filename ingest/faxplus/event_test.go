package faxplus_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/ingest/faxplus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// The three examples of the provider's webhook document, as they stand there.
const (
	exampleSent = `{"hook": {"id": "66df09cf1d6d0b295c363956",
"event": "fax_sent", "event_time": "2024-09-09 10:44:39", "target": "https://webhook.com"},
"data": {"id": "66df09cf1d6d0b295c363956", "uid": "490ae330dbc749f0b6561dafa300f2fb", "pages": 1,
"from": "+1 334-304-xxxx", "to": "+1 334-304-xxxx",
"start_time": "2024-09-09 10:44:39", "file": "1d0b618e4fb54957878eed0ecc64ae5e.tiff",
"file_name": "fax-to-1334304xxxx", "status": "success", "cost": 1}}`
	exampleReceived = `{"hook": {"id": "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf",
"event": "fax_received", "event_time": "2024-09-09 12:44:39", "target": "https://webhook.com"},
"data": {"id": "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf", "uid": "490ae330dbc749f0b6561dafa300f2fb", "pages": 1,
"from": "+1 334-304-xxxx", "to": "+1 334-304-xxxx",
"start_time": "2024-09-09 12:44:39", "file": "27ade44579274f01b55e552cd361990e.tiff",
"file_name": "fax-from-1334304xxxx", "status": "success", "cost": 1}}`
	examplePage = `{"hook": {"id": "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf",
"event": "fax_page_received", "event_time": "2024-09-09 12:44:39", "target": "https://webhook.com"},
"data": {"id": "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf", "page": 1, "from": "+1 334-304-xxxx", "to": "+1 334-304-xxxx"}}`
)

func TestExamplesBecomeFacts(t *testing.T) {
	at := time.Date(2024, 9, 9, 12, 44, 39, 0, time.UTC)
	const number, uid = "+1 334-304-xxxx", "490ae330dbc749f0b6561dafa300f2fb"
	cases := map[string]struct {
		body string
		want session.Fact
	}{
		"page": {examplePage, session.PageAnnounced{
			Session: "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf", Page: 1, From: number, To: number, EventTime: at, BodySHA256: "sum",
		}},
		"received": {exampleReceived, session.Closed{
			Session: "9b0cfcad-5bf8-41ff-94f7-eb5b1b85a0bf", Direction: session.Incoming, Status: "success", Pages: 1,
			File: "27ade44579274f01b55e552cd361990e.tiff", FileName: "fax-from-1334304xxxx", UID: uid,
			From: number, To: number, StartTime: at, EventTime: at, BodySHA256: "sum",
		}},
		"sent": {exampleSent, session.Closed{
			Session: "66df09cf1d6d0b295c363956", Direction: session.Outgoing, Hook: "66df09cf1d6d0b295c363956", Status: "success", Pages: 1,
			File: "1d0b618e4fb54957878eed0ecc64ae5e.tiff", FileName: "fax-to-1334304xxxx", UID: uid, From: number, To: number,
			StartTime: at.Add(-2 * time.Hour), EventTime: at.Add(-2 * time.Hour), BodySHA256: "sum",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			event, err := faxplus.ParseEvent([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if fact, ok := event.Fact("sum"); !ok || fact != c.want {
				t.Errorf("got  %+v\nwant %+v", fact, c.want)
			}
		})
	}
}

func closedBody(data string) string {
	return `{"hook":{"id":"h","event":"fax_received"},"data":{"id":"s1",` + data + `}}`
}

func pageBody(id, page string) string {
	return `{"hook":{"event":"fax_page_received"},"data":{"id":` + id + `,"page":` + page + `}}`
}

func TestOddValuesAreTolerated(t *testing.T) {
	cases := map[string]struct {
		body string
		want faxplus.Event
	}{
		"pages as a string":       {closedBody(`"pages":"12"`), faxplus.Event{Pages: 12}},
		"pages as a float":        {closedBody(`"pages":12.0`), faxplus.Event{Pages: 12}},
		"pages negative":          {closedBody(`"pages":-3`), faxplus.Event{}},
		"pages absurd":            {closedBody(`"pages":1e30`), faxplus.Event{}},
		"pages over the limit":    {closedBody(`"pages":10001`), faxplus.Event{}},
		"pages a word":            {closedBody(`"pages":"many"`), faxplus.Event{}},
		"pages a list":            {closedBody(`"pages":[1]`), faxplus.Event{}},
		"numbers as numbers":      {closedBody(`"from":13343040000,"to":4.1e10`), faxplus.Event{From: "13343040000", To: "4.1e10"}},
		"from_number, to_number":  {closedBody(`"from_number":"+1","to_number":"+2"`), faxplus.Event{From: "+1", To: "+2"}},
		"from before from_number": {closedBody(`"from":"+3","from_number":"+1","to":"","to_number":"+2"`), faxplus.Event{From: "+3", To: "+2"}},
		"numbers null":            {closedBody(`"from":null,"to":null`), faxplus.Event{}},
		"a number as an object":   {closedBody(`"from":{"n":1}`), faxplus.Event{From: `{"n":1}`}},
		"an unknown status":       {closedBody(`"status":"failed_on_mars"`), faxplus.Event{Status: "failed_on_mars"}},
		"status a number":         {closedBody(`"status":7`), faxplus.Event{Status: "7"}},
		"a bad time":              {closedBody(`"start_time":"yesterday"`), faxplus.Event{}},
		"a time in year 0":        {closedBody(`"start_time":"0000-01-01 00:00:00"`), faxplus.Event{}},
		"a time in year 10000":    {closedBody(`"start_time":"10000-01-01 00:00:00"`), faxplus.Event{}},
		"a time of zeros":         {closedBody(`"start_time":"0000-00-00 00:00:00"`), faxplus.Event{}},
		"unknown fields":          {closedBody(`"nested":{"a":[1,{"b":null}]},"status":"ok"`), faxplus.Event{Status: "ok"}},
		"a name twice":            {closedBody(`"status":"a","status":"b"`), faxplus.Event{Status: "b"}},
		"other letters":           {closedBody(`"Status":"not the field"`), faxplus.Event{}},
		"not UTF-8":               {closedBody("\"status\":\"a\xffb\""), faxplus.Event{Status: "a\ufffdb"}},
		"a byte order mark":       {"\ufeff" + closedBody(`"status":"x"`) + "\n ", faxplus.Event{Status: "x"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := faxplus.ParseEvent([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name, c.want.HookID, c.want.Session = "fax_received", "h", "s1"
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPageNumbersInEveryShape(t *testing.T) {
	for _, page := range []string{`7`, `"7"`, `" 7 "`, `7.0`, `"7.0"`, `0.7e1`, `"007"`} {
		event, err := faxplus.ParseEvent([]byte(pageBody(`12345`, page)))
		if err != nil || event.Page != 7 || event.Session != "12345" {
			t.Errorf("page %s: got page %d of session %q, %v", page, event.Page, event.Session, err)
		}
	}
}

func TestUnusableFieldIsNamed(t *testing.T) {
	cases := map[string]struct{ body, field string }{
		"no hook":            {`{"data":{"id":"s"}}`, "event"},
		"hook not an object": {`{"hook":["fax_received"],"data":{"id":"s"}}`, "event"},
		"event empty":        {`{"hook":{"event":" "},"data":{"id":"s"}}`, "event"},
		"event null":         {`{"hook":{"event":null},"data":{"id":"s"}}`, "event"},
		"an empty object":    {`{}`, "event"},
		"no data":            {`{"hook":{"event":"fax_received"}}`, "session"},
		"session a path":     {pageBody(`"../../x"`, `1`), "session"},
		"session empty":      {pageBody(`""`, `1`), "session"},
		"session wild":       {pageBody(`"a.b"`, `1`), "session"},
		"session subject":    {pageBody(`">"`, `1`), "session"},
		"session too long":   {pageBody(`"`+strings.Repeat("a", 65)+`"`, `1`), "session"},
		"session NUL":        {pageBody(`"a\u0000b"`, `1`), "session"},
		"session an object":  {pageBody(`{}`, `1`), "session"},
		"page absent":        {`{"hook":{"event":"fax_page_received"},"data":{"id":"s"}}`, "page"},
		"page 0":             {pageBody(`"s"`, `0`), "page"},
		"page negative":      {pageBody(`"s"`, `-1`), "page"},
		"page 10001":         {pageBody(`"s"`, `10001`), "page"},
		"page 1e400":         {pageBody(`"s"`, `1e400`), "page"},
		"page NaN":           {pageBody(`"s"`, `"NaN"`), "page"},
		"page a half":        {pageBody(`"s"`, `1.5`), "page"},
		"page true":          {pageBody(`"s"`, `true`), "page"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := faxplus.ParseEvent([]byte(c.body))
			var field *faxplus.FieldError
			if !errors.As(err, &field) || field.Field != c.field || !strings.Contains(err.Error(), c.field) {
				t.Errorf("got %v, want a FieldError of %s", err, c.field)
			}
			if errors.Is(err, faxplus.ErrMalformed) {
				t.Error("called malformed")
			}
		})
	}
}

func TestWhatIsNotOneJSONObjectIsMalformed(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "cut": examplePage[:80], "list": "[]", "string": `"fax_received"`,
		"garbage after": examplePage + "x", "two objects": examplePage + examplePage,
		"deep": `{"a":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`,
	} {
		if _, err := faxplus.ParseEvent([]byte(body)); !errors.Is(err, faxplus.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUnknownEventIsNoError(t *testing.T) {
	event, err := faxplus.ParseEvent([]byte(`{"hook":{"event":"fax_deleted"},"data":null}`))
	if err != nil || event.Known() || event.Name != "fax_deleted" {
		t.Errorf("got %+v, %v", event, err)
	}
	if fact, ok := event.Fact("sum"); ok {
		t.Errorf("it became %+v", fact)
	}
}

func TestRetriedSentFaxKeepsBothIDs(t *testing.T) {
	for hook, want := range map[string]string{`"id":"retry-1",`: "retry-1", ``: "s1"} {
		event, err := faxplus.ParseEvent([]byte(`{"hook":{` + hook + `"event":"fax_sent"},"data":{"id":"s1"}}`))
		if err != nil {
			t.Fatal(err)
		}
		fact, _ := event.Fact("sum")
		if closed := fact.(session.Closed); closed.Hook != want || closed.Session != "s1" || closed.Direction != session.Outgoing {
			t.Errorf("hook %q: got %+v", hook, closed)
		}
	}
}

func TestRedactTargetLeavesTheRestAlone(t *testing.T) {
	cases := map[string]struct{ body, want string }{
		"path": {
			`{"hook": {"target" : "https://h.example/v1/S?k=S#S", "x":1}}`, `{"hook": {"target" : "https://h.example/[removed]", "x":1}}`,
		},
		"port": {`{"hook":{"target":"http://h:8080/S"}}`, `{"hook":{"target":"http://h:8080/[removed]"}}`},
		"user": {`{"hook":{"target":"http://S:S@h"}}`, `{"hook":{"target":"http://h/[removed]"}}`},
		"bare": {`{"hook":{"target":"https://webhook.com"}}`, `{"hook":{"target":"https://webhook.com"}}`},
		"twice": {
			`{"hook":{"target":"http://h/S","target":"http://h/S"},"hook":{"target":"http://h/S"}}`,
			`{"hook":{"target":"http://h/[removed]","target":"http://h/[removed]"},"hook":{"target":"http://h/[removed]"}}`,
		},
		"escaped":     {`{"h\u006fok":{"t\u0061rget":"http:\/\/h\/S"}}`, `{"h\u006fok":{"t\u0061rget":"http://h/[removed]"}}`},
		"no URL":      {`{"hook":{"target":"S S S"}}`, `{"hook":{"target":"[removed]"}}`},
		"an object":   {`{"hook":{"target":{"S":1}}}`, `{"hook":{"target":"[removed]"}}`},
		"elsewhere":   {`{"data":{"target":"http://h/kept"}}`, `{"data":{"target":"http://h/kept"}}`},
		"no hook":     {`{"data":1}`, `{"data":1}`},
		"malformed":   {`{"hook":{"target": "http://h/S" "x"`, `{"hook":{"target": "http://h/[removed]" "x"`},
		"cut":         {`{"hook":{"target":"http://h/S`, `{"hook":{"target":"[removed]"`},
		"cut before":  {`{"hook":{"target":`, `{"hook":{"target":`},
		"mended":      {"{\"hook\":{\"target\":\"\x00S\",\"t\\u0061rget\":\"S\"}}", `{"hook":{"target":"[removed]","t\u0061rget":"[removed]"}}`},
		"two objects": {`{} {"hook":{"target":"http://h/S\"S"}}`, `{} {"hook":{"target":"http://h/[removed]"}}`},
		"not JSON":    {`hello`, `hello`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := []byte(c.body)
			if got := string(faxplus.RedactTarget(in)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if string(in) != c.body {
				t.Error("the body itself was changed")
			}
		})
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, seed := range []string{
		exampleSent, exampleReceived, examplePage, closedBody(`"pages":"1e3","from":[1],"to":{"a":null}`),
		pageBody(`"../../x"`, `1`), `{"hook":{"target":"http://h/S","event":"fax_received","target":3},"data":{"id":7}}`, "\ufeff{}", "{",
		`{"hook":{"target":"http://h/S`, "{\"hook\":{\"target\":\"\x00\",\"\":\"\",\"target\":3}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		red := faxplus.RedactTarget(body)
		if json.Valid(body) && !json.Valid(red) {
			t.Fatalf("redacting made %q of %q", red, body)
		}
		if again := faxplus.RedactTarget(red); json.Valid(red) && !bytes.Equal(again, red) {
			t.Fatalf("redacted twice: %q, then %q", red, again)
		}
		event, err := faxplus.ParseEvent(body)
		if err != nil {
			return
		}
		fact, ok := event.Fact("sum")
		if ok != event.Known() {
			t.Fatalf("known %v, fact %v", event.Known(), ok)
		}
		if !ok {
			return
		}
		for token := range strings.SplitSeq(strings.TrimPrefix(fact.Subject(), fact.Type()+"."), ".") {
			if !session.ValidToken(token) {
				t.Fatalf("subject %q", fact.Subject())
			}
		}
		stored, err := json.Marshal(fact)
		if err != nil || len(stored) >= 64<<10 {
			t.Fatalf("a fact of %d bytes, %v", len(stored), err)
		}
		if !fact.Same(stored) {
			t.Fatalf("a fact that is not the same as itself stored: %s", stored)
		}
	})
}
