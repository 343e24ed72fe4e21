package dashboard

import (
	"net/http"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

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
