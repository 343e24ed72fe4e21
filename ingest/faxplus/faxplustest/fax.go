package faxplustest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// timeLayout is how Fax.Plus writes times, without a zone.
const timeLayout = "2006-01-02 15:04:05"

// perPage is how long a simulated page is on the line, for the times in events. Nothing waits for it.
const perPage = 40 * time.Second

// Fax is one fax of the simulated provider. Only Session is required.
type Fax struct {
	Session   string    // the id in webhooks; the id in lists is ListedID
	From, To  string    // default +1 334-304-0000 and +1 334-304-0001
	UID       string    // default a fixed user id
	FileID    string    // default derived from Session
	FileName  string    // default fax-from-<digits> or fax-to-<digits>
	Pages     [][]byte  // page files, page 1 first
	Whole     []byte    // the TIFF with all pages; nil: 404
	Status    string    // default success
	Streamed  bool      // page events are sent
	StartTime time.Time // default 2024-09-09 12:44:39 UTC
	PageCount *int      // page count in the closing event; nil: len(Pages)
	Direction string    // session.Incoming (default) or session.Outgoing
	Spam      bool      // in the spam list, not in the inbox
	Faults    []Fault   // what goes wrong with it
	// Zone is that of the times in its webhooks and its record. nil: Config.Zone, or in PageEvent and ClosedEvent UTC.
	Zone *time.Location
}

func (f Fax) withDefaults() Fax {
	id := sha256.Sum256([]byte("file/" + f.Session))
	f.From = cmp.Or(f.From, "+1 334-304-0000")
	f.To = cmp.Or(f.To, "+1 334-304-0001")
	f.UID = cmp.Or(f.UID, "490ae330dbc749f0b6561dafa300f2fb")
	f.FileID = cmp.Or(f.FileID, hex.EncodeToString(id[:16])+".tiff")
	f.Status = cmp.Or(f.Status, "success")
	f.Direction = cmp.Or(f.Direction, session.Incoming)
	if f.StartTime.IsZero() {
		f.StartTime = time.Date(2024, 9, 9, 12, 44, 39, 0, time.UTC)
	}
	name := "fax-from-" + digits(f.From)
	if f.Direction == session.Outgoing {
		name = "fax-to-" + digits(f.To)
	}
	f.FileName = cmp.Or(f.FileName, name)
	return f
}

func (f Fax) pageCount() int {
	if f.PageCount != nil {
		return *f.PageCount
	}
	return len(f.Pages)
}

// ListedID returns the id of the fax in lists: not the session id, as the provider warns.
func (f Fax) ListedID() string {
	id := sha256.Sum256([]byte("listed/" + f.Session))
	return hex.EncodeToString(id[:12])
}

func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
}

type hookPart struct {
	ID        string `json:"id"`
	Event     string `json:"event"`
	EventTime string `json:"event_time"`
	Target    string `json:"target"`
}

// PageEvent returns the body of the fax_page_received webhook of one page, with the fields of the provider's example.
func PageEvent(f Fax, page int, target string) []byte {
	f = f.withDefaults()
	type data struct {
		ID   string `json:"id"`
		Page int    `json:"page"`
		From string `json:"from"`
		To   string `json:"to"`
	}
	at := passed(f.StartTime.Add(time.Duration(page) * perPage))
	return body(hookPart{f.Session, "fax_page_received", f.stamp(at), target}, data{f.Session, page, f.From, f.To})
}

// ClosedEvent returns the body of the webhook that ends a fax: fax_received, or fax_sent for an outgoing one.
func ClosedEvent(f Fax, target string) []byte {
	f = f.withDefaults()
	type data struct {
		ID        string `json:"id"`
		UID       string `json:"uid"`
		Pages     int    `json:"pages"`
		From      string `json:"from"`
		To        string `json:"to"`
		StartTime string `json:"start_time"`
		File      string `json:"file"`
		FileName  string `json:"file_name"`
		Status    string `json:"status"`
		Cost      int    `json:"cost"`
	}
	event := "fax_received"
	if f.Direction == session.Outgoing {
		event = "fax_sent"
	}
	at := passed(f.StartTime.Add(time.Duration(len(f.Pages))*perPage + perPage/2))
	return body(hookPart{f.Session, event, f.stamp(at), target}, data{
		f.Session, f.UID, f.pageCount(), f.From, f.To, f.stamp(f.StartTime), f.FileID, f.FileName, f.Status, f.pageCount(),
	})
}

// passed is the time of an event of a simulated call, whose pages come faster than a call has them: never in the future.
func passed(at time.Time) time.Time {
	if now := time.Now(); at.After(now) {
		return now
	}
	return at
}

// stamp writes a time as the provider does.
func (f Fax) stamp(t time.Time) string {
	if f.Zone == nil {
		return t.UTC().Format(timeLayout)
	}
	return t.In(f.Zone).Format(timeLayout)
}

func body(hook hookPart, data any) []byte {
	b, err := json.Marshal(struct {
		Hook hookPart `json:"hook"`
		Data any      `json:"data"`
	}{hook, data})
	if err != nil { // cannot happen for strings and numbers
		return nil
	}
	return b
}
