// Package layout draws the pages that people see: one head, foot and style for all. Parse first, then Write a page. A page may show images
// from this server and nothing else, no other page can frame it, and no cache keeps it. The package stores nothing.
package layout

import (
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
)

//go:embed layout.html
var frame embed.FS

// Pages are parsed templates, safe for concurrent use.
type Pages struct{ set *template.Template }

// Parse reads templates that use the templates head (with the title) and foot. It panics on a fault in one of them: they are in the binary.
func Parse(files fs.FS, patterns ...string) Pages {
	set := template.Must(template.ParseFS(frame, "layout.html"))
	return Pages{template.Must(set.ParseFS(files, patterns...))}
}

// Write answers with a page. A page that fails half-way is logged.
func (p Pages) Write(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, page string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := p.set.ExecuteTemplate(w, page, data); err != nil && r.Context().Err() == nil {
		log.Error("dashboard page failed", "page", page, "err", err)
	}
}
