package dashboard

import (
	"embed"
	"html/template"
	"net/http"
)

//go:embed *.html
var files embed.FS

// parsed once; templates are safe for concurrent use.
var pages = template.Must(template.ParseFS(files, "*.html"))

func (s *server) indexPage(w http.ResponseWriter, r *http.Request) {
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		writeError(w, err)
		return
	}
	letters, err := s.Letters.LiveLetters(r.Context())
	if err != nil {
		s.Log.Error("the number of dead letters is not known", "err", err)
	}
	s.render(w, r, "index.html", struct {
		faxList
		Letters   uint64
		Uncertain bool   // JetStream did not say how many letters there are
		User      string // who is logged in; empty without logins
	}{s.list(r.Context(), faxFilter{}, after, defaultLimit), letters, err != nil, userOf(r)})
}

func (s *server) faxPage(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, "fax.html", d)
}

// userOf names who is logged in.
func userOf(r *http.Request) string {
	t, _ := callerOf(r)
	return t.Name
}

func (s *server) render(w http.ResponseWriter, r *http.Request, page string, data any) {
	s.renderStatus(w, r, http.StatusOK, page, data)
}

func (s *server) renderStatus(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, page, data); err != nil && r.Context().Err() == nil {
		s.Log.Error("dashboard page failed", "page", page, "err", err)
	}
}
