package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// WorkOrder changes what people say about a fax: POST /faxes/{session}/desk. A field that is absent stays as it is.
type WorkOrder struct {
	By       string   `json:"by"`                 // a name; with a login the token's name counts
	Assignee *string  `json:"assignee,omitempty"` // a name; "": nobody
	Add      []string `json:"add_labels,omitempty"`
	Remove   []string `json:"remove_labels,omitempty"`
	Note     *string  `json:"note,omitempty"` // "": no note
	Read     *bool    `json:"read,omitempty"`
	Done     *bool    `json:"done,omitempty"`

	// Seen is n of the Desk that the person looked at; absent: the person did not look. If the same thing was changed after that, the
	// answer is 409, and the change has no effect.
	Seen *int `json:"seen,omitempty"`
}

// WorkAnswer is the answer to a WorkOrder, which is stored.
type WorkAnswer struct {
	Session string       `json:"session"`
	Work    session.Work `json:"work"` // after the change, if it is done
	Done    bool         `json:"done"` // it is carried out; false: it will be
}

// Desk is what people say about a fax, and how that came: GET /faxes/{session}/desk.
type Desk struct {
	Session string       `json:"session"`
	Work    session.Work `json:"work"`
	Log     []DeskLine   `json:"log"` // oldest first
}

// DeskLine is one change of a Desk.
type DeskLine struct {
	N        int       `json:"n"` // from 1
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Assignee *string   `json:"assignee,omitempty"`
	Add      []string  `json:"add_labels,omitempty"`
	Remove   []string  `json:"remove_labels,omitempty"`
	Note     *string   `json:"note,omitempty"`
	Read     *bool     `json:"read,omitempty"`
	Done     *bool     `json:"done,omitempty"`
	Late     string    `json:"late,omitempty"` // what was changed before, in words; then this change has no effect
}
