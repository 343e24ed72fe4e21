package session

import (
	"strings"
	"time"
)

// DeadLetter is work that failed for good, stored as a whole for people: a refused webhook body, a message that no handler
// can process, or a page or whole file after its last attempt. Body is stored as the message's data, the rest as headers.
type DeadLetter struct {
	Stage    string    `json:"stage"`              // ingest, record, page, whole, or the name of the message's durable
	Session  string    `json:"session,omitempty"`  // "" if unknown
	Page     int       `json:"page,omitempty"`     // of StagePage, from 1
	Reason   Reason    `json:"reason"`             // why, one word
	Detail   string    `json:"detail"`             // a sentence: what, where, what to do
	Original string    `json:"original,omitempty"` // subject of the failed event; empty for a webhook body
	Body     []byte    `json:"body,omitempty"`     // as received, without secrets
	Received time.Time `json:"received"`           // time of the failed event, UTC
	Attempts []Attempt `json:"attempts,omitempty"` // ascending; the newest MaxAttempts
}

// Stages of dead letters that are not the name of a durable.
const (
	StageIngest = "ingest" // a webhook body was refused
	StageRecord = "record" // a fact contradicts the stored one on its subject
	StagePage   = "page"   // an announced page is missing, and its own fetch has failed for good
	StageWhole  = "whole"  // pages are missing, and the whole file does not have them
	StageChoice = "choice" // a streamed page and that of the whole file differ: a person must choose one
)

// MaxAttempts limits the attempts in one letter; it has the newest. FAX_PAGES has all.
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

// Tried appends an attempt to the attempts of a letter. It drops the oldest above MaxAttempts, and cuts a long detail.
func Tried(story []Attempt, a Attempt) []Attempt {
	if len(a.Detail) > maxAttemptDetail {
		a.Detail = strings.ToValidUTF8(a.Detail[:maxAttemptDetail], "") + "…"
	}
	story = append(story[:len(story):len(story)], a)
	return story[max(0, len(story)-MaxAttempts):]
}

// Subject returns a subject that ends with a digest of the letter, so that the same letter is not stored twice.
func (d DeadLetter) Subject() string { return TypeDeadLetter + "." + d.tail() }

func (d DeadLetter) tail() string {
	id := d.Session
	if !ValidToken(id) {
		id = UnknownToken
	}
	return strings.Join([]string{d.Stage, id, digest16(string(d.Reason), d.Original, string(d.Body))}, ".")
}

// SessionOf returns the session in the subject of a fact or timer, "" if there is none.
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
