package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Trail calls give with the entries stored from since to until, oldest first, until it returns an error.
type Trail func(ctx context.Context, since, until time.Time, give func(api.AuditLine) error) error

// ownAudit refuses a reader who is limited to numbers, unless the entries asked for are of one fax that the reader sees: an entry does not
// say whose fax it is about.
func (s *server) ownAudit(r *http.Request, id string) error {
	if id == "" {
		return api.Errorf(http.StatusForbidden, "forbidden",
			"the token is limited to numbers, so it sees the audit of one fax at a time: give session=SESSION, or --session on the command line")
	}
	_, err := s.findSession(r, id)
	return err
}

// audit gives the entries of the audit, oldest first, a JSON object a line. If they cannot be read to their end, the
// connection is broken off, so that nobody takes a part for the whole.
func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	f := api.AuditFilter{Session: r.FormValue("session"), By: r.FormValue("by")}
	for name, t := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		var err error
		if *t, err = time.Parse(time.RFC3339, v); err != nil {
			s.fail(w, r, api.BadRequest("%s %q: want a time such as 2026-11-24T12:00:00Z", name, v))
			return
		}
	}
	if f.Session != "" {
		var err error
		if f.Session, err = s.resolveFor(r, f.Session); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if limited(r) {
		if err := s.ownAudit(r, f.Session); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	began := false
	out := json.NewEncoder(w)
	err := s.Trail(r.Context(), f.Since, f.Until, func(l api.AuditLine) error {
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
