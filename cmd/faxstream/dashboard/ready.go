package dashboard

import (
	"errors"
	"net/http"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// refusedWebhooks lists the addresses whose webhooks were refused last.
func (s *server) refusedWebhooks(w http.ResponseWriter, _ *http.Request) {
	api.Write(w, http.StatusOK, api.RefusalList{Refused: s.Refused()})
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	state := api.Readiness{Status: "ready"}
	err := s.Ready(r.Context())
	if err == nil && s.Warnings != nil {
		state.Warnings, err = s.Warnings(r.Context())
	}
	if t, ok := access.Caller(r); s.Gate.NeedsLogin() && (!ok || t.Limited()) {
		state.Warnings = nil
		if err != nil {
			err = errors.New("send a token that is not limited to numbers to see the reason")
		}
	}
	if err != nil {
		api.WriteError(w, api.Unavailable("not ready: %v", err))
		return
	}
	api.Write(w, http.StatusOK, state)
}
