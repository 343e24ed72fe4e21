package dashboard

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

func (s *server) listFaxes(w http.ResponseWriter, r *http.Request) {
	l, err := s.listed(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, l)
}

// listed is the page of faxes that a request asks for.
func (s *server) listed(r *http.Request) (l api.FaxList, err error) {
	limit := defaultLimit
	if v := r.FormValue("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxLimit {
			return l, api.BadRequest("limit %q: want 1 to %d", v, maxLimit)
		}
	}
	after, err := parseCursor(r.FormValue("cursor"))
	if err != nil {
		return l, err
	}
	f, err := parseFaxFilter(r)
	if err != nil {
		return l, err
	}
	return s.list(r.Context(), f, after, limit), nil
}

// named gives the numbers of a fax their names.
func (s *server) named(x *api.Fax) {
	if len(s.Names) > 0 {
		x.FromName, x.ToName = s.nameOf(x.From), s.nameOf(x.To)
	}
}

// nameOf is the name of a number, which may begin with the 00 of a call abroad; empty: it has none.
func (s *server) nameOf(number string) string {
	token := session.NumberToken(number)
	if name, ok := s.Names[token]; ok {
		return name
	}
	for own, name := range s.Names {
		if session.SameToken(own, token) {
			return name
		}
	}
	return ""
}

// newer is list for a list that was read before: it reads the board again, and takes faxes that are only in the archive from before.
func (s *server) newer(f faxFilter, after orderKey, limit int, before api.FaxList) api.FaxList {
	faxes, more := s.Board.before(f, after, limit)
	for _, x := range before.Faxes {
		if x.Older && !s.Board.has(x.Session) {
			faxes = append(faxes, x)
		}
	}
	slices.SortFunc(faxes, func(a, b api.Fax) int { return keyOf(b).compare(keyOf(a)) })
	if last, err := parseCursor(before.Next); err == nil && before.Next != "" { // beyond it the archive was not read
		faxes = slices.DeleteFunc(faxes, func(x api.Fax) bool { return keyOf(x).compare(last) < 0 })
	}
	l := api.FaxList{Faxes: faxes[:min(limit, len(faxes))], Incomplete: before.Incomplete, Next: before.Next}
	if len(l.Faxes) == limit && (more || len(faxes) > limit) {
		l.Next = keyOf(l.Faxes[len(l.Faxes)-1]).cursor()
	}
	for i := range l.Faxes {
		s.named(&l.Faxes[i])
	}
	return l
}

// list gives the faxes after a cursor, newest first: those of the board, and among them those that are only in the archive's index. While
// the archive does not answer, it gives only those of the board.
func (s *server) list(ctx context.Context, f faxFilter, after orderKey, limit int) api.FaxList {
	faxes, more := s.Board.before(f, after, limit)
	l := api.FaxList{Faxes: faxes}
	if s.Older != nil {
		var floor orderKey
		if len(faxes) == limit {
			floor = keyOf(faxes[limit-1])
		}
		older, end, err := s.older(ctx, f, after, floor, limit)
		if err != nil {
			s.Log.Error("the archive's index cannot be read", "err", err)
			l.Incomplete = "the archive did not answer, so this list has no faxes that are only in the archive"
			older, end = nil, orderKey{}
		}
		l.Faxes = append(l.Faxes, older...)
		slices.SortFunc(l.Faxes, func(a, b api.Fax) int { return keyOf(b).compare(keyOf(a)) })
		if end.session != "" { // the archive was not read beyond it
			l.Faxes = slices.DeleteFunc(l.Faxes, func(x api.Fax) bool { return keyOf(x).compare(end) < 0 })
			l.Next = end.cursor()
		}
		more = more || len(l.Faxes) >= limit
	}
	if l.Faxes = l.Faxes[:min(limit, len(l.Faxes))]; more && len(l.Faxes) == limit {
		l.Next = keyOf(l.Faxes[limit-1]).cursor()
	}
	if l.Faxes == nil {
		l.Faxes = []api.Fax{}
	}
	for i := range l.Faxes {
		s.named(&l.Faxes[i])
	}
	return l
}

func keyOf(x api.Fax) orderKey { return orderKey{x.Opened, x.Session} }

func (k orderKey) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(k.opened.UTC().Format(time.RFC3339Nano) + " " + k.session))
}

func parseCursor(c string) (k orderKey, err error) {
	if c == "" {
		return k, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err == nil {
		at, id, _ := strings.Cut(string(b), " ")
		k.session = id
		k.opened, err = time.Parse(time.RFC3339Nano, at)
	}
	if err != nil || !session.ValidToken(k.session) {
		return orderKey{}, api.BadRequest("cursor %q is not from this server: use `next` of the previous page", c)
	}
	return k, nil
}
