package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// reconcile compares the provider's lists with the faxes that are here, once. It answers when that is done, which may take minutes.
func (s *server) reconcile(w http.ResponseWriter, r *http.Request) {
	var o api.ReconcileOrder
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o)
	if err != nil || o.Since.IsZero() || !o.Since.Before(time.Now()) {
		api.WriteError(w, api.BadRequest(`want a JSON object {"since":"2026-11-24T12:00:00Z","dry_run":false}, since in the past`))
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		s.fail(w, r, fmt.Errorf("reconcile: %w", err))
		return
	}
	api.Write(w, http.StatusOK, s.Reconcile(r.Context(), o.Since, o.DryRun))
}
