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

// Categories of lists. A fax that is marked as spam is only in the spam list.
const (
	CategoryInbox = "inbox"
	CategorySent  = "sent"
	CategorySpam  = "spam"
)

// DefaultLimit is the provider's own limit of a list. It is not documented whether the provider sends more on request. If
// it does not, a cut list looks complete with a higher limit.
const DefaultLimit = 50

// maxLimit is the highest limit that List accepts.
const maxLimit = 1000

// maxRecord limits the record of one fax, bytes; real ones are below 1 KiB.
const maxRecord = 64 << 10

// Record is the provider's record of a fax. Texts are as the provider wrote them, cut at 1,024 bytes.
type Record struct {
	ID        string // the listed id, any text; it may differ from the session id in webhooks
	File      string // the provider's id of the whole file; empty if there is none (yet)
	FileName  string
	UID       string
	From, To  string
	Status    string
	Pages     int       // 0 to MaxPages; 0 if the provider sent no valid number
	StartTime time.Time // UTC, converted from Config.Zone; zero if the provider sent no readable time
	Direction string    // session.Incoming or session.Outgoing; empty if the provider sent neither
	Spam      bool
	SHA256    string // of the record's JSON as received, hex
}

// Terminal reports whether the fax is over: no more pages come, and Status is its outcome.
//
// Every status in the provider's documentation is an outcome (success, partially_…, insufficient_credit, failed,
// failed_…), and the provider may add others. The status of a fax on the line is not documented. So words that can only
// mean that the fax continues count as such, and every other status counts as an outcome: else a fax could stay open for
// ever and is never fetched. If the status is not StatusKnown, wait before you trust this result.
func (r Record) Terminal() bool { return statusClass(r.Status) != statusGoesOn }

// StatusKnown reports whether the status is a documented outcome, or can only mean that the fax continues.
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

// Closed returns the same fact as a fax_received webhook of this fax, under the listed id. It is false if the listed id
// is not a valid session id. The event time is zero, since there was no event.
func (r Record) Closed() (session.Closed, bool) {
	return session.Closed{
		Session: r.ID, Direction: session.Incoming, Status: r.Status, Pages: r.Pages, File: r.File, FileName: r.FileName,
		UID: r.UID, From: r.From, To: r.To, StartTime: r.StartTime, BodySHA256: r.SHA256,
	}, session.ValidToken(r.ID)
}

// Record reads the record of one fax. faxID is a session id or a listed id. It retries as Page does. Its error is an
// *Error; session.ReasonNotYet with Status 404 means that the provider has no such fax.
func (c *Client) Record(ctx context.Context, faxID string) (Record, error) {
	op := fmt.Sprintf("record of fax %.*q", session.MaxTokenLen, faxID)
	if !session.ValidToken(faxID) {
		return Record{}, &Error{Op: op, Reason: session.ReasonBadRequest, Err: errors.New("not a fax id")}
	}
	path := "/accounts/" + escape(c.cfg.User) + "/faxes/" + escape(faxID)
	body, err := c.do(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "application/json", limit: maxRecord, client: c.retry,
	})
	if err != nil {
		return Record{}, err
	}
	r, err := parseRecord(body, c.zone())
	if err != nil {
		return Record{}, &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: err}
	}
	return r, nil
}

// Outcome reads a fax's record. If the fax is over, it returns its close, under the record's id, or under faxID if that id
// is not a valid session id. If the fax continues, open is true and closed is nil. Its error is that of Record.
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

// List reads up to limit records, 1 to 1,000, of a category with a time between after and before, in whole seconds. Both
// are sent in the zone of Config.Zone. It is not documented whether the bounds belong to the window, and which time of a
// fax counts. There is no cursor: if limit records come, there may be more; read a smaller window then. An unreadable
// record is in the list with an empty ID. It retries as Page does. Its error is an *Error.
func (c *Client) List(ctx context.Context, category string, after, before time.Time, limit int) ([]Record, error) {
	op := "list of " + category
	if limit < 1 || limit > maxLimit || !after.Before(before) {
		return nil, &Error{
			Op: op, Reason: session.ReasonBadRequest, Err: fmt.Errorf("want a limit from 1 to %d and a window that is not empty", maxLimit),
		}
	}
	from, to := wallWindow(after, before, c.zone())
	query := url.Values{
		"category": {category}, "limit": {strconv.Itoa(limit)},
		"after": {from}, "before": {to},
	}
	path := "/accounts/" + escape(c.cfg.User) + "/faxes?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	body, err := c.do(ctx, call{
		op: op, method: http.MethodGet, path: path, accept: "application/json", limit: maxRecord * 64, client: c.retry,
	})
	if err != nil {
		return nil, err
	}
	list, err := parseList(body, c.zone())
	if err != nil {
		return nil, &Error{Op: op, Reason: session.ReasonWrongType, Status: http.StatusOK, Err: err}
	}
	return list, nil
}

var errNoList = errors.New("not the documented JSON: data.records is not a list")

// parseList reads {"data":{"records":[…]}}. Any other form is an error: as an empty list it would hide faxes.
func parseList(body []byte, zone *time.Location) ([]Record, error) {
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
		_ = json.Unmarshal(one, &o) // if it fails, the record has no id, which the caller sees
		list[i] = o.record(one, zone)
	}
	return list, nil
}

// parseRecord reads a single record, plain or as {"data":{…}}.
func parseRecord(body []byte, zone *time.Location) (Record, error) {
	var root object
	if err := json.Unmarshal(body, &root); err != nil {
		return Record{}, fmt.Errorf("not the documented JSON: %w", err)
	}
	if root.text("id") == "" && root.object("data") != nil {
		root = root.object("data")
	}
	r := root.record(body, zone)
	if r.ID == "" {
		return Record{}, errors.New("not the documented JSON: the record has no id")
	}
	return r, nil
}

func (o object) record(raw []byte, zone *time.Location) Record {
	sum := sha256.Sum256(raw)
	r := Record{
		ID: o.text("id"), File: o.text("file"), FileName: o.text("file_name"), UID: o.firstText("owner_id", "uid"),
		From: o.firstText("from", "from_number"), To: o.firstText("to", "to_number"),
		Status: o.text("status"), StartTime: o.zonedTime("start_time", zone), SHA256: hex.EncodeToString(sum[:]),
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

// zonedTime reads a time in the provider's form, which is of zone, or with a zone of its own as in RFC 3339.
func (o object) zonedTime(name string, zone *time.Location) time.Time {
	if t := o.time(name); !t.IsZero() {
		return FromWall(t, zone)
	}
	t, err := time.Parse(time.RFC3339, o.text(name))
	if err != nil {
		return time.Time{}
	}
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 { // JSON has no other years
		return time.Time{}
	}
	return t
}
