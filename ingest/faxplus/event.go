package faxplus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/session"
)

// The events that Fax.Plus can send.
const (
	EventPageReceived = "fax_page_received"
	EventReceived     = "fax_received"
	EventSent         = "fax_sent"
)

// EventNames lists all three, in the order in which a fax causes them.
func EventNames() []string { return []string{EventPageReceived, EventReceived, EventSent} }

// MaxPages is the highest page number that is believed. No fax call lasts that long (10,000 pages are four days on the
// line), and whatever is larger would only be work for the ledger.
const MaxPages = 10_000

// maxText is the longest text kept of one field, in bytes, so that a fact stays far below the size of a message.
const maxText = 1024

// timeLayout is how Fax.Plus writes times. They carry no zone and are UTC.
const timeLayout = "2006-01-02 15:04:05"

// ErrMalformed is wrapped by the error of a body that is not one JSON object.
var ErrMalformed = errors.New("malformed JSON")

// FieldError says which field, without which nothing can be done, is missing or unusable.
type FieldError struct {
	Field   string // event, session or page
	Problem string // where it stands in the body and what is wrong with it
}

func (e *FieldError) Error() string { return "webhook " + e.Field + ": " + e.Problem }

// Event is one webhook as far as faxstream uses it. Texts are as the provider wrote them, at most 1,024 bytes each;
// times are UTC, zero where the provider gave none that can be read.
type Event struct {
	Name      string // hook.event in lower case; see Known
	HookID    string // hook.id: the fax id; differs from Session when a sent fax is being retried
	Session   string // data.id; passed session.ValidToken
	Page      int    // 1 to MaxPages; fax_page_received only
	Pages     int    // 0 when the provider said nothing usable
	From, To  string // numbers or user ids, of any shape
	Status    string // an open set
	File      string // the provider's id of the whole file
	FileName  string
	UID       string
	EventTime time.Time
	StartTime time.Time
}

// Known reports whether the event is one that faxstream understands. Of an unknown one only Name is set.
func (e Event) Known() bool {
	return e.Name == EventPageReceived || e.Name == EventReceived || e.Name == EventSent
}

// ParseEvent reads the body of a webhook.
//
// It fails with a *FieldError where event, session (data.id) or, for fax_page_received, page is missing or unusable,
// and with an error wrapping ErrMalformed where body is not exactly one JSON object. Of a name that stands twice in an
// object the last value counts, as everywhere in encoding/json. An event that is not Known is no error.
func ParseEvent(body []byte) (Event, error) {
	var root object
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &root); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	hook, data := root.object("hook"), root.object("data")
	e := Event{Name: strings.ToLower(hook.text("event"))}
	if e.Name == "" {
		return Event{}, &FieldError{"event", "hook.event is missing or empty"}
	}
	if !e.Known() {
		return e, nil
	}
	e.Session = data.text("id")
	if !session.ValidToken(e.Session) {
		return Event{}, &FieldError{"session", fmt.Sprintf("data.id is %s; it must be 1 to %d letters, digits, '-' or '_'", show(e.Session), session.MaxTokenLen)}
	}
	if e.Name == EventPageReceived {
		page, ok := data.whole("page")
		if !ok || page < 1 || page > MaxPages {
			return Event{}, &FieldError{"page", fmt.Sprintf("data.page is %s; it must be a whole number from 1 to %d", show(data.text("page")), MaxPages)}
		}
		e.Page = page
	}
	if pages, ok := data.whole("pages"); ok && pages > 0 && pages <= MaxPages {
		e.Pages = pages
	}
	e.HookID = hook.text("id")
	e.From, e.To = data.firstText("from", "from_number"), data.firstText("to", "to_number")
	e.Status, e.UID = data.text("status"), data.text("uid")
	e.File, e.FileName = data.text("file"), data.text("file_name")
	e.EventTime, e.StartTime = hook.time("event_time"), data.time("start_time")
	return e, nil
}

// show quotes a value for people. A long one is described and not cut: half a secret could no longer be recognised.
func show(s string) string {
	if s == "" {
		return "missing or empty"
	}
	if len(s) > 80 {
		return fmt.Sprintf("a text of %d bytes", len(s))
	}
	return strconv.Quote(s)
}

// Fact gives what the event says to the rest of faxstream; false for an event that is not Known.
// bodySHA256 is the hex SHA-256 of the body as received.
func (e Event) Fact(bodySHA256 string) (session.Fact, bool) {
	closed := session.Closed{
		Session: e.Session, Direction: session.Incoming, Status: e.Status, Pages: e.Pages, File: e.File, FileName: e.FileName,
		UID: e.UID, From: e.From, To: e.To, StartTime: e.StartTime, EventTime: e.EventTime, BodySHA256: bodySHA256,
	}
	switch e.Name {
	case EventPageReceived:
		return session.PageAnnounced{
			Session: e.Session, Page: e.Page, From: e.From, To: e.To,
			EventTime: e.EventTime, BodySHA256: bodySHA256,
		}, true
	case EventReceived:
		return closed, true
	case EventSent:
		closed.Direction, closed.Hook = session.Outgoing, e.HookID
		if closed.Hook == "" { // nothing says that it is a retry
			closed.Hook = e.Session
		}
		return closed, true
	}
	return nil, false
}

// object is a JSON object whose values are read as leniently as each use allows. Unlike a Go struct it does not take
// "ID" for "id", and one odd value does not spoil its neighbours.
type object map[string]json.RawMessage

func (o object) object(name string) object {
	var child object
	if json.Unmarshal(o[name], &child) != nil {
		return nil
	}
	return child
}

// text gives a string trimmed of space, any other value as its JSON text, "" for null and what is absent.
func (o object) text(name string) string {
	raw := bytes.TrimSpace(o[name])
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return clip(strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd")))
}

func (o object) firstText(names ...string) string {
	for _, name := range names {
		if s := o.text(name); s != "" {
			return s
		}
	}
	return ""
}

// whole gives a whole number, written as a number or as a string, with or without a fraction of zeros.
func (o object) whole(name string) (int, bool) {
	s := o.text(name)
	if n, err := strconv.Atoi(s); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		return 0, false
	}
	return int(f), true
}

func (o object) time(name string) time.Time {
	t, err := time.Parse(timeLayout, o.text(name))
	if err != nil || t.Year() < 1 { // the layout has no years above 9999; JSON and what reads it have none below 1
		return time.Time{}
	}
	return t
}

// clip cuts s to maxText bytes without splitting a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
