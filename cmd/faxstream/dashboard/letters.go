package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Letters stores dead letters and the actions of people.
type Letters interface {
	Letters(ctx context.Context, f bus.LetterFilter, limit int) (letters []bus.Letter, more bool, err error)
	// Letter gives bus.ErrNoLetter for a letter that never existed, or that somebody has acted on.
	Letter(ctx context.Context, id uint64) (bus.Letter, error)
	LiveLetters(ctx context.Context) (uint64, error)
	// Act stores an action durably and gives its number: from then on it will be carried out, whatever happens to this process.
	Act(ctx context.Context, a session.Action) (sequence uint64, err error)
	RemoveLetter(ctx context.Context, id uint64) error
}

func shown(l bus.Letter) api.Letter {
	return api.Letter{
		ID: l.ID, Buried: l.Buried, Stage: l.Stage, Session: l.Session, Page: l.Page, Reason: l.Reason, Detail: l.Detail,
		Subject: l.Original, Received: l.Received,
	}
}

func (s *server) listLetters(w http.ResponseWriter, r *http.Request) {
	f, limit, err := letterFilter(r)
	if err == nil && f.Session != "" {
		f.Session, err = s.resolve(r.Context(), f.Session)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	letters, more, err := s.Letters.Letters(r.Context(), f, limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.LetterList{Letters: []api.Letter{}}
	for _, l := range letters {
		list.Letters = append(list.Letters, shown(l))
	}
	if more {
		list.Next = letters[len(letters)-1].ID
	}
	api.Write(w, http.StatusOK, list)
}

func letterFilter(r *http.Request) (f bus.LetterFilter, limit int, err error) {
	limit = defaultLimit
	if v := r.FormValue("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxLimit {
			return f, 0, api.BadRequest("limit %q: want 1 to %d", v, maxLimit)
		}
	}
	f = bus.LetterFilter{Session: r.FormValue("session"), Stage: r.FormValue("stage"), Reason: session.Reason(r.FormValue("reason"))}
	for name, v := range map[string]string{"session": f.Session, "stage": f.Stage} {
		if v != "" && !session.ValidToken(v) {
			return f, 0, api.BadRequest("%s %q: want 1 to %d letters, digits, '-' and '_'", name, v, session.MaxTokenLen)
		}
	}
	if v := r.FormValue("since"); v != "" {
		if f.Since, err = time.Parse(time.RFC3339, v); err != nil {
			return f, 0, api.BadRequest("since %q: want a time such as 2026-11-24T12:00:00Z", v)
		}
	}
	if v := r.FormValue("after"); v != "" {
		if f.After, err = strconv.ParseUint(v, 10, 64); err != nil {
			return f, 0, api.BadRequest("after %q: want `next` of the previous page", v)
		}
	}
	return f, limit, nil
}

// loadLetter reads the letter in the path.
func (s *server) loadLetter(r *http.Request) (bus.Letter, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || id == 0 {
		return bus.Letter{}, api.BadRequest("dead letter %q: want a number from the list", r.PathValue("id"))
	}
	l, err := s.Letters.Letter(r.Context(), id)
	if errors.Is(err, bus.ErrNoLetter) {
		err = api.NotFound("there is no dead letter %d: it never existed, or it was retried, dropped or resolved", id)
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
	api.Write(w, http.StatusOK, out)
}

// actOnLetter stores the action on a letter and removes the letter from the list. If removing fails after the action is stored, the
// pipeline removes the letter.
func (s *server) actOnLetter(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o, err := readOrder(w, r)
		if err == nil && kind == session.ActionDropped && o.Why == "" {
			err = api.BadRequest("why: give a reason to drop a dead letter")
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
		api.Write(w, http.StatusOK, shown(l))
	}
}
