// Package layout draws the pages that people see: one head, foot and style for all. Parse first, then Write a page. A page may show images
// from this server and run the scripts of Asset, and nothing else; no other page can frame it, and no cache keeps it. The package stores
// nothing.
//
// The scripts are htmx 4.0.1 with its extension for server-sent events (0BSD; only the references to source maps are removed), and live.js.
// htmx and the extension are one file: a deferred htmx looks at the page as soon as it has run, and does not see an extension that comes
// later. None of the scripts is needed to read a page.
package layout

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
)

//go:embed layout.html
var frame embed.FS

//go:embed assets/*.js assets/*.svg
var assets embed.FS

// Pages are parsed templates, safe for concurrent use.
type Pages struct{ set *template.Template }

// Parse reads templates that use the templates head (with the title) and foot. It panics on a fault in one of them: they are in the binary.
func Parse(files fs.FS, patterns ...string) Pages {
	set := template.Must(template.ParseFS(frame, "layout.html"))
	return Pages{template.Must(set.ParseFS(files, patterns...))}
}

// Fragment returns a template as HTML, for a part of a page. base is the Base of the request for the page.
func (p Pages) Fragment(base, name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := p.set.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return rebased(b.Bytes(), base), nil
}

// Asset answers with the script or icon that the path value file names. A browser may keep one that has its version in its name.
func Asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	w.Header().Set("Cache-Control", "no-cache")
	if strings.HasSuffix(name, ".min.js") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, assets, "assets/"+name)
}

// Write answers with a page. A page that fails half-way is logged, and ends there.
func (p Pages) Write(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, page string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src 'self'; "+
			"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	var b bytes.Buffer
	err := p.set.ExecuteTemplate(&b, page, data)
	if _, sent := w.Write(rebased(b.Bytes(), Base(r))); err == nil {
		err = sent
	}
	if err != nil && r.Context().Err() == nil {
		log.Error("dashboard page failed", "page", page, "err", err)
	}
}
