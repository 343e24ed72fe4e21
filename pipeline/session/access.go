package session

import (
	"fmt"
	"time"
)

// Kinds of access.
const (
	AccessRead     = "read"      // an object was given out by the API
	AccessLink     = "link"      // a link to an object was made
	AccessLinkUsed = "link_used" // an object was given out to whoever held a link; one to S3 is followed there, unseen by us
)

// Access is what somebody was given to read, or did to what is archived. It stands in FAX_AUDIT before the answer is given; nothing
// follows from it. (An Action is an order that the pipeline carries out.)
type Access struct {
	Kind    string    `json:"access"`
	By      string    `json:"by"`                // the name of the token that was shown, or without login what the caller says
	Login   bool      `json:"login"`             // By is a token's name
	Why     string    `json:"why,omitempty"`     // as the caller says
	Address string    `json:"address,omitempty"` // of the peer; behind a proxy it is the proxy's
	Session string    `json:"session"`
	Page    int       `json:"page,omitempty"`   // from 1; 0: the document, or the whole fax
	Object  string    `json:"object,omitempty"` // its key in the archive
	Until   time.Time `json:"until,omitzero"`   // a link's end
}

// TypeAuditAccess begins the subjects of accesses; tokens follow.
const TypeAuditAccess = "fax.v1.audit.access" // .<kind>.<session>

// Subject is where the access is stored. Several on one subject are several accesses. Kind and Session must be tokens.
func (a Access) Subject() string {
	return fmt.Sprintf("%s.%s.%s", TypeAuditAccess, a.Kind, a.Session)
}

// AuditEntry is one message of FAX_AUDIT: an Access or an Action.
type AuditEntry struct {
	Sequence uint64    // in FAX_AUDIT
	Time     time.Time // UTC; when JetStream stored it
	Subject  string
	Data     []byte // JSON
}
