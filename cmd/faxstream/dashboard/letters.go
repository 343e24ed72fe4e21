package dashboard

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
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
	f, limit, err := s.letterFilter(r)
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

// letterFilter is which letters a request is about, and how many it asks for.
func (s *server) letterFilter(r *http.Request) (f bus.LetterFilter, limit int, err error) {
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
	if f.Session != "" {
		f.Session, err = s.resolve(r.Context(), f.Session)
	}
	return f, limit, err
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
		var l bus.Letter
		if err == nil {
			l, err = s.loadLetter(r)
		}
		if err == nil {
			err = s.act(r.Context(), kind, o, l)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		api.Write(w, http.StatusOK, shown(l))
	}
}

// act stores the action on a letter and removes the letter from the list.
func (s *server) act(ctx context.Context, kind string, o api.Order, l bus.Letter) error {
	if kind == session.ActionDropped && o.Why == "" {
		return api.BadRequest("why: give a reason to drop a dead letter")
	}
	_, err := s.Letters.Act(ctx, session.Action{Kind: kind, By: o.By, Why: o.Why, LetterID: l.ID, Letter: &l.DeadLetter})
	if err == nil {
		err = s.Letters.RemoveLetter(ctx, l.ID)
	}
	if err == nil {
		s.Log.Info("dead letter", "action", kind, "id", l.ID, "stage", l.Stage, "session", l.Session, "page", l.Page, "by", o.By)
	}
	return err
}

// lettersView is what letters.html shows.
type lettersView struct {
	Letters    []api.Letter
	Next       uint64
	Query      url.Values // the filter, as it was asked for
	User       string
	MayOperate bool
	Ordered    string // what a form on the page before has ordered; empty: nothing
	Do         string // of an order on all letters: what it is; empty: nothing is ordered
	Count      int    // letters that it is about
	Last       uint64 // the newest of them
}

// Asked is what the filter has under a name.
func (v lettersView) Asked(name string) string { return v.Query.Get(name) }

// OnFax: the forms of dead letters lead back to their list.
func (lettersView) OnFax() bool { return false }

// lettersPage shows dead letters, oldest first.
func (s *server) lettersPage(w http.ResponseWriter, r *http.Request) {
	v, err := s.lettersView(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v.Ordered = orderedText(r)
	s.render(w, r, http.StatusOK, "letters.html", v)
}

func (s *server) lettersView(r *http.Request) (v lettersView, err error) {
	f, limit, err := s.letterFilter(r)
	if err != nil {
		return v, err
	}
	letters, more, err := s.Letters.Letters(r.Context(), f, limit)
	if err != nil {
		return v, err
	}
	v = lettersView{Query: r.Form, User: userOf(r), MayOperate: may(r, access.ScopeOperate)}
	for _, l := range letters {
		v.Letters = append(v.Letters, shown(l))
	}
	if more {
		v.Next = letters[len(letters)-1].ID
	}
	return v, nil
}

// letterForm is actOnLetter for the form of a page. It goes on to the page that the form is on.
func (s *server) letterForm(kind string) http.HandlerFunc {
	return s.form(func(r *http.Request, o api.Order) (next string, err error) {
		l, err := s.loadLetter(r)
		if err == nil {
			err = s.act(r.Context(), kind, o, l)
		}
		if next = "/letters"; r.PostFormValue("from") == "fax" && session.ValidToken(l.Session) {
			next = "/fax/" + l.Session
		}
		return ordered(next, kind), err
	})
}

// lettersForm orders an action on all letters that a filter chooses, also those beyond the page. Without the field sure it shows how many
// these are, and asks; with it, it acts on those that were there then.
func (s *server) lettersForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
	o := api.Order{By: r.PostFormValue("by"), Why: r.PostFormValue("why")}
	kind := map[string]string{"retry": session.ActionRetried, "drop": session.ActionDropped}[r.PostFormValue("do")]
	f, _, err := s.letterFilter(r)
	if err == nil {
		err = checkOrder(r, &o)
	}
	last := uint64(math.MaxUint64)
	sure := r.PostFormValue("sure") == "yes"
	switch {
	case err != nil:
	case kind == "":
		err = api.BadRequest("do %q: want retry or drop", r.PostFormValue("do"))
	case kind == session.ActionDropped && o.Why == "":
		err = api.BadRequest("why: give a reason to drop dead letters")
	case sure:
		if last, err = strconv.ParseUint(r.PostFormValue("last"), 10, 64); err != nil {
			err = api.BadRequest("last %q: want the number that the form of the page contains", r.PostFormValue("last"))
		}
	}
	if err == nil {
		err = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	count := 0
	if err == nil {
		count, last, err = s.onAll(r.Context(), f, last, func(l bus.Letter) error {
			if !sure {
				return nil
			}
			return s.act(r.Context(), kind, o, l)
		})
	}
	v := lettersView{Query: r.Form, User: userOf(r)}
	if err == nil && may(r, access.ScopeRead) {
		v, err = s.lettersView(r)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v.Do, v.Count, v.Last = r.PostFormValue("do"), count, last
	if sure {
		v.Last = 0
	}
	s.render(w, r, http.StatusOK, "letters.html", v)
}

// onAll calls do with all letters that a filter chooses, oldest first, up to the letter last. It returns how many these were, and the last.
// A letter that somebody else acts on at the same time is removed and is no error.
func (s *server) onAll(ctx context.Context, f bus.LetterFilter, last uint64, do func(bus.Letter) error) (n int, newest uint64, err error) {
	for {
		letters, more, err := s.Letters.Letters(ctx, f, maxLimit)
		if err != nil {
			return n, newest, err
		}
		for _, l := range letters {
			if l.ID > last {
				return n, newest, nil
			}
			if err := do(l); err != nil {
				s.Log.Error("an order for many dead letters stopped", "done", n, "letter", l.ID, "err", err)
				return n, newest, api.Unavailable("it is ordered for %d dead letters, and then JetStream did not answer: look at /readyz, and order "+
					"it again for those that are left", n)
			}
			n, newest, f.After = n+1, l.ID, l.ID
		}
		if !more {
			return n, newest, nil
		}
	}
}
