package dashboard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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

// maxHistory bounds the entries that a page of history shows: the newest.
const maxHistory = 500

// historyPage shows what people did with a fax: who looked at it, read, linked, ordered and changed what.
func (s *server) historyPage(w http.ResponseWriter, r *http.Request) {
	st, err := s.find(r)
	v := struct {
		Session string
		Lines   []historyLine
		More    bool // older entries are left out
	}{Session: st.Session}
	if err == nil {
		f := api.AuditFilter{Session: st.Session}
		err = s.Trail(r.Context(), st.Opened, time.Time{}, func(l api.AuditLine) error {
			if f.Has(l) {
				v.Lines = append(v.Lines, historyLine{l.Time, l.Words()})
			}
			return nil
		})
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if v.More = len(v.Lines) > maxHistory; v.More {
		v.Lines = v.Lines[len(v.Lines)-maxHistory:]
	}
	slices.Reverse(v.Lines)
	s.render(w, r, http.StatusOK, "history.html", v)
}

// historyLine is one entry.
type historyLine struct {
	Time time.Time
	api.AuditWords
}

// liveMark stands in the mark of a live page for the hash of an original.
const liveMark = "live"

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
	return s.marked(r, f.session, f.page, f.object.SHA256)
}

// marked reports whether a request has a mark that is still good.
func (s *server) marked(r *http.Request, id string, page int, sha256Hex string) bool {
	got := r.FormValue("view")
	end, _, _ := strings.Cut(got, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	return err == nil && time.Now().Unix() < until && hmac.Equal([]byte(got), []byte(s.mark(r, id, page, sha256Hex, until)))
}

const (
	// seenMark stands in the mark of a fax in a list by text for the hash of an original.
	seenMark = "seen"
	// seenSize is how much of this mark names the fax in a FaxList.Seen, letters of 6 bits.
	seenSize = 11
	// maxSeen bounds the faxes that a Seen names.
	maxSeen = 256
)

// parseSeen gives the time, in Unix seconds, until which a Seen is good, and the marks in it; of one that is not good any more, or is none,
// the time of a new one, and no marks.
func parseSeen(text string, now time.Time) (until int64, marks []string) {
	end, all, _ := strings.Cut(text, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	if err != nil || until <= now.Unix() || until > viewEnds(now) || len(all) > maxSeen*seenSize || len(all)%seenSize != 0 {
		return viewEnds(now), nil
	}
	for ; all != ""; all = all[seenSize:] {
		marks = append(marks, all[:seenSize])
	}
	return until, marks
}

// recordUnseen is recordFound for a list that a program reads again and again: it records the faxes that the Seen of an earlier list, which
// comes in ?seen=, does not name, and gives a Seen that names these too. It is empty for a list without a text.
func (s *server) recordUnseen(r *http.Request, f faxFilter, faxes []api.Fax) (string, error) {
	if f.found == nil {
		return "", nil
	}
	until, marks := parseSeen(r.FormValue("seen"), time.Now())
	var fresh []api.Fax
	for _, x := range faxes {
		_, mark, _ := strings.Cut(s.mark(r, x.Session, 0, seenMark, until), ".")
		mark = mark[:seenSize]
		if i := slices.Index(marks, mark); i >= 0 {
			marks = slices.Delete(marks, i, i+1) // what was listed last is kept longest
		} else {
			fresh = append(fresh, x)
		}
		marks = append(marks, mark)
	}
	marks = marks[max(0, len(marks)-maxSeen):]
	return strconv.FormatInt(until, 10) + "." + strings.Join(marks, ""), s.recordFound(r.Context(), r, f, fresh)
}

// Trail calls give with the entries stored from since to until, oldest first, until it returns an error.
type Trail func(ctx context.Context, since, until time.Time, give func(api.AuditLine) error) error

// ownAudit refuses a reader who is limited to numbers, unless the entries asked for are of one fax that the reader sees: an entry does not
// say whose fax it is about.
func (s *server) ownAudit(r *http.Request, id string) error {
	if id == "" {
		return api.Errorf(http.StatusForbidden, "forbidden",
			"the token is limited to numbers, so it sees the audit of one fax at a time: give session=SESSION, or --session on the command line")
	}
	_, err := s.findSession(r, id)
	return err
}

// audit gives the entries of the audit, oldest first, a JSON object a line. If they cannot be read to their end, the
// connection is broken off, so that nobody takes a part for the whole.
func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	f := api.AuditFilter{Session: r.FormValue("session"), By: r.FormValue("by")}
	for name, t := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		var err error
		if *t, err = time.Parse(time.RFC3339, v); err != nil {
			s.fail(w, r, api.BadRequest("%s %q: want a time such as 2026-11-24T12:00:00Z", name, v))
			return
		}
	}
	if f.Session != "" {
		var err error
		if f.Session, err = s.resolveFor(r, f.Session); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if limited(r) {
		if err := s.ownAudit(r, f.Session); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if masked(r) {
		s.fail(w, r, errMasked("entries of the audit can have them: the page of a fax shows what people did with it"))
		return
	}
	began := false
	out := json.NewEncoder(w)
	err := s.Trail(r.Context(), f.Since, f.Until, func(l api.AuditLine) error {
		if !f.Has(l) {
			return nil
		}
		if !began {
			w.Header().Set("Content-Type", "application/jsonl")
			began = true
		}
		return out.Encode(l)
	})
	switch {
	case err != nil && began:
		s.Log.Error("the audit cannot be read to its end", "err", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		s.fail(w, r, err)
	case !began:
		w.Header().Set("Content-Type", "application/jsonl")
		w.WriteHeader(http.StatusOK)
	}
}
