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

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

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
