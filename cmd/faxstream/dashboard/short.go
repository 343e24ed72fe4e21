package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// resolved lets a handler find the whole session id in the path where the request has only the beginning of one.
func (s *server) resolved(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := s.resolveFor(r, r.PathValue("session"))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.SetPathValue("session", id)
		handle(w, r)
	}
}

// resolveFor is resolve for whoever made a request. A token that sees only some numbers gives whole ids: a short one would tell it of
// faxes that it must not see.
func (s *server) resolveFor(r *http.Request, id string) (string, error) {
	if limited(r) {
		return wholeID(r.Context(), id)
	}
	return s.resolve(r.Context(), id)
}

// resolve returns the session that an id stands for: the whole id, or its first letters if only one fax has them. An id that stands
// for no fax is returned as it is.
func (s *server) resolve(ctx context.Context, id string) (string, error) {
	if _, err := wholeID(ctx, id); err != nil {
		return "", err
	}
	if len(id) < session.MinShortID || s.Board.has(id) {
		return id, nil
	}
	st, _, err := s.Ledgers.Load(ctx, id)
	if err != nil || !st.Opened.IsZero() || st.Purged {
		return id, err
	}
	like := s.Board.beginning(id, session.MaxNamed+1)
	if s.Older != nil {
		older, err := s.Older.Sessions(ctx, id, session.MaxNamed+1)
		if err != nil {
			return "", err // a guess could be another fax
		}
		like = append(like, older...)
	}
	whole, err := session.ShortFor(id, like)
	switch {
	case errors.Is(err, session.ErrAmbiguous):
		return "", api.Errorf(http.StatusBadRequest, "ambiguous", "%v", err)
	case whole == "" || whole == id || s.Holds == nil:
		return cmp.Or(whole, id), err
	}
	log, err := s.Holds.Log(ctx, id)
	if len(log) > 0 { // it is the whole id of a purged fax, which has left nothing else
		return id, err
	}
	return whole, err
}

// wholeID returns an id as it is, if it can be one.
func wholeID(_ context.Context, id string) (string, error) {
	if !session.ValidToken(id) {
		return "", api.BadRequest("session %q: want 1 to %d letters, digits, '-' and '_'", id, session.MaxTokenLen)
	}
	return id, nil
}

// noEmptyParts refuses a path with an empty part, such as an empty session, or with dots. A ServeMux would lead the client to another path.
func noEmptyParts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		clean := path.Clean(p)
		if clean != p && (clean == "/" || clean+"/" != p) || p == "/api/v1/faxes/" || p == "/fax/" {
			api.WriteError(w, api.BadRequest("the path %s has an empty part, '.' or '..': is the session id empty?", p))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// beginning returns up to most sessions that begin with some letters.
func (b *Board) beginning(with string, most int) (ids []string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for id := range b.byID {
		if strings.HasPrefix(id, with) {
			if ids = append(ids, id); len(ids) == most {
				break
			}
		}
	}
	return ids
}
