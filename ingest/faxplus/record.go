package faxplus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Categories of lists. A fax that is flagged as spam is in no other.
const (
	CategoryInbox = "inbox"
	CategorySent  = "sent"
	CategorySpam  = "spam"
)

// DefaultLimit is how many records a list has when nobody asks for another number. Whether the provider gives more than
// that on request is documented nowhere, so that with a higher limit a list that was cut could look complete.
const DefaultLimit = 50

// maxLimit is the most that List asks for.
const maxLimit = 1000

// maxRecord limits the record of one fax, bytes; those seen have under 1 KiB.
const maxRecord = 64 << 10

// Record is what the provider says of a fax that it keeps. Texts are as the provider wrote them, at most 1,024 bytes each.
type Record struct {
	ID        string // the listed id; it may differ from the webhooks' session id, and may be of any shape
	File      string // the provider's id of the whole file; empty where it has none (yet)
	FileName  string
	UID       string
	From, To  string
	Status    string
	Pages     int       // 0 when the provider said nothing usable
	StartTime time.Time // UTC; zero when the provider gave none that can be read
	Direction string    // session.Incoming or session.Outgoing; empty when the provider said neither
	Spam      bool
	SHA256    string // of the record's JSON as received, hex
}

// Terminal reports whether the fax is over: nothing more will come of it, and Status is its outcome.
//
// Every status that the provider documents is an outcome (success, partially_…, insufficient_credit, failed, failed_…)
// and the set is open; what it calls a fax on the line it does not say. So words that can only mean that it still goes
// on are recognised, and any other is taken for an outcome, for a fax that were never over would never be fetched.
// Whoever can wait should do so before he believes a status that is not StatusKnown.
func (r Record) Terminal() bool { return statusClass(r.Status) != statusGoesOn }

// StatusKnown reports whether the status is a documented outcome or can only mean that the fax goes on.
func (r Record) StatusKnown() bool { return statusClass(r.Status) != statusUnknown }

const (
	statusUnknown = iota
	statusOutcome
	statusGoesOn
)

func statusClass(status string) int {
	s := strings.ToLower(strings.TrimSpace(status))
	for _, outcome := range []string{"success", "partially_", "failed", "insufficient_"} {
		if strings.HasPrefix(s, outcome) {
			return statusOutcome
		}
	}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == '_' || r == '-' || r == ' ' }) {
		switch word {
		case "progress", "inprogress", "queued", "scheduled", "started", "submitted", "active", "new", "created", "initiated":
			return statusGoesOn
		}
		if strings.HasSuffix(word, "ing") { // receiving, sending, processing, pending, ringing, …
			return statusGoesOn
		}
	}
	return statusUnknown
}

// Closed gives the fact that a fax_received webhook of this fax would be, under the listed id; false where that could not
// be a session id. It carries no event time, since no event told of it.
func (r Record) Closed() (session.Closed, bool) {
	return session.Closed{
		Session: r.ID, Direction: session.Incoming, Status: r.Status, Pages: r.Pages, File: r.File, FileName: r.FileName,
		UID: r.UID, From: r.From, To: r.To, StartTime: r.StartTime, BodySHA256: r.SHA256,
	}, session.ValidToken(r.ID)
}

// Record reads the record of one fax; faxID is a session id or a listed id. It asks again as Page does. Its error is an
// *Error; session.ReasonNotYet with Status 404: the provider has no such fax.
func (c *Client) Record(ctx context.Context, faxID string) (Record, error) {
	op := fmt.Sprintf("record of fax %.*q", session.MaxTokenLen, faxID)
	if !session.ValidToken(faxID) {
		return Record{}, &Error{Op: op, Reason: session.ReasonBadRequest, Err: errors.New("not a fax id")}
	}
	path := "/accounts/" + escape(c.cfg.User) + "/faxes/" + escape(faxID)
	body, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, accept: "application/json", limit: maxRecord, client: c.retry})
	if err != nil {
		return Record{}, err
	}
	r, err := parseRecord(body)
	if err != nil {
		return Record{}, &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: err}
	}
	return r, nil
}

