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

// EventNames returns all three, in the order of a fax: a page, the end of a received fax, the end of a sent fax.
func EventNames() []string { return []string{EventPageReceived, EventReceived, EventSent} }

// MaxPages is the highest page number that is accepted. No fax call is that long (10,000 pages take four days on the
// line); larger numbers only make the ledger slow.
const MaxPages = 10_000

// maxText is the longest text of one field, in bytes; the rest is cut. So a fact stays far below the size of a message.
const maxText = 1024

// timeLayout is how Fax.Plus writes times. They carry no zone: UTC, or the zone of Config.Zone.
const timeLayout = "2006-01-02 15:04:05"

// ErrMalformed is wrapped by the error for a body that is not one JSON object.
var ErrMalformed = errors.New("malformed JSON")

// FieldError says which required field is missing or not valid.
type FieldError struct {
	Field   string // event, session or page
	Problem string // its place in the body and what is wrong with it
}

func (e *FieldError) Error() string { return "webhook " + e.Field + ": " + e.Problem }

// Event has the parts of a webhook that faxstream uses. Texts are as the provider wrote them, cut at 1,024 bytes. Times
// carry no zone and are read as UTC, see In; zero if the provider sent no readable time.
type Event struct {
	Name      string // hook.event in lower case; see Known
	HookID    string // hook.id: the fax id; differs from Session if a sent fax is retried
	Session   string // data.id; passed session.ValidToken
	Page      int    // 1 to MaxPages; fax_page_received only
	Pages     int    // 0 to MaxPages; 0 if the provider sent no valid number
	From, To  string // numbers or user ids, in any form
	Status    string // any text: the provider may add statuses
	File      string // the provider's id of the whole file
	FileName  string
	UID       string
	EventTime time.Time
	StartTime time.Time
}

// Known reports whether faxstream knows the event. For an unknown event only Name is set.
func (e Event) Known() bool {
	return e.Name == EventPageReceived || e.Name == EventReceived || e.Name == EventSent
}

// ParseEvent reads the body of a webhook.
//
// It returns a *FieldError if event, session (data.id) or, for fax_page_received, page is missing or not valid, and an
// error that wraps ErrMalformed if body is not exactly one JSON object. If an object has a name twice, the last value
// counts, as always in encoding/json. An event that is not Known is no error.
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
		return Event{}, &FieldError{
			"session", fmt.Sprintf("data.id is %s; it must be 1 to %d letters, digits, '-' or '_'", show(e.Session), session.MaxTokenLen),
		}
	}
	if e.Name == EventPageReceived {
		page, ok := data.whole("page")
		if !ok || page < 1 || page > MaxPages {
			return Event{}, &FieldError{
				"page", fmt.Sprintf("data.page is %s; it must be a whole number from 1 to %d", show(data.text("page")), MaxPages),
			}
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

// show quotes a value for people. It describes a long value and does not cut it: scrub cannot find a secret that is cut.
func show(s string) string {
	if s == "" {
		return "missing or empty"
	}
	if len(s) > 80 {
		return fmt.Sprintf("a text of %d bytes", len(s))
	}
	return strconv.Quote(s)
}

// Fact returns the fact of the event, or false if the event is not Known. bodySHA256 is the hex SHA-256 of the body as
// received.
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
		if closed.Hook == "" { // no sign of a retry
			closed.Hook = e.Session
		}
		return closed, true
	}
	return nil, false
}

// object is a JSON object that is read value by value, each as tolerant as its use allows. Unlike a Go struct it does not
// accept "ID" for "id", and one wrong value does not stop the reading of the others.
type object map[string]json.RawMessage

func (o object) object(name string) object {
	var child object
	if json.Unmarshal(o[name], &child) != nil {
		return nil
	}
	return child
}

// text returns a string without spaces at its ends, any other value as its JSON text, and "" for null or a missing name.
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

// whole returns a whole number. It may be a number or a string, also with a fraction of zeros.
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
	if err != nil || t.Year() < 1 { // JSON has years from 1 to 9999; the layout allows none above
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
