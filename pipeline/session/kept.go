package session

import (
	"errors"
	"fmt"
	"time"
)

// TypeKept is the subject of Kept; tokens follow.
const TypeKept = "fax.v1.in.kept"

// Kept: whether a fax must be kept has changed, and the archive's log of that says so.
type Kept struct {
	Session string    `json:"session"`
	Kind    string    `json:"kind"`  // ActionHeld, ActionReleased or ActionPurged
	Asked   string    `json:"asked"` // names the action; a token
	At      time.Time `json:"at"`    // when it was asked for; the later one holds
}

func (f Kept) Subject() string         { return TypeKept + "." + f.Session + "." + f.Asked }
func (f Kept) ID() string              { return "in.kept/" + f.Session + "/" + f.Asked }
func (f Kept) Type() string            { return TypeKept }
func (f Kept) SessionID() string       { return f.Session }
func (f Kept) Time() time.Time         { return f.At }
func (f Kept) Same(stored []byte) bool { return sameJSON(f, stored, func(*Kept) {}) }

// kept notes a hold or its end. Of a purged fax nothing stays but that there was one; a purge is the last entry of its log, whatever the
// clock says.
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

// KeepEntry is one line of a fax's log of holds, releases and its purge. It has no number of a fax machine.
type KeepEntry struct {
	Session string    `json:"session"`
	Kind    string    `json:"action"` // ActionHeld, ActionReleased or ActionPurged
	By      string    `json:"by"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"`    // UTC; when FAX_AUDIT stored the order
	Asked   string    `json:"asked"` // names the order in FAX_AUDIT: a and its sequence

	// Of a purge, what must still be known when nothing else is there.
	File    string    `json:"file,omitempty"`   // the provider's id of the whole file: nobody shall take it in as a new fax
	Indexed time.Time `json:"indexed,omitzero"` // the time in the fax's entry of the index
}

// Same reports whether two entries come from one order. Sequences begin anew when FAX_AUDIT was lost, times do not.
func (e KeepEntry) Same(o KeepEntry) bool { return e.Asked == o.Asked && e.At.Equal(o.At) }

// String is one line for people, also where the reason is none: terminals and tables show it.
func (e KeepEntry) String() string {
	return fmt.Sprintf("session %s was %s on %s by %s: %q", e.Session, e.Kind, e.At.UTC().Format(time.RFC3339), e.By, e.Why)
}

// ErrKept: a fax may not be purged. Its text says by whom or until when it is kept.
var ErrKept = errors.New("it must be kept")