// Outcome gives the close that a fax's record tells, under the record's own id where it is one, or that the fax goes on. Its
// error is Record's.
func (c *Client) Outcome(ctx context.Context, faxID string) (closed *session.Closed, open bool, err error) {
	r, err := c.Record(ctx, faxID)
	if err != nil {
		return nil, false, err
	}
	if !r.Terminal() {
		return nil, true, nil
	}
	f, ok := r.Closed()
	if !ok {
		f.Session = faxID
	}
	return &f, false, nil
}

// List reads up to limit records of a category whose time lies between after and before, of which the API takes whole
// seconds; whether the bounds themselves belong to it, and which time of a fax counts, is documented nowhere. There is no
// cursor: when limit records come, there may be more, and a narrower window has them. A record that cannot be read is in
// the list, with an empty ID. It asks again as Page does. Its error is an *Error.
func (c *Client) List(ctx context.Context, category string, after, before time.Time, limit int) ([]Record, error) {
	op := "list of " + category
	if limit < 1 || limit > maxLimit || !after.Before(before) {
		return nil, &Error{Op: op, Reason: session.ReasonBadRequest, Err: fmt.Errorf("want a limit from 1 to %d and a window that is not empty", maxLimit)}
	}
	query := url.Values{
		"category": {category}, "limit": {strconv.Itoa(limit)},
		"after": {after.UTC().Format(timeLayout)}, "before": {before.UTC().Format(timeLayout)},
	}
	path := "/accounts/" + escape(c.cfg.User) + "/faxes?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	body, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, accept: "application/json", limit: maxRecord * 64, client: c.retry})
	if err != nil {
		return nil, err
	}
	list, err := parseList(body)
	if err != nil {
		return nil, &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: err}
	}
	return list, nil
}

var errNoList = errors.New("not the documented JSON: data.records is no list")

// parseList reads {"data":{"records":[…]}}. What is not so is an error: taken for an empty list it would hide faxes.
func parseList(body []byte) ([]Record, error) {
	var root object
	if err := json.Unmarshal(body, &root); err != nil {
		return nil, fmt.Errorf("not the documented JSON: %w", err)
	}
	raw, ok := root.object("data")["records"]
	if !ok {
		return nil, errNoList
	}
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, errNoList
	}
	list := make([]Record, len(all))
	for i, one := range all {
		var o object
		_ = json.Unmarshal(one, &o) // what is no object has no id, which the caller sees
		list[i] = o.record(one)
	}
	return list, nil
}

// parseRecord reads a record that stands alone, bare or as {"data":{…}}.
func parseRecord(body []byte) (Record, error) {
	var root object
	if err := json.Unmarshal(body, &root); err != nil {
		return Record{}, fmt.Errorf("not the documented JSON: %w", err)
	}
	if root.text("id") == "" && root.object("data") != nil {
		root = root.object("data")
	}
	r := root.record(body)
	if r.ID == "" {
		return Record{}, errors.New("not the documented JSON: a record without an id")
	}
	return r, nil
}

func (o object) record(raw []byte) Record {
	sum := sha256.Sum256(raw)
	r := Record{
		ID: o.text("id"), File: o.text("file"), FileName: o.text("file_name"), UID: o.firstText("owner_id", "uid"),
		From: o.firstText("from", "from_number"), To: o.firstText("to", "to_number"),
		Status: o.text("status"), StartTime: o.zonedTime("start_time"), SHA256: hex.EncodeToString(sum[:]),
	}
	if pages, ok := o.whole("pages"); ok && pages > 0 && pages <= MaxPages {
		r.Pages = pages
	}
	switch direction := strings.ToLower(o.text("direction")); {
	case strings.HasPrefix(direction, "in"):
		r.Direction = session.Incoming
	case strings.HasPrefix(direction, "out"):
		r.Direction = session.Outgoing
	}
	switch strings.ToLower(o.text("is_spam")) {
	case "true", "1", "yes":
		r.Spam = true
	}
	return r
}

// zonedTime reads a time as the provider writes it, which is UTC, or with its zone as in RFC 3339.
func (o object) zonedTime(name string) time.Time {
	if t := o.time(name); !t.IsZero() {
		return t
	}
	t, err := time.Parse(time.RFC3339, o.text(name))
	if err != nil {
		return time.Time{}
	}
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 { // JSON has no others
		return time.Time{}
	}
	return t
}
