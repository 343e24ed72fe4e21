package flags

import (
	"fmt"

	"github.com/faxstream/faxstream/pipeline/session"
)

// SessionID is a session id on the command line, whole or its first letters; empty only if it is not given.
type SessionID string

func (s *SessionID) UnmarshalText(text []byte) error {
	switch id := string(text); {
	case id == "":
		return fmt.Errorf("the session id is empty (is the variable set that it comes from?): give the one that ls prints, "+
			"or its first %d letters", session.MinShortID)
	case !session.ValidToken(id):
		return fmt.Errorf("session %q: want 1 to %d letters, digits, '-' and '_'", id, session.MaxTokenLen)
	default:
		*s = SessionID(id)
		return nil
	}
}
