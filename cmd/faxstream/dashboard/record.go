package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// maxStated bounds who and why in a request, bytes.
const maxStated = 300

// record stores an access with who asks, from where and why. Without a record nothing may be given out.
func (s *server) record(r *http.Request, a session.Access) error {
	t, ok := access.Caller(r)
	switch {
	case ok:
		a.By, a.Login = t.Name, true
	case a.By == "":
		a.By = stated(r.Header.Get(api.HeaderBy))
	}
	if a.By == "" {
		a.By = "local"
	}
	if a.Why == "" {
		a.Why = stated(r.Header.Get(api.HeaderReason))
	}
	if ip := access.Address(r); ip.IsValid() {
		a.Address = ip.String()
	}
	if err := s.Audit.RecordAccess(r.Context(), a); err != nil {
		s.Log.Error("an access cannot be recorded, so it is refused", "kind", a.Kind, "session", a.Session, "err", err)
		return api.Unavailable("the access could not be recorded in FAX_AUDIT, so it is refused: try again, and look at /readyz")
	}
	return nil
}

// stated is a text of a caller without control characters, at most maxStated bytes.
func stated(s string) string {
	if len(s) > maxStated {
		s = s[:maxStated]
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == utf8.RuneError {
			return -1
		}
		return c
	}, s))
}

// faxView is what fax.html shows.
type faxView struct {
	api.FaxDetail
	Marks     map[int]string // of small images, by page; each is the query of an image's URL
	User      string         // who is logged in; empty without a login
	MayChoose bool
}

// faxPage shows a fax. One record stands for the page and the small images on it: their URLs have a mark that says so.
func (s *server) faxPage(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err == nil && r.Method != http.MethodHead {
		err = s.record(r, session.Access{Kind: session.AccessView, Session: d.Session})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := faxView{FaxDetail: d, Marks: map[int]string{}, User: userOf(r), MayChoose: mayChoose(r)}
	for _, p := range d.Pages {
		v.Marks[p.Page] = s.mark(r, d.Session, p.Page, p.SHA256, viewEnds(time.Now()))
	}
	s.render(w, r, "fax.html", v)
}

// viewEnds is when the images of a view are recorded one by one again. It is the same all through an hour, and so is the URL of an image,
// so that browsers keep it.
func viewEnds(now time.Time) int64 { return now.Truncate(time.Hour).Add(2 * time.Hour).Unix() }

// mark is for one reader, one original of a page, and until a time in Unix seconds. Another process, or this one after a restart, does not
// know it and records the image.
func (s *server) mark(r *http.Request, id string, page int, sha256Hex string, until int64) string {
	mac := hmac.New(sha256.New, s.viewKey)
	fmt.Fprintf(mac, "%q %s %d %s %d", userOf(r), id, page, sha256Hex, until)
	return strconv.FormatInt(until, 10) + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// viewed reports whether a small image belongs to a view that is recorded.
func (s *server) viewed(r *http.Request, f file) bool {
	got := r.FormValue("view")
	end, _, _ := strings.Cut(got, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	return err == nil && time.Now().Unix() < until && hmac.Equal([]byte(got), []byte(s.mark(r, f.session, f.page, f.object.SHA256, until)))
}
