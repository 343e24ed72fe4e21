package access

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

//go:embed login.html
var files embed.FS

var pages = layout.Parse(files, "login.html")

// cookieName names the cookie that stands for a token in a browser.
const cookieName = "faxstream_session"

// maxForm bounds the form of a login, bytes.
const maxForm = 4 << 10

// nextPage is where a login leads: a page of the dashboard, and never another address.
func nextPage(path string) string {
	if id, ok := strings.CutPrefix(path, "/fax/"); ok && session.ValidToken(id) {
		return path
	}
	return "/"
}

// loginForm is what login.html shows.
type loginForm struct {
	Next  string
	Error string
}

func (g *Gate) loginPage(w http.ResponseWriter, r *http.Request) {
	pages.Write(w, r, g.Log, http.StatusOK, "login.html", loginForm{Next: nextPage(r.FormValue("next"))})
}

// logIn takes a token from the form and sets a cookie that stands for it.
func (g *Gate) logIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := loginForm{Next: nextPage(r.PostFormValue("next"))}
	if g.Tokens == nil {
		http.Redirect(w, r, form.Next, http.StatusSeeOther)
		return
	}
	tokens, err := g.Tokens()
	if err != nil {
		api.Fail(w, r, g.Log, fmt.Errorf("read the tokens: %w", err))
		return
	}
	t, ok := find(tokens, sha256.Sum256([]byte(strings.TrimSpace(r.PostFormValue("token")))))
	if !ok {
		e := g.refused(w, r, errWrongToken, "wrong")
		form.Error = e.Message
		pages.Write(w, r, g.Log, e.Status, "login.html", form)
		return
	}
	g.Log.Info("logged in", "token", t.Name, "address", Address(r))
	http.SetCookie(w, g.cookie(r, g.logins.open(t.sum, time.Now()), int(sessionFor.Seconds())))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (g *Gate) logOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		g.logins.end(c.Value)
	}
	http.SetCookie(w, g.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (g *Gate) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || g.BehindTLS,
	}
}
