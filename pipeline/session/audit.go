package session

import (
	"fmt"
	"strings"
	"time"
)

// Kinds of access.
const (
	AccessRead      = "read"      // the API sent an object
	AccessThumbnail = "thumbnail" // the API sent a small image of a page, made from the object
	AccessFaxForm   = "fax_form"  // the API sent the document in the form for fax machines, made from originals; the object is document.tiff
	AccessView      = "view"      // the dashboard showed a fax with the small images of its pages
	AccessSearch    = "search"    // a search showed words of pages of a fax, or a list by text showed the fax
	AccessVerify    = "verify"    // the dashboard verified the fax in the archive, and showed the faults
	AccessLink      = "link"      // the API made a link to an object
	AccessLinkUsed  = "link_used" // somebody used a link to get an object; the use of a link to S3 is not visible to faxstream
)

// Access says who read what. It is in FAX_AUDIT before the answer is sent. Nothing follows from it. (An Action is an order
// that the pipeline carries out.)
type Access struct {
	Kind    string    `json:"access"`            // AccessRead or another of the kinds above
	By      string    `json:"by"`                // name of the token; without a login, as the caller says
	Login   bool      `json:"login"`             // true: By is the name of a token
	Why     string    `json:"why,omitempty"`     // as the caller says
	Address string    `json:"address,omitempty"` // of the peer; behind a proxy, the address of the proxy
	Session string    `json:"session"`
	Page    int       `json:"page,omitempty"`   // from 1; 0: the document, or the whole fax
	Object  string    `json:"object,omitempty"` // its key in the archive
	Until   time.Time `json:"until,omitzero"`   // end of a link, UTC
}

// TypeAuditAccess begins the subjects of accesses; tokens follow.
const TypeAuditAccess = "fax.v1.audit.access" // .<kind>.<session>

// Subject returns the subject of the access. Several messages on one subject are several accesses. Kind and Session must be
// tokens.
func (a Access) Subject() string {
	return fmt.Sprintf("%s.%s.%s", TypeAuditAccess, a.Kind, a.Session)
}

// AuditEntry is one message of FAX_AUDIT: an Access or an Action.
type AuditEntry struct {
	Sequence uint64    // in FAX_AUDIT
	Time     time.Time // UTC; when JetStream stored it; of a restored entry: when it was stored first
	Subject  string
	Data     []byte       // JSON
	Restored *AuditOrigin // of an entry that a rebuild restored; nil: it was stored when it happened
}

// AuditOrigin is where a restored entry was before FAX_AUDIT was lost.
type AuditOrigin struct {
	Stream   time.Time `json:"stream_created"` // when that FAX_AUDIT was made, UTC
	Sequence uint64    `json:"sequence"`       // there
}

const (
	// TypeAudit begins the subjects of all entries; tokens follow.
	TypeAudit = "fax.v1.audit"
	// TypeAuditRestored begins the subjects of restored entries; the rest of the old subject follows. Nobody carries out what is there: an
	// order that was carried out before FAX_AUDIT was lost must not be carried out again.
	TypeAuditRestored = "fax.v1.audit.restored"
)

// RestoredSubject returns the subject of a restored entry; subject is that of the lost one.
func RestoredSubject(subject string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(subject, TypeAuditRestored+"."), TypeAudit+".")
	return TypeAuditRestored + "." + rest
}

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
	ActionDerived  = "derived"  // a document with chosen pages of a revision is made
)

// Stages of a replay.
const (
	ReplayDecode   = "decode"   // decode the archived originals again
	ReplayAssemble = "assemble" // make a new revision from the archive
	ReplayFetch    = "fetch"    // fetch the pages that are missing again: their own files, and the whole file
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
	Stage    string      `json:"stage,omitempty"`  // of a replay: ReplayDecode, ReplayAssemble or ReplayFetch
	Page     int         `json:"page,omitempty"`   // of a choice; of one for several pages the first of them
	Pages    Ranges      `json:"pages,omitempty"`  // of a choice for several pages: all of them
	Image    string      `json:"image,omitempty"`  // of a choice: ImageStreamed or ImageFile
	Work     *WorkChange `json:"work,omitempty"`   // of ActionWorked; the text of a note is in the archive only
	Derive   *Derivation `json:"derive,omitempty"` // of ActionDerived
}

// Subjects of actions; tokens follow.
const (
	TypeAuditLetter = "fax.v1.audit.dlq"    // .<action>.<stage>.<session>.<digest>
	TypeAuditReplay = "fax.v1.audit.replay" // .<stage>.<session>
	TypeAuditChoice = "fax.v1.audit.choice" // .<page>.<session>
	TypeAuditKeep   = "fax.v1.audit.keep"   // .<action>.<session>
	TypeAuditDesk   = "fax.v1.audit.desk"   // .<action>.<session>
	TypeAuditDerive = "fax.v1.audit.derive" // .<revision>.<session>
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
	case a.Derive != nil:
		return fmt.Sprintf("%s.%d.%s", TypeAuditDerive, a.Derive.Revision, a.Session)
	case a.Kind == ActionReplayed:
		return fmt.Sprintf("%s.%s.%s", TypeAuditReplay, a.Stage, a.Session)
	default:
		return fmt.Sprintf("%s.%s.%s", TypeAuditKeep, a.Kind, a.Session)
	}
}
