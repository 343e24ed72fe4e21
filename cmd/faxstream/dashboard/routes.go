package dashboard

import (
	"net/http"
	"slices"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

// route is one path, the scope that it needs and its handler.
type route struct {
	pattern string // of http.ServeMux
	scope   access.Scope
	handle  http.HandlerFunc
}

// routes are all paths of the listener except those of the login. The handler of a path with scope own must ask sees before it shows a fax.
func (s *server) routes() []route {
	return slices.Concat(s.healthRoutes(), []route{
		{"GET /{$}", access.ScopeOwn, s.indexPage},
		{"GET /fax/{session}", access.ScopeOwn, s.faxPage},
		{"GET /live", access.ScopeOwn, s.liveList},
		{"GET /live/{session}", access.ScopeOwn, s.liveFax},
		{"GET /assets/{file}", access.ScopeOpen, layout.Asset},
		{"GET /fax/{session}/pages/{page}", access.ScopeOwn, s.viewPage},
		{"GET /fax/{session}/timeline", access.ScopeOwn, s.timelinePage},
		{"GET /fax/{session}/history", access.ScopeOwn, s.historyPage},
		{"GET /search", access.ScopeOwn, s.searchPage},
		{"GET /api/v1/search", access.ScopeOwn, s.search},
		{"GET /api/v1/faxes", access.ScopeOwn, s.listFaxes},
		{"GET /api/v1/faxes/{session}", access.ScopeOwn, s.fax},
		{"GET /api/v1/faxes/{session}/{document}", access.ScopeOwn, s.document},
		{"GET /api/v1/faxes/{session}/pages/{file}", access.ScopeOwn, s.page},
		{"PUT /api/v1/faxes/{session}/pages/{page}/text", access.ScopeText, s.putText},
		{"GET /api/v1/faxes/{session}/pages/{page}/text/{form}", access.ScopeOwn, s.pageText},
		{"POST /api/v1/faxes/{session}/pages/{page}/choose", access.ScopeOperate, s.choosePage},
		{"POST /fax/{session}/pages/{page}/choose", access.ScopeOperate, s.form(s.chooseForm)},
		{"GET /api/v1/faxes/{session}/desk", access.ScopeOwn, s.readDesk},
		{"POST /api/v1/faxes/{session}/desk", access.ScopeWork, s.workOn},
		{"POST /fax/{session}/desk", access.ScopeWork, s.workForm},
		{"GET /api/v1/faxes/{session}/derived", access.ScopeOwn, s.listDerived},
		{"GET /api/v1/faxes/{session}/derived/{file}", access.ScopeOwn, s.derivedFile},
		{"POST /api/v1/faxes/{session}/derived", access.ScopeWork, s.derive},
		{"POST /fax/{session}/derive", access.ScopeWork, s.form(s.deriveForm)},
		{"POST /fax/{session}/replay", access.ScopeOperate, s.form(s.replayForm)},
		{"POST /fax/{session}/verify", access.ScopeOperate, s.verifyForm},
		{"POST /fax/{session}/hold", access.ScopeAdmin, s.holdForm(session.ActionHeld)},
		{"POST /fax/{session}/release", access.ScopeAdmin, s.holdForm(session.ActionReleased)},
		{"POST /fax/{session}/purge", access.ScopeAdmin, s.holdForm(session.ActionPurged)},
		{"GET /health", access.ScopeRead, s.healthPage},
		{"POST /reconcile", access.ScopeOperate, s.reconcileForm},
		{"POST /bulk", access.ScopeWork, s.bulkForm(s.bulkWork)},
		{"POST /bulk/replay", access.ScopeOperate, s.bulkForm(s.bulkReplay)},
		{"POST /bulk/keep", access.ScopeAdmin, s.bulkForm(s.bulkKeep)},
		{"GET /letters", access.ScopeRead, s.lettersPage},
		{"POST /letters", access.ScopeOperate, s.lettersForm},
		{"POST /letters/{id}/retry", access.ScopeOperate, s.letterForm(session.ActionRetried)},
		{"POST /letters/{id}/drop", access.ScopeOperate, s.letterForm(session.ActionDropped)},
		{"GET /api/v1/faxes/{session}/keep", access.ScopeOwn, s.holdStatus},
		{"POST /api/v1/faxes/{session}/links", access.ScopeOwn, s.link}, // a reader could send the file itself
		{"POST /fax/{session}/link", access.ScopeOwn, s.linkForm},
		{"GET /links/{link}", access.ScopeOpen, s.followLink}, // the link is the credential
		{"GET /api/v1/subscribers", access.ScopeRead, s.listSubscribers},
		{"POST /api/v1/subscribers", access.ScopeAdmin, s.addSubscriber},
		{"DELETE /api/v1/subscribers/{name}", access.ScopeAdmin, s.removeSubscriber},
		{"POST /api/v1/subscribers/{name}/rewind", access.ScopeAdmin, s.rewindSubscriber},
		{"POST /api/v1/subscribers/{name}/rotate", access.ScopeAdmin, s.rotateSubscriber},
		{"POST /api/v1/subscribers/{name}/claim", access.ScopeOwn, s.claim},
		{"POST /api/v1/subscribers/{name}/settle", access.ScopeOwn, s.settle},
		{"GET /api/v1/events", access.ScopeOwn, s.events},
		{"GET /api/v1/audit", access.ScopeOwn, s.audit},
		{"GET /api/v1/holds", access.ScopeRead, s.listHolds},
		{"POST /api/v1/faxes/{session}/hold", access.ScopeAdmin, s.orderHold(session.ActionHeld)},
		{"POST /api/v1/faxes/{session}/release", access.ScopeAdmin, s.orderHold(session.ActionReleased)},
		{"POST /api/v1/faxes/{session}/purge", access.ScopeAdmin, s.orderHold(session.ActionPurged)},
		{"POST /api/v1/faxes/{session}/replay", access.ScopeOperate, s.replay},
		{"GET /api/v1/dlq", access.ScopeRead, s.listLetters},
		{"GET /api/v1/dlq/{id}", access.ScopeRead, s.letter},
		{"POST /api/v1/dlq/{id}/retry", access.ScopeOperate, s.actOnLetter(session.ActionRetried)},
		{"POST /api/v1/dlq/{id}/drop", access.ScopeOperate, s.actOnLetter(session.ActionDropped)},
		{"POST /api/v1/reconcile", access.ScopeOperate, s.reconcile},
		{"GET /api/v1/webhooks/refused", access.ScopeRead, s.refusedWebhooks},
	})
}

// healthRoutes are those that every process has.
func (s *server) healthRoutes() []route {
	return []route{
		{"GET /metrics", access.ScopeMetrics, s.Metrics.ServeHTTP},
		{"GET /readyz", access.ScopeOpen, s.readyz},
		{"GET /healthz", access.ScopeOpen, func(w http.ResponseWriter, _ *http.Request) {
			api.Write(w, http.StatusOK, api.Readiness{Status: "ok"})
		}},
	}
}
