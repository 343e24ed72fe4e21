package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Letters is where dead letters and actions are kept.
type Letters interface {
	Letters(ctx context.Context, f bus.LetterFilter, limit int) (letters []bus.Letter, more bool, err error)
	// Letter gives bus.ErrNoLetter for one that nobody has written, or that somebody has acted on.
	Letter(ctx context.Context, id uint64) (bus.Letter, error)
	LiveLetters(ctx context.Context) (uint64, error)
	// Act stores an action durably and gives its number: from then on it is done, whatever happens to this process.
	Act(ctx context.Context, a session.Action) (sequence uint64, err error)
	RemoveLetter(ctx context.Context, id uint64) error
}

// Letter is a dead letter as the API shows it. In the list Event and Attempts are left out.
type Letter struct {
	ID       uint64            `json:"id"`
	Buried   time.Time         `json:"buried"`
	Stage    string            `json:"stage"`
	Session  string            `json:"session"`
	Page     int               `json:"page,omitempty"`
	Reason   session.Reason    `json:"reason"`
	Detail   string            `json:"detail"`
	Subject  string            `json:"subject"`  // of the event that died; empty for a webhook's body
	Received time.Time         `json:"received"` // that event
	Event    string            `json:"event,omitempty"`
	Binary   []byte            `json:"event_base64,omitempty"` // instead of Event where that is no text
	Attempts []session.Attempt `json:"attempts,omitempty"`
}

func shown(l bus.Letter) Letter {
	return Letter{
		ID: l.ID, Buried: l.Buried, Stage: l.Stage, Session: l.Session, Page: l.Page, Reason: l.Reason, Detail: l.Detail,
		Subject: l.Original, Received: l.Received,
	}
}

// letterList is a page of letters, oldest first. Next, where it is not 0, is what `after` must be for the following page.
type letterList struct {
	Letters []Letter `json:"letters"`
	Next    uint64   `json:"next,omitempty"`
}

func (s *server) listLetters(w http.ResponseWriter, r *http.Request) {
	f, limit, err := letterFilter(r)
	if err != nil {
		writeError(w, err)
		return
	}
	letters, more, err := s.Letters.Letters(r.Context(), f, limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := letterList{Letters: []Letter{}}
	for _, l := range letters {
		list.Letters = append(list.Letters, shown(l))
	}
	if more {
		list.Next = letters[len(letters)-1].ID
	}
	writeJSON(w, http.StatusOK, list)
}

func letterFilter(r *http.Request) (f bus.LetterFilter, limit int, err error) {
	limit = defaultLimit
	if v := r.FormValue("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxLimit {
			return f, 0, badRequest("limit %q: want 1 to %d", v, maxLimit)
		}
	}
	f = bus.LetterFilter{Session: r.FormValue("session"), Stage: r.FormValue("stage"), Reason: session.Reason(r.FormValue("reason"))}
	for name, v := range map[string]string{"session": f.Session, "stage": f.Stage} {
		if v != "" && !session.ValidToken(v) {
			return f, 0, badRequest("%s %q: want 1 to %d letters, digits, '-' and '_'", name, v, session.MaxTokenLen)
		}
	}
	if v := r.FormValue("since"); v != "" {
		if f.Since, err = time.Parse(time.RFC3339, v); err != nil {
			return f, 0, badRequest("since %q: want a time such as 2026-11-24T12:00:00Z", v)
		}
	}
	if v := r.FormValue("after"); v != "" {
		if f.After, err = strconv.ParseUint(v, 10, 64); err != nil {
			return f, 0, badRequest("after %q: want `next` of the previous page", v)
		}
	}
	return f, limit, nil
}

// loadLetter reads the letter that a path names.
func (s *server) loadLetter(r *http.Request) (bus.Letter, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || id == 0 {
		return bus.Letter{}, badRequest("dead letter %q: want a number, as the list has it", r.PathValue("id"))
	}
	l, err := s.Letters.Letter(r.Context(), id)
	if errors.Is(err, bus.ErrNoLetter) {
		err = notFound("dead letter %d is not there: nobody has written it, or it was retried, dropped or resolved", id)
	}
	return l, err
}

func (s *server) letter(w http.ResponseWriter, r *http.Request) {
	l, err := s.loadLetter(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	out := shown(l)
	out.Attempts = l.Attempts
	if utf8.Valid(l.Body) {
		out.Event = string(l.Body)
	} else {
		out.Binary = l.Body
	}
	writeJSON(w, http.StatusOK, out)
}

// maxOrder bounds the body of an order, bytes.
const maxOrder = 16 << 10

// maxWhy bounds a reason, bytes: FAX_AUDIT and the archive keep it for years.
const maxWhy = 2000

// order is what a person says with an action.
type order struct {
	By    string `json:"by"`    // a name; with a login that of the token, whatever was said
	Why   string `json:"why"`   // demanded for a drop
	Stage string `json:"stage"` // of a replay: decode or assemble
}

func readOrder(w http.ResponseWriter, r *http.Request) (o order, err error) {
	return o, readOrderInto(w, r, &o, &o)
}

// readOrderInto is readOrder for an order with more in it: into is what is read, and o is in it.
func readOrderInto(w http.ResponseWriter, r *http.Request, into any, o *order) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != "application/json" {
		return badRequest("want a JSON object with Content-Type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return badRequest("want a JSON object of at most %d bytes: %v", maxOrder, err)
	}
	if t, ok := callerOf(r); ok {
		o.By = t.Name
	}
	if o.By = stated(o.By); o.By == "" {
		return badRequest("by: say who asks for this")
	}
	if o.Why = strings.TrimSpace(o.Why); len(o.Why) > maxWhy {
		return badRequest("why: %d bytes, want at most %d", len(o.Why), maxWhy)
	}
	return nil
}

// actOnLetter stores what is to be done with a letter and takes it from the list. Where taking it fails after it was stored, the
// pipeline does that too.
func (s *server) actOnLetter(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, err := readOrder(w, r)
		if err == nil && kind == session.ActionDropped && o.Why == "" {
			err = badRequest("why: a dead letter is dropped with a reason only")
		}
		var l bus.Letter
		if err == nil {
			l, err = s.loadLetter(r)
		}
		if err == nil {
			_, err = s.Letters.Act(r.Context(), session.Action{Kind: kind, By: o.By, Why: o.Why, LetterID: l.ID, Letter: &l.DeadLetter})
		}
		if err == nil {
			err = s.Letters.RemoveLetter(r.Context(), l.ID)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.Log.Info("dead letter", "action", kind, "id", l.ID, "stage", l.Stage, "session", l.Session, "page", l.Page, "by", o.By)
		writeJSON(w, http.StatusOK, shown(l))
	}
}

// replay orders that a fax is made again from the archive.
func (s *server) replay(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err == nil && o.Stage != session.ReplayDecode && o.Stage != session.ReplayAssemble {
		err = badRequest("stage %q: want %s or %s", o.Stage, session.ReplayDecode, session.ReplayAssemble)
	}
	var st session.State
	if err == nil {
		st, err = s.find(r)
	}
	if err == nil && st.Document == nil {
		err = notFound("session %s has no document yet: it is %s", st.Session, st.Status())
	}
	if err == nil {
		_, err = s.Letters.Act(r.Context(), session.Action{Kind: session.ActionReplayed, By: o.By, Why: o.Why, Session: st.Session, Stage: o.Stage})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Log.Info("replay ordered", "session", st.Session, "stage", o.Stage, "by", o.By)
	writeJSON(w, http.StatusOK, map[string]string{"session": st.Session, "stage": o.Stage})
}
