package dashboard

import (
	"context"
	"errors"
	"net/http"
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
