package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Letter is a dead letter: GET /dlq/{id}. In the list Event, Binary and Attempts are left out.
type Letter struct {
	ID       uint64            `json:"id"`
	Buried   time.Time         `json:"buried"`
	Stage    string            `json:"stage"`
	Session  string            `json:"session"`
	Page     int               `json:"page,omitempty"`
	Reason   session.Reason    `json:"reason"`
	Detail   string            `json:"detail"`
	Subject  string            `json:"subject"`  // of the event that died; empty for a webhook's body
	Received time.Time         `json:"received"` // that event
	Event    string            `json:"event,omitempty"`
	Binary   []byte            `json:"event_base64,omitempty"` // instead of Event where that is not UTF-8
	Attempts []session.Attempt `json:"attempts,omitempty"`
}

// ToChoose reports whether the letter waits for a person who chooses an image; to try it again changes nothing.
func (l Letter) ToChoose() bool {
	return l.Stage == session.StageChoice && l.Session != "" && l.Page > 0
}

// LetterList is a page of letters, oldest first. Next, where it is not 0, is what `after` must be for the following page.
type LetterList struct {
	Letters []Letter `json:"letters"`
	Next    uint64   `json:"next,omitempty"`
}
