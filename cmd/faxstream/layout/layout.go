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
	"net/url"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/words"
)

//go:embed layout.html
var frame embed.FS

//go:embed assets/*.js assets/*.svg
var assets embed.FS

// Pages are parsed templates, safe for concurrent use.
type Pages struct {
	sets map[string]*template.Template // by language
}

// Parse reads templates that use the templates head (with the title) and foot. In them t gives a text of package words, said says a
// sentence of Go code, and language is that of the page. Parse panics on a fault in a template: they are in the binary.
func Parse(files fs.FS, patterns ...string) Pages {
	set := template.Must(template.New("").Funcs(functions(words.English)).ParseFS(frame, "layout.html"))
	set = template.Must(set.ParseFS(files, patterns...))
	p := Pages{map[string]*template.Template{}}
	for _, lang := range words.Languages() {
		p.sets[lang] = template.Must(set.Clone()).Funcs(functions(lang))
	}
	return p
}

func functions(lang string) template.FuncMap {
	w := words.In(lang)
	return template.FuncMap{"t": w.Text, "said": w.Said, "language": func() string { return lang }}
}

// Place is where and how a page is shown.
type Place struct{ Base, Language string }

// PlaceOf is that of the page that a request asks for.
func PlaceOf(r *http.Request) Place { return Place{Base(r), words.Asked(r)} }

// Fragment returns a template as HTML, for a part of a page.
func (p Pages) Fragment(at Place, name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := p.sets[at.Language].ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return rebased(b.Bytes(), at.Base), nil
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
	at := PlaceOf(r)
	err := p.sets[at.Language].ExecuteTemplate(&b, page, data)
	if _, sent := w.Write(rebased(b.Bytes(), at.Base)); err == nil {
		err = sent
	}
	if err != nil && r.Context().Err() == nil {
		log.Error("dashboard page failed", "page", page, "err", err)
	}
}

// languageFor is how long a browser keeps the language that a person has chosen.
const languageFor = 365 * 24 * time.Hour

// ChooseLanguage keeps the language that a person chooses in the foot of a page, and goes back to the page if mux has it: an answer to a
// form is no page to go back to. It changes nothing else. Only the path is taken from the header Referer, so it leads nowhere else.
func ChooseLanguage(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		http.SetCookie(w, &http.Cookie{
			Name: words.Cookie, Value: words.In(r.PostFormValue("language")).Language, Path: "/", MaxAge: int(languageFor.Seconds()),
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
		})
		http.Redirect(w, r, back(mux, r), http.StatusSeeOther)
	}
}

// back is the page that a request comes from.
func back(mux *http.ServeMux, r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil {
		return "/"
	}
	path := strings.TrimPrefix(from.Path, Base(r))
	to := &url.URL{Path: path, RawQuery: from.RawQuery}
	_, pattern := mux.Handler(&http.Request{Method: http.MethodGet, Host: r.Host, URL: to})
	switch {
	case path == "/login" || strings.HasPrefix(path, "/login/"): // the end of a login through a provider is good for once
		return "/login"
	case !strings.HasPrefix(pattern, http.MethodGet+" ") || strings.HasPrefix(path, "//"):
		return "/"
	}
	return to.String()
}
