package session

import (
	"errors"
	"fmt"
	"time"
)

// TypeKept is the subject of Kept; tokens follow.
const TypeKept = "fax.v1.in.kept"

// Kept means: a fax is now under legal hold, released or purged, and its log in the archive has the entry.
type Kept struct {
	Session string    `json:"session"`
	Kind    string    `json:"kind"`  // ActionHeld, ActionReleased or ActionPurged
	Asked   string    `json:"asked"` // the name of the action; a token
	At      time.Time `json:"at"`    // when it was ordered, UTC; the latest one counts
}

func (f Kept) Subject() string         { return TypeKept + "." + f.Session + "." + f.Asked }
func (f Kept) ID() string              { return "in.kept/" + f.Session + "/" + f.Asked }
func (f Kept) Type() string            { return TypeKept }
func (f Kept) SessionID() string       { return f.Session }
func (f Kept) Time() time.Time         { return f.At }
func (f Kept) Same(stored []byte) bool { return sameJSON(f, stored, func(*Kept) {}) }

// kept folds a hold, release or purge. After a purge the ledger only has the mark that there was a fax. A purge is always the last
// entry of the log, also if the clocks say otherwise.
func (s *State) kept(f Kept) {
	if s.Purged || f.Kind != ActionPurged && f.At.Before(s.KeptAt) {
		return
	}
	if f.Kind == ActionPurged {
		opened := s.Opened
		if opened.IsZero() {
			opened = f.At
		}
		*s = State{Session: s.Session, Direction: s.Direction, Opened: opened, Purged: true}
	}
	s.KeptAt, s.Held = f.At, f.Kind == ActionHeld
}

// KeepEntry is one entry in a fax's log of holds, releases and its purge. It contains no fax number.
type KeepEntry struct {
	Session string    `json:"session"`
	Kind    string    `json:"action"` // ActionHeld, ActionReleased or ActionPurged
	By      string    `json:"by"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"`    // UTC; when FAX_AUDIT stored the order
	Asked   string    `json:"asked"` // the name of the order in FAX_AUDIT: the letter a and its sequence

	// Only for a purge: what must be known after everything else is removed.
	File    string    `json:"file,omitempty"`   // the provider's id of the whole file, so that it is not recorded as a new fax
	Indexed time.Time `json:"indexed,omitzero"` // the time in the fax's entry of the index
}

// Same reports whether two entries come from one order. It compares the times too: sequences start again after FAX_AUDIT was lost.
func (e KeepEntry) Same(o KeepEntry) bool { return e.Asked == o.Asked && e.At.Equal(o.At) }

// String returns one line of text for terminals and tables. The reason is quoted, so that it cannot break the line.
func (e KeepEntry) String() string {
	return fmt.Sprintf("session %s was %s on %s by %s: %q", e.Session, e.Kind, e.At.UTC().Format(time.RFC3339), e.By, e.Why)
}

// ErrKept is matched by the error of a purge that is not allowed: the fax is under legal hold, or retained. The text around it says
// by whom or until when.
var ErrKept = errors.New("the fax cannot be purged")
