package dashboard

import (
	"embed"
	"net/http"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
)

//go:embed *.html
var files embed.FS

var pages = layout.Parse(files, "*.html")

func (s *server) indexPage(w http.ResponseWriter, r *http.Request) {
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		api.WriteError(w, err)
		return
	}
	var letters uint64
	if !limited(r) {
		if letters, err = s.Letters.LiveLetters(r.Context()); err != nil {
			s.Log.Error("the number of dead letters is unknown", "err", err)
		}
	}
	s.render(w, r, "index.html", struct {
		api.FaxList
		Letters   uint64
		Uncertain bool   // JetStream did not say how many letters there are
		User      string // who is logged in; empty without a login
		Search    bool   // there is an index
	}{s.list(r.Context(), readersFilter(r), after, defaultLimit), letters, err != nil, userOf(r), s.Search != nil})
}

// userOf names who is logged in.
func userOf(r *http.Request) string {
	t, _ := access.Caller(r)
	return t.Name
}

func (s *server) render(w http.ResponseWriter, r *http.Request, page string, data any) {
	pages.Write(w, r, s.Log, http.StatusOK, page, data)
}
