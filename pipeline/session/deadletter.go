package session

import (
	"strings"
	"time"
)

// DeadLetter is what could not be processed, kept whole for people: a refused webhook body, a message that no handler can
// take, or a page or whole file whose last attempt is over. It is stored with Body as the message's data and the rest as headers.
type DeadLetter struct {
	Stage    string    `json:"stage"`              // ingest, record, page, whole, or the durable whose message died
	Session  string    `json:"session,omitempty"`  // "" when nobody can say
	Page     int       `json:"page,omitempty"`     // of StagePage, from 1
	Reason   Reason    `json:"reason"`             // why, one word
	Detail   string    `json:"detail"`             // a sentence: what, where, what to do
	Original string    `json:"original,omitempty"` // subject of the event that died; empty for a webhook body
	Body     []byte    `json:"body,omitempty"`     // as received, secrets removed
	Received time.Time `json:"received"`           // UTC; of the event that died
	Attempts []Attempt `json:"attempts,omitempty"` // ascending; at most MaxAttempts, the newest
}

// Stages of dead letters that are no durable's.
const (
	StageIngest = "ingest" // a webhook body was refused
	StageRecord = "record" // a fact contradicts the stored one on its subject
	StagePage   = "page"   // an announced page is missing, and its own fetch is over
	StageWhole  = "whole"  // pages are missing, and the whole file did not give them
)

// MaxAttempts bounds the story of one letter; of a longer one the newest stay. All are in FAX_PAGES.
const MaxAttempts = 64

// Attempt is one failed try for a page or a whole file.
type Attempt struct {
	Stage  string    `json:"stage"` // fetch, decode, whole
	Number int       `json:"number"`
	Reason Reason    `json:"reason"`
	Detail string    `json:"detail"` // at most maxAttemptDetail bytes
	At     time.Time `json:"at"`
}

const maxAttemptDetail = 300

// Tried appends an attempt to a story and keeps it within its bounds.
func Tried(story []Attempt, a Attempt) []Attempt {
	if len(a.Detail) > maxAttemptDetail {
		a.Detail = strings.ToValidUTF8(a.Detail[:maxAttemptDetail], "") + "…"
	}
	story = append(story[:len(story):len(story)], a)
	return story[max(0, len(story)-MaxAttempts):]
}

// Subject ends in a digest of what it holds, so that a repeat of the same refusal is not stored again.
func (d DeadLetter) Subject() string { return TypeDeadLetter + "." + d.tail() }

func (d DeadLetter) tail() string {
	id := d.Session
	if !ValidToken(id) {
		id = UnknownToken
	}
	return strings.Join([]string{d.Stage, id, digest16(string(d.Reason), d.Original, string(d.Body))}, ".")
}

// SessionOf is the session that the subject of a fact or timer names, "" where it names none.
func SessionOf(subject string) string {
	parts := strings.Split(subject, ".")
	at := 4 // fax.v1.in.<what>.<session>, fax.v1.timer.due.<kind>.<session>
	if len(parts) > 2 && parts[2] != "in" {
		at = 5
	}
	if len(parts) <= at || parts[0] != "fax" || !ValidToken(parts[at]) {
		return ""
	}
	return parts[at]
}
