package dashboard

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/cmd/faxstream/access"
	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/search"
	"github.com/faxstream/faxstream/pipeline/session"
)

// Search finds faxes by the text of their pages.
type Search interface {
	// Find gives the newest faxes that match and where the next ones begin. An error that is a search.BadQuery is for the person who asks.
	Find(ctx context.Context, q search.Query) (hits []search.Hit, next string, err error)
	// Complete reports whether all of the archive can be found.
	Complete() bool
	// Whole reports whether every fax of the archive is in the index, also those that cannot be read: there are none of these.
	Whole() bool
	// Listed calls f with the time and session of every fax that l chooses, in the order and the bounds of Older.Before.
	Listed(ctx context.Context, l search.Listing, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error
	// Matching gives the newest faxes that match, at most q.Limit. more: there are others. Its errors are as those of Find.
	Matching(ctx context.Context, q search.Query) (found []search.Match, more bool, err error)
	// Changes is another number when a query may find something else.
	Changes() uint64
}

const defaultFound = 20 // faxes

// incompleteIndex says why faxes may be missing.
const incompleteIndex = "the search index is being filled from the archive, so faxes may be missing: search again later"

func (s *server) search(w http.ResponseWriter, r *http.Request) {
	result, err := s.found(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, result)
}

// searchPage shows what is found.
func (s *server) searchPage(w http.ResponseWriter, r *http.Request) {
	view := struct {
		api.SearchResult
		Query, Problem, User string
	}{Query: r.FormValue("q"), User: userOf(r)}
	var err error
	if strings.TrimSpace(view.Query) != "" {
		view.SearchResult, err = s.found(r)
	}
	if bad, ok := errors.AsType[*api.Error](err); ok && bad.Status == http.StatusBadRequest {
		view.Problem, err = bad.Message, nil
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "search.html", view)
}

// found is what a request looks for.
func (s *server) found(r *http.Request) (result api.SearchResult, err error) {
	if s.Search == nil {
		return result, api.NotFound("this server has no search index: it was started with --no-search")
	}
	q, err := searchQuery(r)
	if err != nil {
		return result, err
	}
	hits, next, err := s.Search.Find(r.Context(), q)
	if bad, ok := errors.AsType[*search.BadQuery](err); ok {
		err = api.BadRequest("q: %v", bad)
	}
	if err != nil {
		return result, err
	}
	result = api.SearchResult{Faxes: []api.FoundFax{}, Next: next}
	if !s.Search.Complete() {
		result.Incomplete = incompleteIndex
	}
	found := make([]*api.FoundFax, len(hits))
	group, ctx := errgroup.WithContext(r.Context())
	asked := r.WithContext(ctx)
	for i, hit := range hits {
		group.Go(func() (err error) {
			found[i], err = s.foundFax(asked, hit)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return result, err
	}
	for _, f := range found {
		if f != nil {
			result.Faxes = append(result.Faxes, *f)
		}
	}
	return result, nil
}

// searchQuery reads q, limit, cursor and the filters of the list of faxes.
func searchQuery(r *http.Request) (q search.Query, err error) {
	limit := defaultFound
	if v := r.FormValue("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > search.MaxLimit {
			return q, api.BadRequest("limit %q: want 1 to %d", v, search.MaxLimit)
		}
	}
	f, err := parseFaxFilter(r)
	if err != nil {
		return q, err
	}
	q = search.Query{
		Text: r.FormValue("q"), To: f.to, From: f.from, Since: f.since, Until: f.until, Status: f.status,
		After: r.FormValue("cursor"), Limit: limit,
	}
	if f.reader.Limited() {
		q.Sees = f.reader.Sees
	}
	q.PagesOnly = f.reader.Masked // else a search for a number would tell whose fax it is
	return q, nil
}

// foundFax is a fax that the index has found, as its ledger says: the index is never the truth. It is nil if the fax was purged meanwhile,
// or the reader may not see it. The access is recorded, because words of its pages are shown.
func (s *server) foundFax(r *http.Request, hit search.Hit) (*api.FoundFax, error) {
	st, err := s.findSession(r, hit.Session)
	if e, ok := errors.AsType[*api.Error](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return nil, nil
	}
	if err == nil {
		err = s.record(r, session.Access{Kind: session.AccessSearch, Session: hit.Session})
	}
	if err != nil {
		return nil, err
	}
	f := &api.FoundFax{Fax: summary(st), Found: []api.FoundPage{}}
	reader, _ := access.Caller(r)
	s.shownTo(reader, &f.Fax)
	for _, p := range hit.Found {
		f.Found = append(f.Found, api.FoundPage{Page: p.Page, Snippet: parts(p.Snippet)})
	}
	return f, nil
}

// parts divides a snippet at its marks.
func parts(snippet string) []api.Part {
	all := []api.Part{}
	add := func(text string, hit bool) {
		if text != "" {
			all = append(all, api.Part{Text: text, Hit: hit})
		}
	}
	for i, piece := range strings.Split(snippet, search.Mark) {
		before, after, marked := strings.Cut(piece, search.EndMark)
		add(before, i > 0 && marked)
		add(after, false)
	}
	return all
}

// withText are the faxes that the text of a filter finds.
type withText struct {
	newest   []search.Match  // in the order of the list
	sessions map[string]bool // the same
	more     bool            // there are older ones, which are left out
	partly   bool            // the index does not have all of the archive yet
	asked    time.Time
	changes  uint64 // of the index before it was asked
}

// findByText asks the index for the text of a filter. It finds the newest maxBulk faxes. If there are others and the filter has dates, it
// finds also those that started between them: a fax counts by when it was opened, which the index does not know and which is soon after its
// start.
func (s *server) findByText(ctx context.Context, f *faxFilter) error {
	if f.text == "" {
		return nil
	}
	if s.Search == nil {
		return api.BadRequest("text: this server has no search index: it was started with --no-search")
	}
	q := search.Query{Text: f.text, To: f.to, From: f.from, PagesOnly: f.reader.Masked, Limit: maxBulk}
	if f.reader.Limited() {
		q.Sees = f.reader.Sees
	}
	t := &withText{asked: time.Now(), changes: s.Search.Changes(), sessions: map[string]bool{}}
	found, more, err := s.Search.Matching(ctx, q)
	if err == nil && more && !(f.since.IsZero() && f.until.IsZero()) {
		var between []search.Match
		q.Since, q.Until = f.since, f.until
		between, more, err = s.Search.Matching(ctx, q)
		found = append(found, between...)
	}
	if bad, ok := errors.AsType[*search.BadQuery](err); ok {
		err = api.BadRequest("text: %v", bad)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b search.Match) int { return placeOf(b).compare(placeOf(a)) })
	t.newest, t.more, t.partly = slices.Compact(found), more, !s.Search.Complete()
	for _, m := range t.newest {
		t.sessions[m.Session] = true
	}
	f.found = t
	return nil
}

// findAgain is findByText after a while, if something else may be found. more: it is.
func (s *server) findAgain(ctx context.Context, f *faxFilter) (more bool, err error) {
	old := f.found
	if time.Since(old.asked) < foundEvery || s.Search.Changes() == old.changes && s.Search.Complete() == !old.partly {
		return false, nil
	}
	err = s.findByText(ctx, f)
	return err == nil && (old.partly != f.found.partly || !slices.Equal(old.newest, f.found.newest)), err
}

func placeOf(m search.Match) orderKey { return orderKey{m.At, m.Session} }

// has reports whether a fax is found. The index may be behind: a purged fax is not.
func (t *withText) has(x *api.Fax) bool {
	return t.sessions[x.Session] && x.Status != session.StatusPurged
}

// before is Older.Before for the faxes that are found.
func (t *withText) before(_ context.Context, at time.Time, id string, since time.Time, f func(at time.Time, id string) bool) error {
	for _, m := range t.newest {
		if placeOf(m).compare(orderKey{at, id}) < 0 && !m.At.Before(since) && !f(m.At, m.Session) {
			break
		}
	}
	return nil
}

// incomplete says why faxes may be missing in a list; empty: none are. atEnd: the list has no following page.
func (t *withText) incomplete(atEnd bool) string {
	switch {
	case t.partly:
		return incompleteIndex
	case t.more && atEnd:
		return fmt.Sprintf("more than %d faxes have these words, so older ones are missing: give more words, or dates", maxBulk)
	default:
		return ""
	}
}

// recordFound records, of a list of faxes with a text, each of them: who sees the list knows that they have it.
func (s *server) recordFound(ctx context.Context, r *http.Request, f faxFilter, faxes []api.Fax) error {
	if f.found == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(scanAtOnce)
	for _, x := range faxes {
		group.Go(func() error {
			return s.record(r.WithContext(ctx), session.Access{Kind: session.AccessSearch, Session: x.Session})
		})
	}
	return group.Wait()
}

// foundMark is the mark of a list of faxes with a text that is recorded: when it ends, and a part for each fax; empty for another list.
func (s *server) foundMark(r *http.Request, v listView) string {
	if v.filter.found == nil {
		return ""
	}
	until := viewEnds(time.Now())
	mark := strconv.FormatInt(until, 10)
	for _, x := range v.Faxes {
		mark += "." + s.foundPart(r, x.Session, until)
	}
	return mark
}

// foundPart is the part of a fax: 96 bits, because the mark is in a URL.
func (s *server) foundPart(r *http.Request, id string, until int64) string {
	_, mac, _ := strings.Cut(s.mark(r, id, 0, foundMark, until), ".")
	return mac[:16]
}

// foundMark stands in the mark of such a list for the hash of an original.
const foundMark = "list by text"

// shownBefore are those of some faxes that the page has shown which connects, and which are recorded.
func (s *server) shownBefore(r *http.Request, faxes []api.Fax) map[string]bool {
	shown := map[string]bool{}
	end, rest, _ := strings.Cut(cmp.Or(r.Header.Get("Last-Event-ID"), r.FormValue("view")), ".")
	until, err := strconv.ParseInt(end, 10, 64)
	if err != nil || time.Now().Unix() >= until {
		return shown
	}
	given := strings.SplitN(rest, ".", defaultLimit+1) // a list has no more, and each is compared with each fax
	for _, x := range faxes {
		want := s.foundPart(r, x.Session, until)
		shown[x.Session] = slices.ContainsFunc(given, func(got string) bool { return hmac.Equal([]byte(got), []byte(want)) })
	}
	return shown
}
