package dashboard

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxStated bounds who and why in a request, bytes.
const maxStated = 300

// record stores an access with who asks, from where and why. Without a record nothing may be given out.
func (s *server) record(r *http.Request, a session.Access) error {
	t, ok := access.Caller(r)
	switch {
	case ok:
		a.By, a.Login = t.Name, true
	case a.By == "":
		a.By = stated(r.Header.Get(api.HeaderBy))
	}
	if a.By == "" {
		a.By = "local"
	}
	if a.Why == "" {
		a.Why = stated(r.Header.Get(api.HeaderReason))
	}
	if ip := access.Address(r); ip.IsValid() {
		a.Address = ip.String()
	}
	if err := s.Audit.RecordAccess(r.Context(), a); err != nil {
		s.Log.Error("an access cannot be recorded, so it is refused", "kind", a.Kind, "session", a.Session, "err", err)
		return api.Unavailable("the access could not be recorded in FAX_AUDIT, so it is refused: try again, and look at /readyz")
	}
	return nil
}

// stated is a text of a caller without control characters, at most maxStated bytes.
func stated(s string) string {
	if len(s) > maxStated {
		s = s[:maxStated]
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == utf8.RuneError {
			return -1
		}
		return c
	}, s))
}
