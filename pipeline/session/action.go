package session

import "fmt"

// Kinds of actions.
const (
	ActionRetried  = "retried"  // what died is made again; the letter is removed
	ActionDropped  = "dropped"  // a person gave up what died; the letter is removed
	ActionResolved = "resolved" // by faxstream: what died has come after all; the letter is removed
	ActionReplayed = "replayed" // a fax is made again from the archive
	ActionHeld     = "held"     // a fax is put under legal hold: it cannot be purged
	ActionReleased = "released" // the hold is lifted
	ActionPurged   = "purged"   // a fax is removed for good
)

// Stages of a replay.
const (
	ReplayDecode   = "decode"   // decode the archived originals again
	ReplayAssemble = "assemble" // make a new revision of what is archived
)

// Action is what somebody did by hand, and at the same time the order to do it: whoever is told 200 has it in FAX_AUDIT, and
// what follows from it is done from there, as often as it takes.
type Action struct {
	Kind     string      `json:"action"`
	By       string      `json:"by"`  // the name of the token that was shown, or without login what the caller says
	Why      string      `json:"why"` // may be empty where nothing is kept, given up or removed
	LetterID uint64      `json:"letter_id,omitempty"`
	Letter   *DeadLetter `json:"letter,omitempty"` // whole: it is in FAX_DLQ no more
	Session  string      `json:"session,omitempty"`
	Stage    string      `json:"stage,omitempty"` // of a replay
}

// Subjects of actions; tokens follow.
const (
	TypeAuditLetter = "fax.v1.audit.dlq"    // .<action>.<stage>.<session>.<digest>
	TypeAuditReplay = "fax.v1.audit.replay" // .<stage>.<session>
	TypeAuditKeep   = "fax.v1.audit.keep"   // .<action>.<session>
)

// Subject is where the action is stored. Several on one subject are several actions.
func (a Action) Subject() string {
	switch {
	case a.Letter != nil:
		return fmt.Sprintf("%s.%s.%s", TypeAuditLetter, a.Kind, a.Letter.tail())
	case a.Kind == ActionReplayed:
		return fmt.Sprintf("%s.%s.%s", TypeAuditReplay, a.Stage, a.Session)
	default:
		return fmt.Sprintf("%s.%s.%s", TypeAuditKeep, a.Kind, a.Session)
	}
}
