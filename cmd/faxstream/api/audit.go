package api

import (
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// AuditLine is an entry of the audit, from a seal or from FAX_AUDIT: a line of GET /audit.
type AuditLine struct {
	Sequence uint64          `json:"sequence"` // in FAX_AUDIT
	Time     time.Time       `json:"time"`
	Subject  string          `json:"subject"`
	Entry    json.RawMessage `json:"entry,omitempty"`        // session.Access or session.Action
	Bytes    []byte          `json:"entry_base64,omitempty"` // instead of Entry where that is not JSON

	Restored *session.AuditOrigin `json:"restored,omitempty"` // of an entry that a rebuild restored
}

// AuditWords is an entry in words.
type AuditWords struct {
	By, What, Session, Why string

	Page int // 0: it is about no page
}

// Words says an entry in words, for tables.
func (l AuditLine) Words() AuditWords {
	var e struct {
		Access, Action, By, Why, Session, Stage, Image string

		Object string
		Page   int
		Pages  session.Ranges // of a choice for several pages
		Work   *session.WorkChange
		Letter struct {
			Session string
			Page    int
		}
	}
	if err := json.Unmarshal(l.Entry, &e); err != nil {
		e.Access = "unreadable"
	}
	if e.Access == session.AccessThumbnail {
		e.Object = "" // it was made from this object, which was not sent
	}
	what := strings.TrimSpace(e.Access + e.Action + " " + e.Stage + e.Image + strings.TrimPrefix(path.Ext(e.Object), "."))
	if e.Work != nil {
		what += ": " + changeText(*e.Work)
	}
	if len(e.Pages) > 0 {
		what += ": " + e.Pages.Text()
	}
	return AuditWords{By: e.By, What: what, Session: e.Session + e.Letter.Session, Why: e.Why, Page: max(e.Page, e.Letter.Page)}
}

// AuditFilter chooses entries; the zero value chooses all.
type AuditFilter struct {
	Since, Until time.Time // stored at or after Since and before Until; zero: no bound
	Session, By  string
}

// Has reports whether the filter chooses an entry.
func (f AuditFilter) Has(l AuditLine) bool {
	if l.Time.Before(f.Since) || !f.Until.IsZero() && !l.Time.Before(f.Until) {
		return false
	}
	if f.Session == "" && f.By == "" {
		return true
	}
	var e struct {
		By      string
		Session string
		Letter  struct{ Session string }
	}
	if json.Unmarshal(l.Entry, &e) != nil {
		return false
	}
	return (f.By == "" || f.By == e.By) && (f.Session == "" || f.Session == e.Session || f.Session == e.Letter.Session)
}
