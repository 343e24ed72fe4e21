package access

import (
	"crypto/sha256"
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/layout"
	"github.com/faxstream/faxstream/pipeline/session"
)

//go:embed login.html welcome.html
var files embed.FS

var pages = layout.Parse(files, "login.html", "welcome.html")

// cookieName names the cookie that stands for a token or a password in a browser.
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
	Next          string
	Error         string
	Tokens, Users bool // with what one can log in
	Provider      bool
}

func (g *Gate) loginForm(next string) loginForm {
	return loginForm{Next: nextPage(next), Tokens: g.Tokens != nil, Users: g.Users != nil, Provider: g.OIDC != nil}
}

func (g *Gate) loginPage(w http.ResponseWriter, r *http.Request) {
	pages.Write(w, r, g.Log, http.StatusOK, "login.html", g.loginForm(r.FormValue("next")))
}

// logIn takes a token, or a name and a password, from the form, and sets a cookie that stands for it.
func (g *Gate) logIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := g.loginForm(r.PostFormValue("next"))
	if !g.NeedsLogin() {
		http.Redirect(w, r, form.Next, http.StatusSeeOther)
		return
	}
	t, reason, err := g.shown(r)
	var value string
	if err == nil {
		value, err = g.open(r, t, false)
	}
	e, ok := errors.AsType[*api.Error](err)
	switch {
	case ok:
		e = g.refused(w, r, e, reason)
		form.Error = e.Message
		pages.Write(w, r, g.Log, e.Status, "login.html", form)
		return
	case err != nil:
		api.Fail(w, r, g.Log, err)
		return
	}
	g.Log.Info("logged in", "name", t.Name, "address", Address(r))
	http.SetCookie(w, g.cookie(r, value, int(SessionFor.Seconds())))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

var errNotKept = api.Errorf(http.StatusServiceUnavailable, "unavailable",
	"a login cannot be kept now, because NATS does not answer: try again, and look at /readyz")

// open begins a session, and gives the cookie's value.
func (g *Gate) open(r *http.Request, t Token, provided bool) (string, error) {
	value, err := g.logins.open(r.Context(), t, provided, time.Now())
	if err != nil {
		g.Log.Error("a login was refused, because NATS, which keeps it for all processes, does not answer", "name", t.Name, "err", err)
		return "", errNotKept
	}
	return value, nil
}

// shown is whose token, or whose name and password, the form of a login has. An api.Error is for the person; reason is counted then.
func (g *Gate) shown(r *http.Request) (t Token, reason string, err error) {
	if name := strings.TrimSpace(r.PostFormValue("name")); g.Users != nil && name != "" {
		users, err := g.users()
		if err != nil {
			return t, "", err
		}
		u, err := g.passwords.check(r.Context(), users, name, r.PostFormValue("password"), Address(r))
		if reason = "limited"; errors.Is(err, errWrongPassword) {
			reason = "password"
		}
		if err != nil {
			return t, reason, err
		}
		return u.token(), "", nil
	}
	tokens, err := g.tokens()
	if err != nil {
		return t, "", err
	}
	t, ok := find(tokens, sha256.Sum256([]byte(strings.TrimSpace(r.PostFormValue("token")))))
	if !ok {
		return t, "wrong", errWrongToken
	}
	return t, "", nil
}

func (g *Gate) logOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		g.logins.end(r.Context(), c.Value, time.Now())
	}
	http.SetCookie(w, g.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (g *Gate) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: layout.Base(r) + "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || g.BehindTLS,
	}
}
