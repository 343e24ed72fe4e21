package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// AuditLine is an entry of the audit as the API shows it, from a seal or from FAX_AUDIT.
type AuditLine struct {
	Sequence uint64          `json:"sequence"` // in FAX_AUDIT
	Time     time.Time       `json:"time"`
	Subject  string          `json:"subject"`
	Entry    json.RawMessage `json:"entry,omitempty"`        // session.Access or session.Action
	Bytes    []byte          `json:"entry_base64,omitempty"` // instead of Entry where that is no JSON
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

// Trail calls give with the entries stored from since to until, oldest first, until it returns an error.
type Trail func(ctx context.Context, since, until time.Time, give func(AuditLine) error) error

// audit gives the entries of the audit, oldest first, a JSON object a line. Where they cannot be read to their end the connection is
// broken off, so that nobody takes a part for all.
func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	f := AuditFilter{Session: r.FormValue("session"), By: r.FormValue("by")}
	for name, t := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		var err error
		if *t, err = time.Parse(time.RFC3339, v); err != nil {
			s.fail(w, r, badRequest("%s %q: want a time such as 2026-11-24T12:00:00Z", name, v))
			return
		}
	}
	if f.Session != "" && !session.ValidToken(f.Session) {
		s.fail(w, r, badRequest("session %q: want 1 to %d letters, digits, '-' and '_'", f.Session, session.MaxTokenLen))
		return
	}
	began := false
	out := json.NewEncoder(w)
	err := s.Trail(r.Context(), f.Since, f.Until, func(l AuditLine) error {
		if !f.Has(l) {
			return nil
		}
		if !began {
			w.Header().Set("Content-Type", "application/jsonl")
			began = true
		}
		return out.Encode(l)
	})
	switch {
	case err != nil && began:
		s.Log.Error("the audit cannot be read to its end", "err", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		s.fail(w, r, err)
	case !began:
		w.Header().Set("Content-Type", "application/jsonl")
		w.WriteHeader(http.StatusOK)
	}
}
