package dashboard

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
	"golang.org/x/sync/errgroup"
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
	f, err := s.filter(r)
	if err != nil {
		return l, err
	}
	switch v := r.FormValue("archive"); v {
	case no:
		l = s.newer(f, after, limit, api.FaxList{})
	case "", yes:
		l = s.list(r.Context(), f, after, limit)
	default:
		return l, api.BadRequest("archive %q: want yes or no", v)
	}
	l.Seen, err = s.recordUnseen(r, f, l.Faxes)
	return l, err
}

// shownTo gives the numbers of a fax their names, and masks the numbers for a reader who must not see them. No fax leaves without it.
func (s *server) shownTo(reader access.Token, x *api.Fax) {
	if len(s.Names) > 0 {
		x.FromName, x.ToName = s.nameOf(x.From), s.nameOf(x.To)
	}
	if reader.Masked {
		x.From, x.To = session.MaskNumber(x.From), session.MaskNumber(x.To)
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
	for i := range faxes {
		s.shownTo(f.reader, &faxes[i])
	}
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
	if l.Faxes == nil {
		l.Faxes = []api.Fax{}
	}
	if len(l.Faxes) == limit && (more || len(faxes) > limit) {
		l.Next = keyOf(l.Faxes[len(l.Faxes)-1]).cursor()
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
		s.shownTo(f.reader, &l.Faxes[i])
	}
	if f.found != nil && l.Incomplete == "" {
		l.Incomplete = f.found.incomplete(l.Next == "")
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

// Older is the faxes in the archive, also those without a ledger.
type Older interface {
	// Before calls f with the time and session of what the archive's index lists, newest first and sessions of one second in
	// descending order, from before (at, id) on, down to since, until f returns false.
	Before(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error
	// Sessions gives up to most sessions that begin with some letters; only the one that is exactly these letters, if there is one.
	Sessions(ctx context.Context, begin string, most int) ([]string, error)
	// Fax gives a fax that has a document, and its pages. An error matching fs.ErrNotExist: it has none; fs.ErrInvalid: it cannot be read.
	Fax(ctx context.Context, id string) (session.State, map[int]session.PageArchived, error)
}

const (
	// maxScanned bounds the faxes that one request reads from the archive, two or three objects each; the cursor goes on behind them.
	maxScanned = 1024
	// scanAtOnce is how many of them are read at the same time.
	scanAtOnce = 32
	// leastID comes before every session id in the order of the list.
	leastID = "-"
)

// before is Older.Before.
type before func(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error

// older gives limit faxes or more between after and floor that the board does not have; fewer if the archive has no others. If end is not
// zero, it looked only as far as end, which is the beginning of a second: a cursor must not name a fax that its reader may not see. Where a
// filter leaves out many faxes, the search index names those that it may mean; the archive says what they are.
func (s *server) older(ctx context.Context, f faxFilter, after, floor orderKey, limit int) (found []api.Fax, end orderKey, err error) {
	if f.found != nil {
		return s.olderOf(ctx, f.found.before, f, after, floor, limit)
	}
	l, narrow := f.listing()
	if !narrow || s.Search == nil || !s.Search.Whole() {
		return s.olderOf(ctx, s.Older.Before, f, after, floor, limit)
	}
	var indexErr error
	chosen := func(ctx context.Context, at time.Time, id string, since time.Time, give func(time.Time, string) bool) error {
		indexErr = s.Search.Listed(ctx, l, at, id, since, give)
		return indexErr
	}
	found, end, err = s.olderOf(ctx, chosen, f, after, floor, limit)
	if indexErr == nil || ctx.Err() != nil {
		return found, end, err
	}
	s.Log.Error("the search index cannot be read; a list is made from the archive's own index, which takes longer", "err", indexErr)
	return s.olderOf(ctx, s.Older.Before, f, after, floor, limit)
}

func (s *server) olderOf(
	ctx context.Context, list before, f faxFilter, after, floor orderKey, limit int,
) (found []api.Fax, end orderKey, err error) {
	newest := orderKey{time.Now().Add(48 * time.Hour), "~"} // the provider's clock may be wrong
	if after.session == "" || after.compare(newest) > 0 {   // a cursor may say year 9999: every empty month costs the archive a listing
		after = newest
	}
	if !f.until.IsZero() && f.until.Before(after.opened) {
		after = orderKey{f.until, ""}
	}
	since := f.since
	if floor.opened.After(since) {
		since = floor.opened.Truncate(time.Second)
	}
	var chunk []orderKey
	scanned, second := 0, time.Time{}
	flush := func() {
		var faxes []api.Fax
		faxes, err = s.archived(ctx, chunk)
		for _, x := range faxes {
			if f.has(&x) {
				found = append(found, x)
			}
		}
		scanned += len(chunk)
		chunk = chunk[:0]
	}
	listErr := list(ctx, after.opened, after.session, since, func(at time.Time, id string) bool {
		if (len(found) >= limit || scanned >= maxScanned) && !at.Equal(second) {
			end = orderKey{second, leastID}
			return false
		}
		second = at
		if k := (orderKey{at, id}); k.compare(floor) > 0 && !s.Board.has(id) {
			chunk = append(chunk, k)
		}
		if len(chunk) == scanAtOnce {
			flush()
		}
		return err == nil
	})
	if err == nil && listErr == nil && len(chunk) > 0 {
		flush()
	}
	return found, end, cmp.Or(err, listErr)
}

// archived reads faxes from the archive. It leaves out a fax that has no document or cannot be read.
func (s *server) archived(ctx context.Context, keys []orderKey) ([]api.Fax, error) {
	faxes := make([]api.Fax, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(scanAtOnce)
	for i, k := range keys {
		group.Go(func() error {
			st, _, err := s.Older.Fax(ctx, k.session)
			switch {
			case errors.Is(err, fs.ErrInvalid):
				s.Log.Error("a fax in the archive cannot be read; run faxstream verify", "session", k.session, "err", err)
				return nil
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			}
			faxes[i] = summary(st)
			faxes[i].Older = true
			faxes[i].Opened = k.opened // whole seconds, as the index has it: cursors must agree with it
			return nil
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(faxes, func(x api.Fax) bool { return x.Session == "" }), err
}
