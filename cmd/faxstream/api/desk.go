package api

import (
	"strings"
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

// changeText says what an order in FAX_AUDIT changes. The text of a note is not there.
func changeText(c session.WorkChange) string {
	l := DeskLine{Assignee: c.Assignee, Add: c.Add, Remove: c.Remove, Read: c.Read, Done: c.Done}
	switch {
	case c.Note != nil && c.Note.Size == 0:
		l.Note = new("")
	case c.Note != nil:
		l.Note = new("a note")
	}
	return l.Text()
}

// Text says in words what a change did, and whether it had no effect.
func (l DeskLine) Text() string {
	var words []string
	switch {
	case l.Assignee != nil && *l.Assignee == "":
		words = append(words, "assigned it to nobody")
	case l.Assignee != nil:
		words = append(words, "assigned it to "+*l.Assignee)
	}
	if len(l.Add) > 0 {
		words = append(words, "added "+strings.Join(l.Add, ", "))
	}
	if len(l.Remove) > 0 {
		words = append(words, "removed "+strings.Join(l.Remove, ", "))
	}
	switch {
	case l.Note != nil && *l.Note == "":
		words = append(words, "removed the note")
	case l.Note != nil:
		words = append(words, "wrote: "+*l.Note)
	}
	if l.Read != nil {
		words = append(words, map[bool]string{true: "read it", false: "marked it as unread"}[*l.Read])
	}
	if l.Done != nil {
		words = append(words, map[bool]string{true: "marked it as done", false: "opened it again"}[*l.Done])
	}
	text := strings.Join(words, "; ")
	if l.Late != "" {
		text += " (without effect: " + l.Late + ")"
	}
	return text
}
