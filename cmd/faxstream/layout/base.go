package layout

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

type baseKey struct{}

// Under serves h below a path of its own, such as /fax, behind a proxy that has other things beside it. The proxy must pass the path on:
// without it nobody could tell the page of a fax, /fax/abc, from the page /abc below /fax. Requests without the path are served as they
// are, for programs and health checks that reach the listener itself. Links, forms and redirects of h begin with /; the browser gets them
// with the path before. base has no slash at its end; empty: h has the whole server.
func Under(base string, h http.Handler) http.Handler {
	if base == "" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base { // relative URLs in it would be of the directory above
			http.Redirect(w, r, base+"/", http.StatusPermanentRedirect)
			return
		}
		inner := r.WithContext(context.WithValue(r.Context(), baseKey{}, base))
		if rest, ok := strings.CutPrefix(r.URL.Path, base+"/"); ok {
			u := *r.URL
			u.Path, u.RawPath = "/"+rest, strings.TrimPrefix(r.URL.RawPath, base)
			inner.URL = &u
		}
		h.ServeHTTP(&based{w, base}, inner)
	})
}

// Base is the path below which the browser reaches this server, without a slash at its end; empty: it has the whole host.
func Base(r *http.Request) string {
	base, _ := r.Context().Value(baseKey{}).(string)
	return base
}

// PathOf is the path of a URL as Under takes it. An error: the path has characters that would have to be escaped in HTML.
func PathOf(public string) (string, error) {
	u, err := url.Parse(public)
	if err != nil {
		return "", err
	}
	base := strings.TrimRight(u.Path, "/")
	if base != "" && !plainPath.MatchString(base) {
		return "", &url.Error{Op: "use the path of", URL: public, Err: errPath}
	}
	return base, nil
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

const errPath = pathError("want parts of letters, digits and . _ ~ -, such as /fax")

type pathError string

func (e pathError) Error() string { return string(e) }

// based puts the base before the targets of redirects.
type based struct {
	http.ResponseWriter
	base string
}

// Unwrap is for http.ResponseController.
func (b *based) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *based) WriteHeader(status int) {
	h := b.Header()
	if to := h.Get("Location"); strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
		h.Set("Location", b.base+to)
	}
	b.ResponseWriter.WriteHeader(status)
}

// ours finds the URLs of this server in what a template wrote. In data a quotation mark is escaped, so data is never found.
var ours = regexp.MustCompile(`( (?:href|src|action|formaction|hx-sse:connect)=")(/[^/])`)

// rebased puts a base, which has no character with a meaning here, before the URLs of this server.
func rebased(html []byte, base string) []byte {
	if base == "" {
		return html
	}
	return ours.ReplaceAll(html, []byte("${1}"+base+"${2}"))
}
