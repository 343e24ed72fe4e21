package session

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// TypeDesk is the subject of Desk; tokens follow.
const TypeDesk = "fax.v1.in.desk"

// Limits of what people write at the desk. The ledger contains it, so it is small.
const (
	MaxAssignee = 100  // bytes
	MaxLabel    = 50   // bytes
	MaxLabels   = 20   // of one fax
	MaxNote     = 2000 // bytes
	MaxChanges  = 500  // of one fax: each order reads them all, one after another for all faxes
)

// Work is what people say about a fax: who has it, whether it is read and done, labels and a note. The zero value: nobody said anything.
type Work struct {
	N        int       `json:"n"`                  // entries of the log in the archive that made it
	Assignee string    `json:"assignee,omitempty"` // a name; empty: nobody
	Labels   []string  `json:"labels,omitempty"`   // ascending
	Note     string    `json:"note,omitempty"`
	Read     bool      `json:"read,omitempty"`
	Done     bool      `json:"done,omitempty"`
	By       string    `json:"by,omitempty"` // who made the newest change
	At       time.Time `json:"at,omitzero"`  // when, UTC

	// The newest entry that changed each field; 0: none did.
	AssigneeN int `json:"assignee_n,omitempty"`
	NoteN     int `json:"note_n,omitempty"`
	DoneN     int `json:"done_n,omitempty"`
}

// Text says in words how far the work is.
func (w Work) Text() string {
	switch {
	case w.Done:
		return "done"
	case w.Read:
		return "read, not done"
	default:
		return "unread"
	}
}

// WorkChange is one change of Work. A nil field stays as it is.
type WorkChange struct {
	Assignee *string  `json:"assignee,omitempty"` // "": nobody
	Add      []string `json:"add_labels,omitempty"`
	Remove   []string `json:"remove_labels,omitempty"`
	Note     *Object  `json:"note,omitempty"` // the text is an object of its own: FAX_AUDIT never contains it. Size 0: no note
	Read     *bool    `json:"read,omitempty"`
	Done     *bool    `json:"done,omitempty"`

	// Seen is how many entries the log had when the person looked; nil: the person did not look. If the assignee, the note or the state
	// done was changed after that, a change of the same field comes too late and has no effect.
	Seen *int `json:"seen,omitempty"`
}

// DeskEntry is one entry of the log desk/<session>/.
type DeskEntry struct {
	Session string    `json:"session"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`    // UTC; when FAX_AUDIT stored the order
	Asked   string    `json:"asked"` // the name of the order in FAX_AUDIT: the letter a and its sequence
	WorkChange
}

// Same reports whether two entries come from one order, as KeepEntry.Same does.
func (e DeskEntry) Same(o DeskEntry) bool { return e.Asked == o.Asked && e.At.Equal(o.At) }

// DeskLine is an entry of the log with what it did.
type DeskLine struct {
	DeskEntry
	Text string // of the note
	Late string // why it has no effect, in words, such as "it was assigned to ada by bob"; empty: it has
}

// Check returns an error that says what is wrong with a change, and what is allowed.
func (c WorkChange) Check() error {
	if c.Assignee == nil && len(c.Add) == 0 && len(c.Remove) == 0 && c.Note == nil && c.Read == nil && c.Done == nil {
		return errors.New("the change is empty: give an assignee, labels, a note, read or done")
	}
	if c.Assignee != nil && *c.Assignee != "" {
		if err := checkText("assignee", *c.Assignee, MaxAssignee); err != nil {
			return err
		}
	}
	if len(c.Add) > MaxLabels || len(c.Remove) > MaxLabels {
		return fmt.Errorf("labels: want at most %d", MaxLabels)
	}
	for _, label := range slices.Concat(c.Add, c.Remove) {
		if err := checkText("label", label, MaxLabel); err != nil {
			return err
		}
		if strings.Contains(label, ",") {
			return fmt.Errorf("label %q: a label contains no comma", label)
		}
	}
	if c.Note != nil && (c.Note.Size < 0 || c.Note.Size > MaxNote) {
		return fmt.Errorf("note: %d bytes, want at most %d", c.Note.Size, MaxNote)
	}
	if c.Seen != nil && *c.Seen < 0 {
		return fmt.Errorf("seen %d: want 0 or more", *c.Seen)
	}
	return nil
}

