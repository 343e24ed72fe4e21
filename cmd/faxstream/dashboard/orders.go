package dashboard

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxOrder bounds the body of an order, bytes.
const maxOrder = 16 << 10

// maxWhy bounds a reason, bytes: FAX_AUDIT and the archive keep it for years.
const maxWhy = 2000

func readOrder(w http.ResponseWriter, r *http.Request) (o api.Order, err error) {
	err = readOrderInto(w, r, &o, &o)
	return o, err
}

// readOrderInto is readOrder for an order with more fields: it reads into, and o is the api.Order in it.
func readOrderInto(w http.ResponseWriter, r *http.Request, into any, o *api.Order) error {
	if err := readJSON(w, r, maxOrder, into); err != nil {
		return err
	}
	return checkOrder(r, o)
}

// readJSON reads a body of at most `most` bytes.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, into any) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != "application/json" {
		return api.BadRequest("want a JSON object with Content-Type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return api.BadRequest("want a JSON object of at most %d bytes: %v", most, err)
	}
	return nil
}

// checkOrder says who gives an order, and bounds what is said.
func checkOrder(r *http.Request, o *api.Order) error {
	if t, ok := access.Caller(r); ok {
		o.By = t.Name
	}
	if o.By = stated(o.By); o.By == "" {
		return api.BadRequest("by: give the name of the person who asks")
	}
	if o.Why = strings.TrimSpace(o.Why); len(o.Why) > maxWhy {
		return api.BadRequest("why: %d bytes, want at most %d", len(o.Why), maxWhy)
	}
	return nil
}

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

// replay stores the order to make the document of a fax again from the archive.
func (s *server) replay(w http.ResponseWriter, r *http.Request) {
	var o api.ReplayOrder
	err := readOrderInto(w, r, &o, &o.Order)
	if err == nil && o.Stage != session.ReplayDecode && o.Stage != session.ReplayAssemble {
		err = api.BadRequest("stage %q: want %s or %s", o.Stage, session.ReplayDecode, session.ReplayAssemble)
	}
	var st session.State
	if err == nil {
		st, err = s.find(r)
	}
	if err == nil && st.Document == nil {
		err = api.NotFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	if err == nil {
		act := session.Action{Kind: session.ActionReplayed, By: o.By, Why: o.Why, Session: st.Session, Stage: o.Stage}
		_, err = s.Letters.Act(r.Context(), act)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Log.Info("replay ordered", "session", st.Session, "stage", o.Stage, "by", o.By)
	api.Write(w, http.StatusOK, api.ReplayAnswer{Session: st.Session, Stage: o.Stage})
}
