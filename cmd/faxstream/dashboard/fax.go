package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// load reads a session's ledger anew, so that a reader sees every event that it has got.
func (s *server) load(r *http.Request, id string) (session.State, error) {
	st, _, err := s.Ledgers.Load(r.Context(), id)
	if err == nil && (st.Opened.IsZero() || st.Purged) {
		err = s.notPurged(r, id, noFax(id))
	}
	return st, err
}

// find gives the fax in the path.
func (s *server) find(r *http.Request) (session.State, error) {
	return s.findSession(r, r.PathValue("session"))
}

// findSession is load for reading: it looks in the archive for a fax that has no ledger (any more). A fax that the reader may not see is
// not there; nor is, for a reader who is limited to numbers, a purged fax: nothing says any more whose it was.
func (s *server) findSession(r *http.Request, id string) (session.State, error) {
	st, err := s.findAny(r, id)
	gone, ok := errors.AsType[*api.Error](err)
	if err == nil && !sees(r, numberOf(summary(st))) || limited(r) && ok && gone.Status == http.StatusGone {
		return session.State{}, noFax(id)
	}
	return st, err
}

func noFax(id string) error { return api.NotFound("no fax has the session %s", id) }

func (s *server) findAny(r *http.Request, id string) (session.State, error) {
	st, err := s.load(r, id)
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Status != http.StatusNotFound || s.Older == nil {
		return st, err
	}
	old, _, olderErr := s.Older.Fax(r.Context(), id)
	if errors.Is(olderErr, fs.ErrNotExist) {
		return st, err
	}
	return old, olderErr
}

// facts gives the facts of archived pages, and of a page of which a person has chosen an image those of that image.
func (s *server) facts(ctx context.Context, st session.State, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts, err := s.published(ctx, st, pages)
	if err != nil || len(st.Choices) == 0 {
		return facts, err
	}
	images, err := s.images(ctx, st, pages)
	for _, c := range st.Choices {
		if f, ok := images[c.Page][c.Image]; ok {
			facts[c.Page] = f
		}
	}
	return facts, err
}

// published gives the facts of archived pages from the stream. If the stream no longer has them and the fax has a document, it reads them
// from the archive.
func (s *server) published(ctx context.Context, st session.State, pages session.Ranges) (map[int]session.PageArchived, error) {
	facts, err := s.Ledgers.PageFacts(ctx, st.Session, pages)
	if err != nil || s.Older == nil || st.Document == nil {
		return facts, err
	}
	gone := false
	for n := range pages.All() {
		if _, ok := facts[n]; !ok && st.Usable.Has(n) {
			gone = true
			break
		}
	}
	if !gone {
		return facts, nil
	}
	_, archived, err := s.Older.Fax(ctx, st.Session)
	if errors.Is(err, fs.ErrNotExist) {
		return facts, nil
	}
	for n := range pages.All() {
		if f, ok := archived[n]; ok && facts[n].Page == 0 {
			facts[n] = f
		}
	}
	return facts, err
}

func (s *server) detail(r *http.Request) (api.FaxDetail, error) {
	st, err := s.find(r)
	if err != nil {
		return api.FaxDetail{}, err
	}
	facts, err := s.facts(r.Context(), st, st.Usable)
	if err != nil {
		return api.FaxDetail{}, err
	}
	d := api.FaxDetail{Fax: summary(st), Choices: st.Choices, Work: st.Work, Pages: []api.Page{}}
	s.named(&d.Fax)
	for n := range st.Expected().Union(st.Usable).All() {
		p := api.Page{Page: n}
		p.Status, p.Source, p.Reason = st.PageStatus(n)
		if f, ok := facts[n]; ok {
			describe(&p, f)
		}
		p.Difference = st.Difference(n)
		d.Pages = append(d.Pages, p)
	}
	for _, c := range st.Choices {
		if i := slices.IndexFunc(d.Pages, func(p api.Page) bool { return p.Page == c.Page }); i >= 0 {
			d.Pages[i].Chosen = c.Image
		}
	}
	_, err = s.searchable(r.Context(), st)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status == http.StatusNotFound {
		return d, nil
	}
	d.Searchable = err == nil
	return d, err
}

// describe says of a page what its fact says.
func describe(p *api.Page, f session.PageArchived) {
	p.SHA256, p.Width, p.Height, p.Bad, p.Quality = f.Original.SHA256, f.Width, f.Height, f.BadRows, f.Quality
	p.Received, p.ReceivedBad = f.Received, f.Received.Bad()
	p.Orientation, p.ResolutionAssumed = f.Orientation, f.ResolutionAssumed
}

func (s *server) fax(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	api.Write(w, http.StatusOK, d)
}