// checkText refuses a text that is empty, too long, or has characters that cannot be shown in one line.
func checkText(what, text string, most int) error {
	odd := func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
	if text == "" || len(text) > most || text != strings.TrimSpace(text) || strings.ContainsFunc(text, odd) {
		return fmt.Errorf("%s %q: want 1 to %d bytes of UTF-8 in one line, without a space at the ends", what, text, most)
	}
	return nil
}

// With returns the work after the next entry of the log. note is the text of e.Note. late is empty, or says in words why the entry has no
// other effect than that the log has it: something was changed after the person looked. by is the entry that did it; 0: none did.
func (w Work) With(e DeskEntry, note string) (next Work, late string, by int) {
	if late, by = w.late(e.WorkChange); late != "" {
		w.N++
		return w, late, by
	}
	w.N++
	w.By, w.At = e.By, e.At
	if e.Assignee != nil {
		w.Assignee, w.AssigneeN = *e.Assignee, w.N
	}
	if e.Note != nil {
		w.Note, w.NoteN = note, w.N
	}
	if e.Done != nil {
		w.Done, w.DoneN = *e.Done, w.N
		w.Read = w.Read || *e.Done
	}
	if e.Read != nil {
		w.Read = *e.Read
	}
	w.Labels = w.labels(e.WorkChange)
	return w, "", 0
}

// labels are those after a change.
func (w Work) labels(c WorkChange) []string {
	labels := map[string]bool{}
	for _, l := range slices.Concat(w.Labels, c.Add) {
		labels[l] = true
	}
	for _, l := range c.Remove {
		delete(labels, l)
	}
	return slices.Sorted(maps.Keys(labels))
}

// late says what a person who makes a change has not seen, and which entry did that.
func (w Work) late(c WorkChange) (late string, by int) {
	if n := len(w.labels(c)); n > MaxLabels && n > len(w.Labels) {
		return fmt.Sprintf("the fax would have %d labels, and may have %d", n, MaxLabels), 0
	}
	if c.Seen == nil {
		return "", 0
	}
	changed := func(n int) bool { return n > *c.Seen }
	switch {
	case c.Assignee != nil && changed(w.AssigneeN) && w.Assignee == *c.Assignee:
	case c.Assignee != nil && changed(w.AssigneeN) && w.Assignee == "":
		return "the assignee was removed", w.AssigneeN
	case c.Assignee != nil && changed(w.AssigneeN):
		return "it was assigned to " + w.Assignee, w.AssigneeN
	case c.Note != nil && changed(w.NoteN):
		return "the note was changed", w.NoteN
	case c.Done != nil && changed(w.DoneN) && w.Done != *c.Done && w.Done:
		return "it was marked as done", w.DoneN
	case c.Done != nil && changed(w.DoneN) && w.Done != *c.Done:
		return "it was opened again", w.DoneN
	}
	return "", 0
}

// Desk means: people changed their work on a fax, and its log in the archive has the entry. The fact has all that is known after entry N.
type Desk struct {
	Session string `json:"session"`
	Work
}

func (f Desk) Subject() string         { return fmt.Sprintf("%s.%s.%d", TypeDesk, f.Session, f.N) }
func (f Desk) ID() string              { return fmt.Sprintf("in.desk/%s/%d", f.Session, f.N) }
func (f Desk) Type() string            { return TypeDesk }
func (f Desk) SessionID() string       { return f.Session }
func (f Desk) Time() time.Time         { return f.At }
func (f Desk) Same(stored []byte) bool { return sameJSON(f, stored, func(*Desk) {}) }

// worked folds a Desk: the one with the most entries counts.
func (s *State) worked(f Desk) {
	if f.N > s.Work.N {
		s.Work = f.Work
	}
}
