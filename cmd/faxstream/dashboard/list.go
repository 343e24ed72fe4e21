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

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Older is the faxes as the archive alone knows them.
type Older interface {
	// Before calls f with the time and session of what the archive's index lists, newest first and sessions of one second in
	// descending order, from before (at, id) on, down to since, until f returns false.
	Before(ctx context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error
	// Fax gives a fax that has a document, and its pages. An error matching fs.ErrNotExist: it has none; fs.ErrInvalid: it cannot be read.
	Fax(ctx context.Context, id string) (session.State, map[int]session.PageArchived, error)
}

const (
	defaultLimit = 50
	maxLimit     = 500
	// maxScanned bounds the faxes that one request reads from the archive, two or three objects each; the cursor goes on behind them.
	maxScanned = 1024
	// scanAtOnce is how many of them are read at the same time.
	scanAtOnce = 32
)

// faxList is a page of faxes. Next, where it is not empty, is the cursor of the following page, which may be empty.
type faxList struct {
	Faxes      []Fax  `json:"faxes"`
	Next       string `json:"next,omitempty"`
	Incomplete string `json:"incomplete,omitempty"` // a sentence: why faxes that only the archive knows are left out
}

// faxFilter chooses faxes; the zero value chooses all.
type faxFilter struct {
	to, from     string // number tokens
	since, until time.Time
	status       string
	direction    string
}

func (f faxFilter) has(x Fax) bool {
	return (f.to == "" || session.NumberToken(x.To) == f.to) && (f.from == "" || session.NumberToken(x.From) == f.from) &&
		!x.Opened.Before(f.since) && (f.until.IsZero() || x.Opened.Before(f.until)) &&
		(f.status == "" || x.Status == f.status) && (f.direction == "" || x.Direction == f.direction)
}

var (
	statuses   = []string{session.StatusReceiving, session.StatusComplete, session.StatusRecovered, session.StatusPartial, session.StatusFolded, session.StatusPurged}
	directions = []string{session.Incoming, session.Outgoing}
)

func parseFaxFilter(r *http.Request) (f faxFilter, err error) {
	for name, number := range map[string]*string{"to": &f.to, "from": &f.from} {
		if v := r.FormValue(name); v != "" {
			*number = session.NumberToken(v)
		}
	}
	for name, t := range map[string]*time.Time{"since": &f.since, "until": &f.until} {
		v := r.FormValue(name)
		if v == "" {
			continue
		}
		if *t, err = time.Parse(time.RFC3339, v); err != nil {
			return f, badRequest("%s %q: want a time such as 2026-11-24T12:00:00Z", name, v)
		}
	}
	for name, c := range map[string]struct {
		word    *string
		allowed []string
	}{"status": {&f.status, statuses}, "direction": {&f.direction, directions}} {
		if *c.word = r.FormValue(name); *c.word != "" && !slices.Contains(c.allowed, *c.word) {
			return f, badRequest("%s %q: want %s", name, *c.word, strings.Join(c.allowed, ", "))
		}
	}
	return f, nil
}

func (s *server) listFaxes(w http.ResponseWriter, r *http.Request) {
	l, err := s.listed(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, l)
}

// listed is the page of faxes that a request asks for.
func (s *server) listed(r *http.Request) (l faxList, err error) {
	limit := defaultLimit
	if v := r.FormValue("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxLimit {
			return l, badRequest("limit %q: want 1 to %d", v, maxLimit)
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

// list is the faxes that come after a cursor, newest first: those of the board, and between and behind them those that only the
// archive's index has. While the archive does not answer, the board is what there is.
func (s *server) list(ctx context.Context, f faxFilter, after orderKey, limit int) faxList {
	faxes, more := s.Board.before(f, after, limit)
	l := faxList{Faxes: faxes}
	if s.Older != nil {
		var floor orderKey
		if len(faxes) == limit {
			floor = faxes[limit-1].key()
		}
		older, end, err := s.older(ctx, f, after, floor, limit)
		if err != nil {
			s.Log.Error("the archive's index cannot be read", "err", err)
			l.Incomplete = "the archive did not answer: faxes that only it knows are left out"
			older, end = nil, orderKey{}
		}
		l.Faxes = append(l.Faxes, older...)
		slices.SortFunc(l.Faxes, func(a, b Fax) int { return b.key().compare(a.key()) })
		if end.session != "" { // nothing is known of the archive behind it
			l.Faxes = slices.DeleteFunc(l.Faxes, func(x Fax) bool { return x.key().compare(end) < 0 })
			l.Next = end.cursor()
		}
		more = more || len(l.Faxes) >= limit
	}
	if l.Faxes = l.Faxes[:min(limit, len(l.Faxes))]; more && len(l.Faxes) == limit {
		l.Next = l.Faxes[limit-1].key().cursor()
	}
	if l.Faxes == nil {
		l.Faxes = []Fax{}
	}
	return l
}

// older gives up to limit faxes between after and floor that the board does not have. end, where it is not zero, is how far it has looked:
// there may be others behind it.
func (s *server) older(ctx context.Context, f faxFilter, after, floor orderKey, limit int) (found []Fax, end orderKey, err error) {
	newest := orderKey{time.Now().Add(48 * time.Hour), "~"} // whatever the provider's clock says
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
	scanned := 0
	flush := func() (enough bool) {
		var faxes []Fax
		if faxes, err = s.archived(ctx, chunk); err != nil {
			return true
		}
		for _, x := range faxes {
			if f.has(x) {
				found = append(found, x)
			}
		}
		scanned += len(chunk)
		last := chunk[len(chunk)-1]
		chunk = chunk[:0]
		if len(found) >= limit || scanned >= maxScanned {
			end = last
		}
		return end.session != ""
	}
	listErr := s.Older.Before(ctx, after.opened, after.session, since, func(at time.Time, id string) bool {
		if k := (orderKey{at, id}); k.compare(floor) > 0 && !s.Board.has(id) {
			chunk = append(chunk, k)
		}
		return len(chunk) < scanAtOnce || !flush()
	})
	if err == nil && listErr == nil && len(chunk) > 0 && end.session == "" {
		flush()
	}
	return found, end, cmp.Or(err, listErr)
}

// archived reads faxes from the archive. One that has no document, or cannot be read, is left out.
func (s *server) archived(ctx context.Context, keys []orderKey) ([]Fax, error) {
	faxes := make([]Fax, len(keys))
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
	return slices.DeleteFunc(faxes, func(x Fax) bool { return x.Session == "" }), err
}

func (x Fax) key() orderKey { return orderKey{x.Opened, x.Session} }

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
		return orderKey{}, badRequest("cursor %q is none that this server gave: take `next` of the previous page", c)
	}
	return k, nil
}
