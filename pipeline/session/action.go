package session

import "fmt"

// Kinds of actions.
const (
	ActionRetried  = "retried"  // the work of a dead letter is tried again; the letter is removed
	ActionDropped  = "dropped"  // a person gave up the work of a dead letter; the letter is removed
	ActionResolved = "resolved" // by faxstream: the work of a dead letter has succeeded; the letter is removed
	ActionReplayed = "replayed" // a fax is made again from the archive
	ActionChosen   = "chosen"   // one of two images of a page that differ counts
	ActionHeld     = "held"     // a fax is put under legal hold: it cannot be purged
	ActionReleased = "released" // a fax is released from legal hold
	ActionPurged   = "purged"   // a fax is removed for good
	ActionWorked   = "worked"   // a fax is assigned, labelled, read or done, or has a note
)

// Stages of a replay.
const (
	ReplayDecode   = "decode"   // decode the archived originals again
	ReplayAssemble = "assemble" // make a new revision from the archive
)

// Action is an order that a person gave, and the record of it. The API answers 200 only when the action is in FAX_AUDIT. The
// pipeline carries it out from there, and repeats it until it succeeds.
type Action struct {
	Kind     string      `json:"action"`
	By       string      `json:"by"`  // name of the token; without a login, as the caller says
	Why      string      `json:"why"` // required for a drop, hold, release and purge
	LetterID uint64      `json:"letter_id,omitempty"`
	Letter   *DeadLetter `json:"letter,omitempty"` // the whole letter, because it is removed from FAX_DLQ
	Session  string      `json:"session,omitempty"`
	Stage    string      `json:"stage,omitempty"` // of a replay: ReplayDecode or ReplayAssemble
	Page     int         `json:"page,omitempty"`  // of a choice
	Image    string      `json:"image,omitempty"` // of a choice: ImageStreamed or ImageFile
	Work     *WorkChange `json:"work,omitempty"`  // of ActionWorked; the text of a note is in the archive only
}

// Subjects of actions; tokens follow.
const (
	TypeAuditLetter = "fax.v1.audit.dlq"    // .<action>.<stage>.<session>.<digest>
	TypeAuditReplay = "fax.v1.audit.replay" // .<stage>.<session>
	TypeAuditChoice = "fax.v1.audit.choice" // .<page>.<session>
	TypeAuditKeep   = "fax.v1.audit.keep"   // .<action>.<session>
	TypeAuditDesk   = "fax.v1.audit.desk"   // .<action>.<session>
)

// Subject returns the subject of the action. Several messages on one subject are several actions.
func (a Action) Subject() string {
	switch {
	case a.Letter != nil:
		return fmt.Sprintf("%s.%s.%s", TypeAuditLetter, a.Kind, a.Letter.tail())
	case a.Kind == ActionChosen:
		return fmt.Sprintf("%s.%d.%s", TypeAuditChoice, a.Page, a.Session)
	case a.Kind == ActionWorked:
		return fmt.Sprintf("%s.%s.%s", TypeAuditDesk, a.Kind, a.Session)
	case a.Kind == ActionReplayed:
		return fmt.Sprintf("%s.%s.%s", TypeAuditReplay, a.Stage, a.Session)
	default:
		return fmt.Sprintf("%s.%s.%s", TypeAuditKeep, a.Kind, a.Session)
	}
}
